"""What all ``tools/bench_*.py`` share: options, claims, the document that they write, and latency tables."""
