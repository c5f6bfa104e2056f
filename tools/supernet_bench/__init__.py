"""The parts of ``tools/bench_supernet.py``."""
