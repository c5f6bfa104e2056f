"""The table of training steps: what every block of a space costs in training on this machine, measured once.

It is in EdgeNAS' home beside the latency tables, for this machine, TensorFlow and batch; a run keeps a copy of what it
needs (``steps.csv``). The cost ``step_ms`` of a network is the sum over its blocks.
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.devices.home import edgenas_home
from edgenas.export.files import write_atomically
from edgenas.spaces.errors import InputError
from edgenas.study.cost_names import STEP_MS

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.spaces.space.search_space import SearchSpace
    from edgenas.training.step_time import StepTime

_PRECISION = "float32"
_COLUMNS = ("signature", STEP_MS, "spread", "quiet_visits", "visits")


@dataclass(frozen=True)
class StepTable:
    """Step times by signature, and what they were measured with."""

    facts: Mapping[str, str]
    rows: Mapping[str, StepTime] = field(default_factory=dict)

    def to_text(self) -> str:
        """A header of facts and one row a signature, sorted."""
        text = io.StringIO()
        for key, value in self.facts.items():
            text.write(f"# {key}: {value}\n")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for signature, row in sorted(self.rows.items()):
            writer.writerow([signature, repr(row.step_ms), f"{row.spread:.4f}", row.quiet, row.visits])
        return text.getvalue()

    @classmethod
    def load(cls, path: Path) -> StepTable:
        """Reads a table. Raises InputError when it is none."""
        from edgenas.training.step_time import StepTime

        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            header = [line[2:].partition(": ") for line in lines if line.startswith("# ")]
            body = list(csv.reader(line for line in lines if not line.startswith("# ")))
            if tuple(body[0]) != _COLUMNS:
                raise ValueError(f"expected the columns {', '.join(_COLUMNS)}")
            rows = {row[0]: StepTime(float(row[1]), float(row[2]), int(row[3]), int(row[4])) for row in body[1:]}
            if not all(0 < row.step_ms < math.inf for row in rows.values()):
                raise ValueError("times must be above 0")
        except (OSError, ValueError, IndexError) as error:
            raise InputError(f"{path}: cannot be read as a table of training steps ({error}); delete it") from None
        return cls({key: value for key, _, value in header}, rows)


def step_table_path(batch: int) -> Path:
    """This machine's table for steps of so many examples."""
    return edgenas_home() / "tables" / f"training-float32-b{batch}.csv"


def measured_steps(
    space: SearchSpace, batch: int, told: Callable[[int, int], None] = lambda done, all: None
) -> tuple[StepTable, int]:
    """The table with every block of a space, and how many of them were measured now."""
    from edgenas.devices import get_device
    from edgenas.training.step_time import measure_steps

    identity = get_device("local-cpu").identity()
    facts = {
        "what": "forward and backward pass of a block, fastest quiet visit",
        "kind": "measured",
        "batch": str(batch),
        "cpu_model": str(identity.cpu_model),
        "tensorflow": version("tensorflow"),
    }
    path = step_table_path(batch)
    table = StepTable.load(path) if path.is_file() else StepTable(facts)
    known = dict(table.rows) if all(table.facts.get(key) == value for key, value in facts.items()) else {}
    missing = {name: entry.graph for name, entry in space.signatures(_PRECISION).items() if name not in known}
    if missing:
        known |= measure_steps(missing, batch, told=told)
        facts["created"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        table = StepTable(facts, known)
        write_atomically(path, table.to_text())
    return table, len(missing)


def steps_path(context: RunContext) -> Path:
    """The run's copy of the table."""
    return context.folder.path / "steps.csv"


def profile_steps(context: RunContext) -> None:
    """Makes the run's copy of the table, where its reward counts training steps."""
    if STEP_MS not in context.recipe.objective.terms or steps_path(context).is_file():
        return
    batch = context.recipe.search.training.batch_size
    with context.progress.task("profile training steps, percent", 100) as task:
        table, measured = measured_steps(context.space, batch, lambda done, all: task.update(100 * done // all))
    rows = {name: table.rows[name] for name in context.space.signatures(_PRECISION)}
    write_atomically(steps_path(context), StepTable(table.facts, rows).to_text())
    context.__dict__.pop("costs", None)  # they know more now
    context.log.event("profiled_steps", batch=batch, measured=measured, reused=len(rows) - measured)
    context.progress.say(
        f"profile training steps of {batch} examples: {measured} blocks measured, {len(rows) - measured} known already"
    )


def known_steps(context: RunContext) -> dict[str, dict[str, float]]:
    """The cost ``step_ms`` of blocks by signature, where the run has it."""
    path = steps_path(context)
    if STEP_MS not in context.recipe.objective.terms or not path.is_file():
        return {}
    return {STEP_MS: {name: row.step_ms for name, row in StepTable.load(path).rows.items()}}


def check_terms(context: RunContext) -> None:
    """Raises InputError when the reward counts a cost that nobody knows, or that the run's trials were not told."""
    wanted, names = context.recipe.objective.terms, context.costs.names
    for name in wanted:
        if name not in names:
            raise InputError(
                f"objective.terms: nobody knows {name} here (the device's table lacks it); known: {', '.join(names)}"
            )
    if not wanted or not context.folder.study_path.is_file():
        return
    with closing(context.open_study()) as study:
        trials = [trial for trial in study.trials if not trial.foreign]
    for name in wanted:
        if any(name not in trial.predicted for trial in trials):
            raise InputError(
                f"objective.terms: the trials of this run were found without {name}, so they cannot be ranked by it; "
                "undo that to continue the run, or start another one with a new name"
            )
