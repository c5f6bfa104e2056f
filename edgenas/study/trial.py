"""One candidate of a search, as a study holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Optuna's names of the states of a trial, and ours.
STATES = {"RUNNING": "running", "WAITING": "waiting", "COMPLETE": "complete", "FAIL": "failed", "PRUNED": "stopped"}
OPEN = ("running", "waiting")


@dataclass(frozen=True)
class Trial:
    """One candidate of a search.

    Attributes:
        number: place in the study, from 0; names the folder ``trials/<number>`` of the run.
        architecture: text that the space reads back.
        choices: the same as one option index per decision.
        state: ``waiting``, ``running``, ``complete``, ``failed``, or ``stopped`` early. Failed and
            stopped ones are not repeated.
        seed: seed of everything random in its evaluation.
        predicted: costs by name with the unit in the name (``latency_ms``, ``macs``, ...), exact or from the table.
        attempts: how often its evaluation was started; above 1 after interruptions.
        top1: of classifiers, the accuracy in [0, 1] on the validation split after the short training.
        reward: what the search maximises.
        seconds: time that the last attempt took.
        measured: costs measured on the device, where that was done.
        error: why it failed.
        curve: accuracy after each epoch, where the search stops early.
        metric: name of the primary one of the metrics.
        metrics: figures on the validation split after the short training, by name; the primary one in [0, 1].
        expected_reward: of a stopped one, the reward at the accuracy that its curve was heading for.
        files: folder with what its evaluation left, relative to the run's folder; empty when it left nothing.
        worker: who evaluates or evaluated it; empty: the search itself.
        wishes: of one that somebody else put in, through Optuna: labels of options by decision.
    """

    number: int
    architecture: str
    choices: tuple[int, ...]
    state: str
    seed: int
    predicted: Mapping[str, float]
    attempts: int = 1
    top1: float | None = None
    reward: float | None = None
    seconds: float | None = None
    measured: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    curve: tuple[float, ...] = ()
    expected_reward: float | None = None
    metric: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    files: str = ""
    worker: str = ""
    wishes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def foreign(self) -> bool:
        """Whether it is none of ours: a script or a dashboard made it, and no search has adopted it."""
        return not self.architecture

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in OPEN

    @property
    def score(self) -> float | None:
        """The primary metric; None before the evaluation has ended."""
        return self.metrics.get(self.metric, self.top1)


def trial_of(
    number: int, state: str, attributes: Mapping[str, Any], value: float | None, wishes: Mapping[str, Any] | None = None
) -> Trial:
    """A trial from its user attributes, Optuna's name of its state, and its value."""
    return Trial(
        number=number,
        architecture=attributes.get("architecture", ""),
        choices=tuple(attributes.get("choices", ())),
        state=STATES[state],
        seed=attributes.get("seed", 0),
        predicted=attributes.get("predicted", {}),
        attempts=attributes.get("attempts", 1),
        top1=attributes.get("top1"),
        metric=attributes.get("metric", "top1"),  # older trials are of classifiers
        metrics=attributes.get("metrics") or _older_metrics(attributes),
        reward=value,
        seconds=attributes.get("seconds"),
        error=attributes.get("error"),
        curve=tuple(attributes.get("curve", ())),
        expected_reward=attributes.get("expected_reward"),
        files=str(attributes.get("files", "")).replace("{number}", str(number)),
        worker=str(attributes.get("worker", "")),
        wishes=wishes or {},
    )


def _older_metrics(attributes: Mapping[str, Any]) -> dict[str, float]:
    return {"top1": attributes["top1"]} if attributes.get("top1") is not None else {}
