"""What each step of a run leaves for the next one, the report and a resumed call: one typed record a step.

``state.json`` holds them as mappings. A key that is missing or null has its default, so that runs of earlier versions
are read; one that is unknown is kept as it is, so that those of later versions are not spoilt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, TypeVar

from edgenas.run.record_values import (
    boolean,
    by_name,
    by_trial,
    count,
    damaged,
    figure,
    mapping,
    number,
    seconds,
    text,
    trial_key,
    trial_number,
)

RecordType = TypeVar("RecordType", bound="Record")
StepType = TypeVar("StepType", bound="StepRecord")


def _key(read: Callable[[str, Any], Any], default: Any = None, *, kept: bool = False) -> Any:
    """A field that ``read`` makes of (its place, what stands there). ``kept``: written even when nothing is in it."""
    metadata = {"read": read, "kept": kept}
    if default is dict:
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Record:
    """A mapping of ``state.json`` with known keys; ``other`` holds those of other versions."""

    other: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls: type[RecordType], facts: Any, where: str) -> RecordType:
        """Reads what :meth:`to_json` wrote. Raises InputError with the place, what was found and what was expected."""
        left = dict(mapping(where, facts))
        found: dict[str, Any] = {}
        for one in fields(cls):
            if "read" in one.metadata and (value := left.pop(one.name, None)) is not None:
                found[one.name] = one.metadata["read"](f"{where}.{one.name}", value)
        record = cls(other=left, **found)
        record.check(where)
        return record

    def check(self, where: str) -> None:
        """Raises InputError when what was read does not fit together."""

    def to_json(self) -> dict[str, Any]:
        """The keys that have a value."""
        written = dict(self.other)
        for one in fields(self):
            value = getattr(self, one.name)
            default = {} if one.default is MISSING else one.default
            if "read" in one.metadata and (one.metadata["kept"] or value != default):
                written[one.name] = _plain(value)
        return written


@dataclass(frozen=True, kw_only=True)
class StepRecord(Record):
    """What all steps keep: whether they are done, and the seconds of all calls."""

    step: ClassVar[str] = ""

    done: bool = _key(boolean, False)
    seconds: float = _key(seconds, 0.0)


@dataclass(frozen=True, kw_only=True)
class BudgetRange(Record):
    """The limit on predictions of a cost, the least and the most in the space, and whether the limit binds at all."""

    limit: float | None = _key(number)
    least: float | None = _key(number)
    most: float | None = _key(number)
    binds: bool | None = _key(boolean)


def _ranges(where: str, value: Any) -> dict[str, BudgetRange]:
    return {name: BudgetRange.from_json(one, f"{where}.{name}") for name, one in mapping(where, value).items()}


@dataclass(frozen=True, kw_only=True)
class ProfileRecord(StepRecord):
    """Where the latency tables come from, by device, and the range of each budgeted cost in the space."""

    step: ClassVar[str] = "profile"

    table: str | None = _key(text)
    tables: Mapping[str, str] = _key(by_name(text), dict)
    budget: Mapping[str, BudgetRange] = _key(_ranges, dict)


@dataclass(frozen=True, kw_only=True)
class RewardRecord(Record):
    """The reward that trials are ranked by, where it is not the one that they were found with."""

    reward: str = _key(text, "absolute", kept=True)
    targets: Mapping[str, float] = _key(by_name(number), dict)
    beta: float | None = _key(number)
    weights: Mapping[str, float] = _key(by_name(number), dict)
    epochs: int | None = _key(count)


def _reward(where: str, value: Any) -> RewardRecord:
    return RewardRecord.from_json(value, where)


@dataclass(frozen=True, kw_only=True)
class SupernetRecord(StepRecord):
    """The training of the shared weights of a one-shot run; ``source`` is the run they were taken from instead."""

    step: ClassVar[str] = "supernet"

    steps: int | None = _key(count)
    examples: int | None = _key(count)
    parameters: int | None = _key(count)
    source: str | None = _key(text)
    settings: Mapping[str, Any] = _key(mapping, dict)


@dataclass(frozen=True, kw_only=True)
class ScoreRecord(StepRecord):
    """How many networks were scored with the weights of the supernet; they stand in ``supernet/scores.csv``."""

    step: ClassVar[str] = "score"

    networks: int | None = _key(count)


@dataclass(frozen=True, kw_only=True)
class RankingRecord(StepRecord):
    """Kendall's tau of the supernet's scores, and of what costs nothing, with the trained networks' metric.

    ``loses_to`` names what ranks better than the supernet.
    """

    step: ClassVar[str] = "ranking"

    networks: int | None = _key(count)
    tau: Mapping[str, float] = _key(by_name(figure), dict)
    random_networks: int | None = _key(count)
    random_tau: Mapping[str, float] = _key(by_name(figure), dict)
    loses_to: str = _key(text, "")
    words: str = _key(text, "")


@dataclass(frozen=True, kw_only=True)
class SearchRecord(StepRecord):
    """How many trials there are, the best one's number, the limits, and the CPU seconds of the search itself.

    ``rank_again``: the budget or the reward has changed, and ``ranking`` and ``limits`` are still to be made from it.
    """

    step: ClassVar[str] = "search"

    trials: int | None = _key(count)
    failed: int | None = _key(count)
    best: int | None = _key(trial_number)
    limits: Mapping[str, float] = _key(by_name(figure), dict)
    overhead: Mapping[str, float] = _key(by_name(number), dict)
    rank_again: bool = _key(boolean, False)
    ranking: RewardRecord | None = _key(_reward)  # noqa: RUF009


@dataclass(frozen=True, kw_only=True)
class ChooseRecord(StepRecord):
    """The trial to ship, how its latency is known (on the first device, on each), and why others are not shipped."""

    step: ClassVar[str] = "choose"

    trial: int | None = _key(trial_number)
    latency_kind: str | None = _key(text)
    kinds: Mapping[str, str] = _key(by_name(text), dict)
    rejected: Mapping[int, str] = _key(by_trial(text), dict)


@dataclass(frozen=True, kw_only=True)
class FinalistRecord(Record):
    """A candidate that keeps the budget when measured: its metric after the longer training, None before that."""

    score: float | None = _key(number)
    seconds: float | None = _key(seconds)


def _finalists(where: str, value: Any) -> dict[int, FinalistRecord]:
    return {
        trial_key(where, name): FinalistRecord.from_json(one, f"{where}.{name}")
        for name, one in mapping(where, value).items()
    }


@dataclass(frozen=True, kw_only=True)
class FinalistsRecord(StepRecord):
    """The candidates between which the longer training decides, best ranked first.

    ``gathered``: all are found; ``epochs``: of their training; ``kinds``: how their latency on each device is known.
    """

    step: ClassVar[str] = "finalists"

    finalists: Mapping[int, FinalistRecord] = _key(_finalists, dict)
    gathered: bool = _key(boolean, False)
    epochs: int | None = _key(count)
    kinds: Mapping[str, str] = _key(by_name(text), dict)


@dataclass(frozen=True, kw_only=True)
class TrainRecord(StepRecord):
    """The final training; what it found is in the trial's ``training.json``."""

    step: ClassVar[str] = "train"


