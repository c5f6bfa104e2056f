"""The TFLite file: written, read, described, rewritten."""
