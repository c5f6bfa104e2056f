"""Faults on purpose, by seed: what is lost, what ends in a traceback, what hangs, what takes gigabytes.

    python tools/bench_faults.py [--quick] [--seeds N] [--only recipes,kills] [--json OUT]

Kinds: ``kills`` (kill -9 at random moments of runs), ``corruptions`` (of a study's file), ``disk`` (full at each of six
steps; needs root, for small disks of its own), ``hang`` (candidates that sleep or are stopped, or answer nonsense),
``signals`` (INT, TERM, HUP, a closed pipe), and damaged ``recipes``, ``spaces``, ``tables``, ``architectures``,
``archives``, ``pictures`` and ``models``. Prints counts; exit code 0 whatever they are.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults.fuzzing import KINDS, fuzz
from faults.runner import Limits
from faults.scene import Scene

#: How many cases of each kind: whole, and with ``--quick``.
CASES = {
    "kills": (40, 8),
    "corruptions": (100, 40),
    "disk": (6, 6),
    "hang": (8, 4),
    "signals": (8, 4),
    **dict.fromkeys(KINDS, (300, 60)),
}


@dataclass(frozen=True)
class Options:
    """Settings of one bench."""

    seeds: tuple[int, ...]
    quick: bool
    cases: int | None
    parallel: int
    limits: Limits
    folder: Path
    keep: Path | None

    def count(self, kind: str) -> int:
        return self.cases or CASES[kind][int(self.quick)]


def main(arguments: Sequence[str] | None = None) -> int:
    options, only, out = _parse(arguments)
    import faults.warm

    faults.warm.load()
    document: dict[str, Any] = {
        "settings": {
            "seeds": list(options.seeds),
            "quick": options.quick,
            "parallel": options.parallel,
            "limits": vars(options.limits),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        },
        "kinds": {},
        "claims": [],
    }
    start = time.monotonic()
    try:
        for kind in only:
            _run_and_print(kind, options, document)
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)
    document["seconds"] = round(time.monotonic() - start, 1)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


def _run_and_print(kind: str, options: Options, document: dict[str, Any]) -> None:
    print(f"{kind}:", flush=True)
    begun = time.monotonic()
    found, claims = run_kind(kind, options)
    found["seconds"] = round(time.monotonic() - begun, 1)
    document["kinds"][kind] = found
    document["claims"] += claims
    print(f"  {found.pop('summary')} ({found['seconds']:.0f} s)", flush=True)
    for claim in claims:
        print(f"  {'met' if claim['met'] else 'NOT MET'}: {claim['claim']}: {claim['value']}", flush=True)


def run_kind(kind: str, options: Options) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(figures with a ``summary``, claims) of one kind."""
    if kind in KINDS:
        return _fuzz(kind, options)
    from faults import corruptions, full_disk, hangs, kills, signals

    others: dict[str, Callable[..., Any]] = {
        "kills": kills.kills,
        "corruptions": corruptions.corruptions,
        "disk": full_disk.full_disk,
        "hang": hangs.hangs,
        "signals": signals.signals,
    }
    scene = Scene.make(options.folder / "scene")
    return others[kind](scene, options.folder / kind, options)  # type: ignore[no-any-return]


def _fuzz(kind: str, options: Options) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    totals: dict[str, Any] = {}
    found = None
    for seed in options.seeds:
        scene = Scene.make(options.folder / "scene")
        more = fuzz(
            kind, scene, options.folder, seed, options.count(kind), options.limits, options.parallel, options.keep
        )
        if found is None:
            found = more
        else:
            for outcome_kind, number in more.counts.items():
                found.counts[outcome_kind] += number
            found.wrong += more.wrong
            found.real += more.real
            found.slowest_seconds = max(found.slowest_seconds, more.slowest_seconds)
            found.largest_bytes = max(found.largest_bytes, more.largest_bytes)
    assert found is not None
    totals = found.to_json() | {"summary": found.describe()}
    goals = (
        ("tracebacks", found.counts["traceback"]),
        ("hangs over 20 s", found.counts["hang"]),
        ("commands over 2 GB", found.counts["memory"]),
        ("crashes, and refusals without a clear line", found.counts["crash"] + found.counts["unclear"]),
    )
    cases = sum(found.counts.values())
    return totals, [claim(f"{kind}: {name} in {cases} cases", value, 0) for name, value in goals]


def claim(text: str, value: float, goal: float) -> dict[str, Any]:
    """A figure that was asked for: met when it is no more than the goal."""
    return {"claim": text, "value": value, "goal": goal, "met": value <= goal}


def _parse(arguments: Sequence[str] | None) -> tuple[Options, list[str], Path | None]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer cases of each kind: at most 10 minutes")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from 0: each does all cases anew")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(CASES), help="kinds, with commas")
    parser.add_argument("--cases", type=int, help="cases of each kind instead of the usual number")
    parser.add_argument("--parallel", type=int, default=os.cpu_count() or 1, help="commands at once")
    parser.add_argument("--data-dir", type=Path, help="not needed: the data of this bench are made up")
    parser.add_argument("--keep", type=Path, help="copy the files of wrong cases here")
    parser.add_argument("--json", type=Path, help="write figures, settings and claims here")
    found = parser.parse_args(arguments)
    only = [kind for kind in found.only.split(",") if kind]
    for kind in only:
        if kind not in CASES:
            parser.error(f"--only: unknown kind {kind!r}: expected some of {', '.join(CASES)}")
    folder = Path(tempfile.mkdtemp(prefix="edgenas-faults-"))
    seeds = tuple(range(found.first_seed, found.first_seed + found.seeds))
    options = Options(seeds, found.quick, found.cases, found.parallel, Limits(), folder, found.keep)
    return options, only, found.json


if __name__ == "__main__":
    sys.exit(main())
