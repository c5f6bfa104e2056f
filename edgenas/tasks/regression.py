"""Regression of one column of a table, learned standardised, answered and judged in its own unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgenas.data.examples import Examples
from edgenas.data.task_data import ExampleSet
from edgenas.export._tensorflow import tensorflow
from edgenas.export.bundle.table_preprocessing import TablePreprocessing
from edgenas.spaces.block import Block
from edgenas.spaces.blocks import Unit
from edgenas.spaces.errors import InputError
from edgenas.spaces.tensor import Shape
from edgenas.tasks.endings import EndingSettings
from edgenas.tasks.ends import only
from edgenas.tasks.registry import register_task
from edgenas.tasks.table_baselines import regression_baselines
from edgenas.tasks.tabular import TabularTask
from edgenas.tasks.tabular_classification import check_metric

PRIMARY = ("r2", "d2_absolute_error")
#: Stands for an answer that is no number: finite, and worse than any other.
_WORST = float(np.finfo(np.float32).max)


@register_task("regression")
@dataclass(frozen=True)
class Regression(TabularTask):
    """Targets are ``value`` ``(N, 1)`` with the ``mean`` and ``std`` of the training rows; the output is ``(N, 1)``.

    What is trained answers standardised values; the shipped file, values in the target's unit. ``metric`` is the figure
    that decides.
    """

    metric: str = "r2"  # type: ignore[misc]

    is_regression: ClassVar[bool] = True
    smaller_is_better: ClassVar[frozenset[str]] = frozenset({"rmse", "mae"})
    output_hint: ClassVar[str] = "set the classes of the space to 1: the value that is predicted"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_metric(self.metric, PRIMARY, {"rmse": "r2", "mse": "r2", "mae": "d2_absolute_error"})

    def outputs(self, data: ExampleSet) -> Mapping[str, Shape]:  # type: ignore[override]
        return {"value": (1,)}

    def ending(self, data: ExampleSet, settings: EndingSettings | None) -> Block | None:  # type: ignore[override]
        """From a standardised value to one in its unit."""
        super().ending(data, settings)
        return Unit() if self.is_inside else None

    def file_answers(
        self, outputs: Mapping[str, np.ndarray], preprocessing: TablePreprocessing
    ) -> dict[str, np.ndarray]:
        if not preprocessing.inside:
            return dict(outputs)
        assert preprocessing.target is not None
        _, mean, std = preprocessing.target
        return {name: (np.asarray(values, np.float64) - mean) / std for name, values in outputs.items()}

    def loss(self, targets: Any, outputs: Mapping[str, Any], *, label_smoothing: float = 0.0) -> Any:
        """Mean squared error of the standardised values."""
        tf = tensorflow()
        wanted = (targets["value"] - targets["mean"]) / targets["std"]
        return tf.reduce_mean(tf.square(tf.cast(wanted, tf.float32) - only(outputs)))

    def values(self, targets: Any, outputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """(true, predicted), each ``(N,)`` in the target's unit. Raises InputError when there are none."""
        found = np.asarray(only(outputs), np.float64).reshape(-1)
        true, mean, std = (np.asarray(targets[name], np.float64).reshape(-1) for name in ("value", "mean", "std"))
        if not len(true):
            raise InputError("the error of no rows is not defined")
        if len(found) != len(true):
            raise InputError(f"{len(true)} values but {len(found)} answers")
        return true, np.nan_to_num(found * std + mean, nan=_WORST, posinf=_WORST, neginf=-_WORST)

    def metrics(self, targets: Any, outputs: Mapping[str, np.ndarray]) -> dict[str, float]:
        """``r2``: 1 minus the squared error by that of the mean of these rows; ``d2_absolute_error``: the same of
        absolute errors and the median; each 0 where the mean or median does better. ``rmse`` and ``mae``: in the
        target's unit.
        """
        true, found = self.values(targets, outputs)
        squared, absolute = float(np.mean((true - found) ** 2)), float(np.mean(np.abs(true - found)))
        return {
            "r2": _explained(squared, float(true.var())),
            "d2_absolute_error": _explained(absolute, float(np.mean(np.abs(true - np.median(true))))),
            "rmse": float(np.sqrt(squared)),
            "mae": absolute,
        }

    def predicted_values(self, targets: Any, outputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        return self.values(targets, outputs)

    def baselines(self, train: Examples, test: Examples, preprocessing: object) -> dict[str, dict[str, float]]:
        return regression_baselines(self, train, test, preprocessing)


def _explained(error: float, known: float) -> float:
    if known <= 0:
        return float(error == 0)
    return float(np.clip(1 - error / known, 0, 1))