@dataclass(frozen=True, kw_only=True)
class DeviceRecord(Record):
    """What the shipped file was found to cost on a device, how that is known, and the file's name."""

    measured: Mapping[str, float] = _key(by_name(number), dict)
    latency_kind: str | None = _key(text, kept=True)
    energy_kind: str | None = _key(text, kept=True)
    file: str | None = _key(text)


@dataclass(frozen=True, kw_only=True)
class BudgetUseRecord(Record):
    """How much of a budget the shipped file uses, in ``words``; the figures behind them stay in ``other``."""

    words: str = _key(text, "")


def _devices(where: str, value: Any) -> dict[str, DeviceRecord]:
    return {name: DeviceRecord.from_json(one, f"{where}.{name}") for name, one in mapping(where, value).items()}


def _uses(where: str, value: Any) -> dict[str, BudgetUseRecord]:
    return {name: BudgetUseRecord.from_json(one, f"{where}.{name}") for name, one in mapping(where, value).items()}


@dataclass(frozen=True, kw_only=True)
class ExportRecord(StepRecord):
    """What is shipped: the trial, its metrics as float model and as file, and its costs on the first and all devices.

    ``top1_float`` and ``top1_tflite`` stand beside ``metrics`` where the task has that metric, and alone in runs of
    before there were several tasks. ``earlier``: the recipe has changed since, and it is to be exported again.
    """

    step: ClassVar[str] = "export"

    trial: int | None = _key(trial_number)
    earlier: bool = _key(boolean, False)
    metric: str | None = _key(text)
    metrics: Mapping[str, Mapping[str, float]] = _key(by_name(by_name(figure)), dict)
    top1_float: float | None = _key(figure)
    top1_tflite: float | None = _key(figure)
    latency_kind: str | None = _key(text)
    energy_kind: str | None = _key(text)
    devices: Mapping[str, DeviceRecord] = _key(_devices, dict)
    budget_use: Mapping[str, BudgetUseRecord] = _key(_uses, dict)
    measured: Mapping[str, float] = _key(by_name(number), dict)
    conversion: Mapping[str, Any] = _key(mapping, dict)

    @property
    def scores(self) -> tuple[str, float | None, float | None]:
        """(name of the primary metric, of the float model, of the shipped file); None for what is not there.

        >>> ExportRecord(top1_float=0.9, top1_tflite=0.89).scores
        ('top1', 0.9, 0.89)
        """
        metric = self.metric or "top1"
        if not self.metrics:
            return metric, self.top1_float, self.top1_tflite
        return metric, self.metrics.get("float", {}).get(metric), self.metrics.get("tflite", {}).get(metric)

    def check(self, where: str) -> None:
        if not self.done:
            return
        if self.trial is None:
            damaged(f"{where}.trial", None, "the number of the shipped trial")
        metric, *scores = self.scores
        if None in scores:
            damaged(f"{where}.metrics", self.metrics, f"{metric} of the float model and of the shipped file")
        for name in ("latency_ms", "size_bytes"):
            if name not in self.measured:
                damaged(f"{where}.measured.{name}", None, "a number")

    def shipped(self) -> dict[str, Any]:
        """The record for who called the run; empty before something is shipped."""
        if not self.done:
            return {}
        facts = {"energy_kind": None} | self.to_json()
        return {key: value for key, value in facts.items() if key not in ("done", "seconds")}


