"""Parts of ``tools/bench_detection.py``."""
