"""Faults on purpose, by seed: what is lost, what ends in a traceback, what hangs, what takes gigabytes.

    python tools/bench_faults.py [--quick] [--seeds N] [--only recipes,kills] [--json OUT]

Kinds: ``kills`` (kill -9 at random moments of runs), ``corruptions`` (of a study's file), ``disk`` (full at each of six
steps; needs root, for small disks of its own), ``hang`` (candidates that sleep or are stopped, or answer nonsense),
``signals`` (INT, TERM, HUP, a closed pipe), and damaged ``recipes``, ``spaces``, ``tables``, ``architectures``,
``archives``, ``pictures`` and ``models``. Prints counts; exit code 0 whatever they are.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarking.claims import claim, claim_line
from benchmarking.document import conduct
from benchmarking.options import BenchParser, seeds_of
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
    return conduct(bench, _parse(arguments))


def bench(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The figures after each kind. Claims are printed with their kind, and once more at the end."""
    import faults.warm

    faults.warm.load()
    folder = Path(tempfile.mkdtemp(prefix="edgenas-faults-"))
    plan = Options(
        tuple(seeds_of(options)), options.quick, options.cases, options.parallel, Limits(), folder, options.keep
    )
    settings = {"limits": vars(plan.limits), "python": platform.python_version(), "cores": os.cpu_count()}
    found: dict[str, Any] = {"settings": settings, "kinds": {}, "claims": []}
    try:
        for kind in options.only.split(","):
            if kind:
                _run_and_print(kind, plan, found)
                yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_and_print(kind: str, options: Options, document: dict[str, Any]) -> None:
    print(f"{kind}:", flush=True)
    begun = time.monotonic()
    found, claims = run_kind(kind, options)
    found["seconds"] = round(time.monotonic() - begun, 1)
    document["kinds"][kind] = found
    document["claims"] += claims
    print(f"  {found.pop('summary')} ({found['seconds']:.0f} s)", flush=True)
    for one in claims:
        print(f"  {claim_line(one)}", flush=True)


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


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = BenchParser(description=__doc__)
    parser.add_argument("--first-seed", type=int, default=0, dest="seed")
    parser.add_argument("--only", default=",".join(CASES), help="kinds, with commas")
    parser.add_argument("--cases", type=int, help="cases of each kind instead of the usual number")
    parser.add_argument("--parallel", type=int, default=os.cpu_count() or 1, help="commands at once")
    parser.add_argument("--keep", type=Path, help="copy the files of wrong cases here")
    parser.add_common(seeds_help="each does all cases anew", quick={})
    found = parser.parse_args(arguments)
    for kind in found.only.split(","):
        if kind and kind not in CASES:
            parser.error(f"--only: unknown kind {kind!r}: expected some of {', '.join(CASES)}")
    return found


if __name__ == "__main__":
    sys.exit(main())
