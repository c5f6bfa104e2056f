"""The record of a search, the workers that fill it, and what trials are judged by."""
