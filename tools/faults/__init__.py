"""Faults on purpose: what ``tools/bench_faults.py`` does to EdgeNAS, one file for each kind."""

import os

# Before NumPy is loaded: processes are forked from this one, and must not inherit its threads.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
    os.environ.setdefault(_name, "1")