@dataclass(frozen=True, kw_only=True)
class ReportRecord(StepRecord):
    """The report, which is a file of its own."""

    step: ClassVar[str] = "report"


_KINDS: dict[str, type[StepRecord]] = {
    kind.step: kind
    for kind in (
        ProfileRecord,
        SupernetRecord,
        ScoreRecord,
        SearchRecord,
        RankingRecord,
        ChooseRecord,
        FinalistsRecord,
        TrainRecord,
        ExportRecord,
        ReportRecord,
    )
}


#: Steps that each of several budgets has for itself.
PER_BUDGET = tuple(kind.step for kind in (ChooseRecord, FinalistsRecord, TrainRecord, ExportRecord))


@dataclass(frozen=True)
class StepRecords:
    """The records of all steps that have begun, by name."""

    steps: Mapping[str, StepRecord] = field(default_factory=dict)

    @classmethod
    def from_json(cls, steps: Any, where: str = "steps") -> StepRecords:
        """Reads ``steps`` of ``state.json``. Raises InputError when a record cannot be what was written."""
        return cls(
            {
                name: _KINDS.get(name, StepRecord).from_json(facts, f"{where}.{name}")
                for name, facts in mapping(where, steps).items()
            }
        )

    def of(self, kind: type[StepType]) -> StepType:
        """The record of a step; one without anything when it has not begun.

        >>> StepRecords.from_json({"choose": {"trial": 3}}).of(ChooseRecord).trial
        3
        """
        record = self.steps.get(kind.step)
        return record if isinstance(record, kind) else kind()

    @property
    def seconds(self) -> dict[str, float]:
        """Of every step that took some."""
        return {name: record.seconds for name, record in self.steps.items() if record.seconds}


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return value
