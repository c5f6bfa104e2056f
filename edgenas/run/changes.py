"""Which keys of a recipe may change when a run is continued, what is done again then, and why the others may not.

One table, :data:`RULES`, which the refusals, the help of ``--resume`` and the documents go by. A rule stands for a key
or a whole section, and the longest that fits counts; of a list of devices, ``devices.0.budget`` is ``devices.budget``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edgenas.spaces.errors import InputError

if TYPE_CHECKING:
    from edgenas.recipe.recipe import Recipe

#: What is done again: nothing; the search goes on; the trials are ranked again, and one is chosen; one is chosen; the
#: final training; only the export. Each begins with what it names and goes on to the report.
Again = Literal["nothing", "search", "rank", "choose", "train", "export"]

_LIES = "says where something lies; what is in it is compared by fingerprint"
_RANKED = "the trials are kept and ranked again, and the best one is chosen, trained and exported"
_WHERE = "says where it is computed from now on"
_NEW = "start another run with a new name (the latency table is shared, so nothing is profiled again)"
_PROFILED = "start another run with a new name, which profiles what the device's table lacks of that space"
_ELSEWHERE = (
    "`edgenas benchmark RUN/bundle/model.tflite --device NAME` measures there what it ships; or start another run "
    "with a new name, which profiles what that device's table lacks"
)


@dataclass(frozen=True)
class Rule:
    """What a key means for a run that has begun: ``again`` is None when it may not change.

    ``why`` says what a change does, or why there can be none; ``instead`` what to do then.
    """

    key: str
    again: Again | None
    why: str
    instead: str = _NEW


RULES = (
    Rule("name", "nothing", "is a title"),
    Rule("version", "nothing", "is of the form of recipes"),
    Rule("output", "nothing", _LIES),
    Rule("tensorboard", "nothing", "says what is written besides, from now on"),
    Rule("plugins", "nothing", _LIES),
    Rule("seed", None, "the trials, their weights and the split of the data were all drawn by it"),
    Rule("task", None, "the trials were judged by its metric"),
    Rule("task_options", None, "the trials were judged by the task as it was"),
    Rule("data", None, "the trials have learned from these data"),
    Rule("data.path", "nothing", _LIES),
    Rule("data.directory", "nothing", _LIES),
    Rule(
        "data.validation_fraction", None, "the trials were compared on this share of the data, which decides the rest"
    ),
    Rule("space", None, "the trials are architectures of this space", _PROFILED),
    Rule("space.path", "nothing", _LIES),
    Rule("device", None, "the trials' costs were predicted for it", _ELSEWHERE),
    Rule("device.table", "nothing", "the run goes on with the copy of the table that it holds"),
    Rule("devices", None, "the trials' costs were predicted for these devices", _ELSEWHERE),
    Rule("devices.table", "nothing", "the run goes on with the copy of the table that it holds"),
    Rule("devices.budget", "rank", _RANKED),
    Rule("devices.weight", "rank", _RANKED),
    Rule("budget", "rank", _RANKED),
    Rule("objective", "rank", _RANKED),
    Rule("search", None, "the trials were suggested, or judged, by it: one run is one search"),
    Rule("search.algorithm", None, "the trials were suggested by it: one run is one search"),
    Rule("search.training", None, "trials after another short training cannot be compared with those that are there"),
    Rule("search.training.gpus", "nothing", _WHERE),
    Rule("search.trials", "search", "the search goes on until there are so many; fewer than there are change nothing"),
    Rule("search.study", "nothing", "says where its server is; the study itself says whose it is"),
    Rule("search.artifacts", "nothing", "goes for trials from now on"),
    Rule("search.workers", "nothing", "says how many candidates are trained at once from now on"),
    Rule("search.time_limit_seconds", "nothing", "goes for candidates from now on"),
    Rule("search.latency_margin", "rank", _RANKED),
    Rule("search.finalists", "choose", "the finalists are compared again, and one is chosen, trained and exported"),
    Rule("search.finalist_share", "choose", "the finalists are trained and compared again, and one is chosen"),
    Rule(
        "supernet",
        None,
        "the trials were picked by this supernet and its scores",
        "search its weights again with `edgenas search --from-supernet RUN`, or start another run with a new name",
    ),
    Rule("supernet.from_run", "nothing", _LIES),
    Rule("supernet.gpus", "nothing", _WHERE),
    Rule("distillation", None, "the trials have learned from this teacher"),
    Rule("distillation.final", "train", "the chosen trial is trained anew, with or without the teacher"),
    Rule("training", "train", "the chosen trial is trained anew, and exported"),
    Rule("training.gpus", "nothing", _WHERE),
    Rule("export", "export", "a trial is chosen and exported again; a final training that is there is kept"),
    Rule("export.finalize", None, "the trials' costs were predicted with this end of the network"),
    Rule(
        "export.quantization",
        "export",
        "the trained network is quantized again, where the same latency table goes for both",
        "edgenas export RUN --quantization NAME -o DIR exports it, with a table of its own; or start another run",
    ),
)
_BY_KEY = {rule.key: rule for rule in RULES}


@dataclass(frozen=True)
class Change:
    """A key whose value differs from that of the recipe that a run was made with."""

    key: str
    before: Any
    now: Any
    rule: Rule

    @property
    def words(self) -> str:
        """``search.trials: 14 -> 20``."""
        return f"{self.key}: {_shown(self.before)} -> {_shown(self.now)}"


def rule_of(key: str) -> Rule:
    """The rule for a key, such as ``training.epochs`` or ``devices.1.budget.macs``.

    >>> rule_of("training.epochs").again, rule_of("devices.1.budget.macs").again, rule_of("seed").again
    ('train', 'rank', None)
    """
    parts = [part for part in key.split(".") if not part.isdigit()]
    for length in range(len(parts), 0, -1):
        if (rule := _BY_KEY.get(".".join(parts[:length]))) is not None:
            return rule
    return Rule(key, None, "what it does for a run that has begun is not known")


def changes_between(before: Recipe, now: Recipe) -> list[Change]:
    """The keys that differ, in the order of the alphabet."""
    old, new = (flat(recipe.model_dump(mode="json")) for recipe in (before, now))
    return [
        Change(key, old.get(key), new.get(key), rule_of(key))
        for key in sorted(old | new)
        if old.get(key) != new.get(key)
    ]


def refuse(place: object, changes: list[Change], before: Recipe, now: Recipe, *, compared: bool = True) -> None:
    """Raises InputError with a line for each key that may not change: its values, the reason, what to do instead.

    ``compared``: the run has fingerprints, so a file may lie elsewhere; else only one that is gone.
    """
    problems = []
    for change in changes:
        lies_elsewhere = change.key in before.files and change.key in now.files
        why = change.rule.why if change.rule.again is None and not lies_elsewhere else ""
        if change.key == "search.study" and not (change.before and change.now):
            why = "the trials are kept there"
        if now.search.study and change.rule.again in ("search", "rank"):
            why = "the workers that share its study go by its recipe"
        if change.rule.again == "train" and now.is_fixed:
            why = "the only trial of one network has the metrics of this training"
        if not compared and os.path.exists(before.files.get(change.key, "")):
            why = "this run was begun by a version that kept no fingerprints, so two files cannot be told apart"
        if change.key == "export.quantization" and (tables := _tables(before, now)):
            why = f"the trials' costs were predicted from the device's {tables[0]} table, and this needs {tables[1]}"
        if why:
            problems.append(
                f"{place}: {change.key} may not change in a run that has begun (was {_shown(change.before)}, now "
                f"{_shown(change.now)}): {why}. Undo that to continue the run; instead, {change.rule.instead}"
            )
    if problems:
        raise InputError(problems=tuple(problems))


def may_change() -> str:
    """The keys and sections that may change what a run does, for a sentence."""
    said = [rule for rule in RULES if rule.again not in (None, "nothing") or rule.key.startswith("search.")]
    inner = {rule.key for rule in said if rule.key.partition(".")[0] in {one.key for one in said if one is not rule}}
    return ", ".join(rule.key for rule in said if rule.again is not None and rule.key not in inner)


def _tables(before: Recipe, now: Recipe) -> tuple[str, str] | None:
    """The precisions of the tables of two recipes, where they differ."""
    from edgenas.run.context import table_precision

    tables = table_precision(before.export.quantization), table_precision(now.export.quantization)
    return None if tables[0] == tables[1] else tables


def _shown(value: Any) -> str:
    return "null" if value is None else repr(value)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` as ``{"a.b": 1}``."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            value = {str(number): one for number, one in enumerate(value)}
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
