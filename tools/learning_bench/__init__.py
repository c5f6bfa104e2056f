"""The parts of tools/bench_learning.py."""
