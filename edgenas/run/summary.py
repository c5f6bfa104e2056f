"""What a run folder holds, in a few figures, for lists of runs: read from its files alone, and never an error.

Nothing of the user's is imported, and nothing is loaded that a run works with: the recipe is read as plain YAML, the
study through its store, the rest from the records of the steps.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgenas.run.folder import RunFolder
from edgenas.run.log import read_log
from edgenas.run.ranked import open_ranked
from edgenas.run.records import ExportRecord, SearchRecord, StepRecords
from edgenas.spaces.errors import EdgeNASError, InputError
from edgenas.spaces.text import one_line
from edgenas.spaces.yaml_reading import read_document
from edgenas.study.study import Trial

#: What makes a folder a run: a recipe alone may be anything's.
_SIGNS = ("study.db", "inputs.json", "state.json")
_DEEPEST = 3


@dataclass(frozen=True)
class RunSummary:
    """One run. ``state``: ``shipped``, ``searched``, ``begun`` (to be continued), ``working`` or ``damaged``.

    ``recipe`` is what stands in ``recipe.yaml``, unchecked; ``trials`` by number; ``problem`` what cannot be read.
    """

    path: Path
    state: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()
    ranking: tuple[Trial, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    records: StepRecords = field(default_factory=StepRecords)
    problem: str = ""
    began: str = ""
    last: str = ""

    @property
    def name(self) -> str:
        return str(self.recipe.get("name") or self.path.resolve().name)

    @property
    def wanted(self) -> int | None:
        """How many trials its recipe asks for."""
        return _at(self.recipe, "search", "trials")

    @property
    def devices(self) -> list[str]:
        several = self.recipe.get("devices") or [self.recipe.get("device")]
        return [str(_at(device, "name") or "?") for device in several if isinstance(device, Mapping)]

    @property
    def budget(self) -> dict[str, Any]:
        """The limits that are set, by cost; of several devices, by device."""
        if devices := self.recipe.get("devices"):
            return {str(_at(device, "name")): _limits(_at(device, "budget")) for device in devices}
        return _limits(self.recipe.get("budget"))

    def to_json(self) -> dict[str, Any]:
        """For ``edgenas runs --json``."""
        states = Counter(trial.state for trial in self.trials)
        best = self.ranking[0] if self.ranking else None
        shipped = self.records.of(ExportRecord)
        return {
            "run": str(self.path),
            "name": self.name,
            "state": self.state,
            "problem": self.problem or None,
            "space": _at(self.recipe, "space", "name") or _at(self.recipe, "space", "path"),
            "data": _at(self.recipe, "data", "name") or _at(self.recipe, "data", "path"),
            "devices": self.devices,
            "budget": self.budget,
            "trials": {"wanted": self.wanted, "there": len(self.trials), **states},
            "best": best and {"trial": best.number, "metric": best.metric, "score": best.score},
            "shipped": shipped_facts(shipped),
            "seconds": round(sum(self.records.seconds.values()), 2),
            "began_utc": self.began or None,
            "last_utc": self.last or None,
        }


def shipped_facts(record: ExportRecord) -> dict[str, Any] | None:
    """What is shipped, with how each figure is known; None when nothing is."""
    if not record.done:
        return None
    metric, score_float, score_tflite = record.scores
    return {
        "trial": record.trial,
        "metric": metric,
        "score_float": score_float,
        "score_tflite": score_tflite,
        "latency_ms": record.measured.get("latency_ms"),
        "latency_quiet_ms": record.measured.get("latency_quiet_ms"),
        "latency_kind": record.latency_kind,
        "energy_mj": record.measured.get("energy_mj"),
        "energy_kind": record.energy_kind,
        "size_bytes": record.measured.get("size_bytes"),
        "earlier_recipe": record.earlier,
    }


def find_runs(folder: Path) -> list[Path]:
    """The run folders in a folder, itself included, by name. Raises InputError when there is no such folder."""
    if not folder.is_dir():
        what = "a file" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: {what}; name the folder that runs are in, or a run")
    return sorted(_found(folder, _DEEPEST))


def _found(folder: Path, depth: int) -> Iterator[Path]:
    if is_run(folder):
        yield folder
    elif depth:
        with suppress(OSError):
            for path in folder.iterdir():
                if path.is_dir() and not path.name.startswith("."):
                    yield from _found(path, depth - 1)


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run, damaged or not."""
    return any((folder / name).is_file() for name in _SIGNS)


def summarise(path: Path) -> RunSummary:
    """Reads a run; what cannot be read makes it ``damaged``, with the first reason."""
    folder = RunFolder(path)
    problems: list[str] = []
    recipe: Any = {}
    records, limits = StepRecords(), {}
    trials: tuple[Trial, ...] = ()
    ranking: tuple[Trial, ...] = ()
    try:
        recipe = read_document(folder.recipe_path, "a recipe").value
        if not isinstance(recipe, dict):
            problems.append(f"{folder.recipe_path}: is no recipe")
            recipe = {}
    except (EdgeNASError, OSError) as error:
        problems.append(str(error))
    try:
        records = folder.records
    except (EdgeNASError, OSError) as error:
        problems.append(str(error))
    if folder.study_path.is_file():
        try:
            with closing(open_ranked(folder)) as study:
                trials, ranking, limits = study.trials, study.ranking, dict(study.facts.get("limits", {}))
        except (EdgeNASError, OSError) as error:
            problems.append(str(error))
    elif records.of(SearchRecord).done:
        problems.append(f"{folder.study_path}: is gone, but the search was done")
    began, last = _times(folder)
    return RunSummary(
        path=path,
        state="damaged" if problems else _state(folder, records),
        recipe=recipe,
        trials=trials,
        ranking=ranking,
        limits=limits,
        records=records,
        problem=one_line(problems[0]) if problems else "",
        began=began,
        last=last,
    )


def _state(folder: RunFolder, records: StepRecords) -> str:
    if is_worked_on(folder.path):
        return "working"
    if records.of(ExportRecord).done and (folder.bundle_path / "metrics.json").is_file():
        return "shipped"
    return "searched" if records.of(SearchRecord).done else "begun"


def is_worked_on(folder: Path) -> bool:
    """Whether a process holds the run's lock. It is looked at, not taken; only Linux tells."""
    with suppress(OSError):
        inode = (folder / ".lock").stat().st_ino
        locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
        return any("FLOCK" in line and f":{inode} " in line for line in locks)
    return False


def _times(folder: RunFolder) -> tuple[str, str]:
    """When the run began, and when something last happened in it, in UTC to the second."""
    with suppress(OSError):
        events = read_log(folder.log.path)
        times = [str(event["time_utc"])[:19] + "Z" for event in events if "time_utc" in event]
        if times:
            return times[0], times[-1]
    with suppress(OSError):
        changed = os.stat(folder.path).st_mtime
        return "", datetime.fromtimestamp(changed, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return "", ""


def _limits(budget: Any) -> dict[str, Any]:
    return {name: value for name, value in budget.items() if value is not None} if isinstance(budget, Mapping) else {}


def _at(values: Any, *keys: str) -> Any:
    for key in keys:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values
