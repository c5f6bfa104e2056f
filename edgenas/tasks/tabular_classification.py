"""Classification of the rows of a table: top-1 accuracy, balanced accuracy, log loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgenas.data.examples import Examples
from edgenas.data.task_data import ExampleSet
from edgenas.spaces.tensor import Shape
from edgenas.tasks.class_labels import ClassLabelTask
from edgenas.tasks.registry import register_task
from edgenas.tasks.table_baselines import classifier_baselines
from edgenas.tasks.tabular import TabularTask

PRIMARY = ("top1", "balanced_accuracy", "d2_log_loss")
#: The probability of what was taken to be impossible.
_LEAST = 1e-7


@register_task("tabular_classification")
@dataclass(frozen=True)
class TabularClassification(ClassLabelTask, TabularTask):
    """Targets are labels ``(N,)``; the output is logits ``(N, classes)``.

    ``metric`` is the figure that decides, of those of which more is better.
    """

    metric: str = "top1"  # type: ignore[misc]

    smaller_is_better: ClassVar[frozenset[str]] = frozenset({"log_loss"})

    def __post_init__(self) -> None:
        super().__post_init__()
        check_metric(self.metric, PRIMARY, {"log_loss": "d2_log_loss"})

    def labels(self, data: ExampleSet) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(data.facts["classes"])

    def outputs(self, data: ExampleSet) -> Mapping[str, Shape]:  # type: ignore[override]
        return {"logits": (len(self.labels(data)),)}

    def metrics(self, targets: np.ndarray, outputs: Mapping[str, np.ndarray]) -> dict[str, float]:
        """``top1``; ``balanced_accuracy``, the mean of the classes' shares told right; ``log_loss``, in nats; and
        ``d2_log_loss``, 1 minus that by the log loss of the classes' shares, 0 where these do better.
        """
        found = super().metrics(targets, outputs)
        logits, labels = self.checked(targets, outputs)
        right = (logits.argmax(axis=-1) == labels) & np.isfinite(logits).all(axis=-1)
        counts = np.bincount(labels)
        shares = np.bincount(labels, right)[counts > 0] / counts[counts > 0]
        likelihood = np.nan_to_num(self.class_probabilities(outputs)[np.arange(len(labels)), labels])
        log_loss = float(-np.log(likelihood.clip(_LEAST, 1)).mean())
        known = -np.log(counts[labels] / len(labels)).mean()
        d2 = 1 - log_loss / known if known > 0 else float(log_loss < _LEAST)
        return found | {
            "balanced_accuracy": float(shares.mean()),
            "d2_log_loss": float(np.clip(d2, 0, 1)),
            "log_loss": log_loss,
        }

    def baselines(self, train: Examples, test: Examples, preprocessing: object) -> dict[str, dict[str, float]]:
        return classifier_baselines(self, train, test, preprocessing)


def check_metric(metric: object, known: tuple[str, ...], instead: Mapping[str, str]) -> None:
    """Raises ValueError with the known ones for another figure; of errors, with the one that orders alike."""
    if metric in known:
        return
    if isinstance(metric, str) and metric in instead:
        raise ValueError(
            f"metric must be one of which more is better, {', '.join(known)}; {instead[metric]} orders networks as "
            f"{metric} does, which is told beside it"
        )
    raise ValueError(f"metric must be one of {', '.join(known)}, not {metric!r}")
