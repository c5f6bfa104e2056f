"""Parts of ``tools/bench_segmentation.py``."""
