"""The document that ``--json`` writes: figures, settings, seeds, seconds, the machine, and claims."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarking.claims import claim_line
from benchmarking.options import seeds_of
from edgenas.devices.on_device.machine import cpu_model
from edgenas.export.extra import installed_version
from edgenas.export.files import write_atomically
from edgenas.spaces.errors import EdgeNASError, InputError

Figures = Mapping[str, Any]


def conduct(
    measure: Callable[[argparse.Namespace], Figures | Iterator[Figures]],
    options: argparse.Namespace,
    show: Callable[[Figures], None] = lambda figures: None,
) -> int:
    """Measures, prints claims, writes the document, and gives the exit code: 2 for wrong input, 1 for failed work.

    ``measure`` returns its figures with ``claims`` among them, or yields them as often as there are more: each time the
    whole document is written, so that little is lost when a long benchmark is ended. ``show`` prints the last ones.
    """
    began = time.monotonic()
    try:
        found = measure(options)
        figures: Figures | None = None
        for figures in [found] if isinstance(found, Mapping) else found:
            if options.json:
                write(options.json, document(options, figures, time.monotonic() - began))
    except EdgeNASError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    if figures is not None:
        show(figures)
        for one in figures["claims"]:
            print(claim_line(one), flush=True)
    return 0


def document(options: argparse.Namespace, figures: Figures, seconds: float) -> dict[str, Any]:
    """Figures, and beside them how they came about. Settings among the figures stand before those of the options."""
    settings = {name: value for name, value in vars(options).items() if not callable(value)} | {
        "seeds": seeds_of(options)
    }
    whole = dict(figures)
    claims = whole.pop("claims")
    return {
        **whole,
        "settings": settings | dict(whole.get("settings", {})),
        "seconds": round(seconds, 1),
        "machine": machine(),
        "claims": claims,
    }


def write(path: Path, document: Mapping[str, Any]) -> None:
    """The whole file, or the one that was there before."""
    write_atomically(path, json.dumps(document, indent=1, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def machine() -> dict[str, Any]:
    """What the figures were found on, and how busy it was."""
    return {
        "cpu": cpu_model(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "numpy": np.__version__,
        "edgenas": installed_version("edgenas"),
        "time_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
