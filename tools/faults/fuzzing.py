"""The seven kinds of damaged input, run by the hundred."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.archives import archives
from faults.models import models
from faults.outcomes import WRONG, Outcome
from faults.pictures import pictures
from faults.runner import Job, Limits, run_jobs
from faults.scene import Scene
from faults.tables import tables
from faults.yaml_kinds import architectures, recipes, spaces

Generator = Callable[[Scene, Path, int, int], Iterator[Job]]
KINDS: dict[str, Generator] = {
    "recipes": recipes,
    "spaces": spaces,
    "tables": tables,
    "architectures": architectures,
    "archives": archives,
    "pictures": pictures,
    "models": models,
}


@dataclass
class Found:
    """Counts of one kind, and the outcomes that were wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    real: int = 0
    wrong: list[Outcome] = field(default_factory=list)
    slowest_seconds: float = 0.0
    largest_bytes: int = 0

    def add(self, outcome: Outcome, real: bool = False) -> None:
        self.counts[outcome.kind] += 1
        self.real += real
        self.slowest_seconds = max(self.slowest_seconds, outcome.cpu_seconds)
        self.largest_bytes = max(self.largest_bytes, outcome.peak_bytes)
        if not outcome.right:
            self.wrong.append(outcome)

    def to_json(self) -> dict[str, Any]:
        return {
            "cases": sum(self.counts.values()),
            "counts": dict(self.counts),
            "real_processes": self.real,
            "slowest_cpu_seconds": round(self.slowest_seconds, 2),
            "largest_mb": round(self.largest_bytes / 1e6),
            "wrong": [{"case": o.name, "kind": o.kind, "words": o.words} for o in self.wrong],
        }

    def describe(self) -> str:
        counts = ", ".join(f"{count} {kind}" for kind, count in self.counts.most_common())
        return (
            f"{sum(self.counts.values())} cases: {counts}; slowest {self.slowest_seconds:.1f} s of the processor, "
            f"largest {self.largest_bytes / 1e6:,.0f} MB"
        )


def fuzz(
    kind: str,
    scene: Scene,
    folder: Path,
    seed: int,
    count: int,
    limits: Limits,
    parallel: int,
    keep: Path | None = None,
) -> Found:
    """Runs ``count`` cases of a kind; the files of wrong ones are copied to ``keep``."""
    found, jobs = Found(), dict[str, Job]()

    def noted() -> Iterator[Job]:
        for job in KINDS[kind](scene, folder / kind, seed, count):
            jobs[job.name] = job
            yield job

    for outcome in run_jobs(noted(), limits, parallel):
        job = jobs.pop(outcome.name)
        found.add(outcome, job.real)
        if outcome.kind in WRONG:
            print(f"  {outcome.name}: {outcome.kind}: {outcome.words[:200]}  [{' '.join(job.argv)[:120]}]", flush=True)
            if keep is not None:
                shutil.copytree(job.folder, keep / outcome.name.replace("/", "-"), symlinks=True, dirs_exist_ok=True,
                                ignore_dangling_symlinks=True, copy_function=_copy_if_file)  # fmt: skip
        shutil.rmtree(job.folder, ignore_errors=True)
    return found


def _copy_if_file(source: str, target: str) -> object:
    if Path(source).is_file():
        return shutil.copy2(source, target)
    return target
