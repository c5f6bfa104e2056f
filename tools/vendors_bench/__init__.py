"""Parts of ``bench_vendors.py`` that are longer than a function."""
