"""Processes that run a model on behalf of this one: one that crashes the interpreter is only an error here."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import edgenas
from edgenas.spaces.errors import InputError, WorkError


def worker_environment() -> dict[str, str]:
    """The environment in which ``python -m export.WORKER`` finds this package."""
    here = str(Path(edgenas.__file__).resolve().parents[1])
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))}


class CrashError(WorkError):
    """A model brought the interpreter down, or does not run."""


def check_worker(code: int, errors: str) -> None:
    """Raises what a worker's exit code means, with the last line it printed: InputError for 2, CrashError otherwise."""
    words = [line for line in errors.strip().splitlines() if not line.startswith("INFO: ")]
    last = words[-1] if words else "it said nothing"
    if code == 2:
        raise InputError(last)
    if code < 0:
        raise CrashError(f"the interpreter crashed with {signal.Signals(-code).name} ({last})")
    if code:
        raise CrashError(f"the model could not be run: {last}")
