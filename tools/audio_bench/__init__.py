"""Parts of ``tools/bench_audio.py``."""
