"""What needs no search: the most frequent class or the mean, and a linear model of the same features.

Both are fitted on all training rows, in NumPy: ridge regression in closed form, logistic regression step by step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgenas.data.examples import Examples
    from edgenas.tasks.task import Task

#: Weight of the squared coefficients, beside the sum of the rows' losses.
_RIDGE = 1.0
_STEPS = 300


def classifier_baselines(
    task: Task, train: Examples, test: Examples, preprocessing: Any
) -> dict[str, dict[str, float]]:
    """Metrics on the test rows of ``most frequent class`` and ``logistic regression``."""
    labels = np.asarray(train.targets)
    classes = int(labels.max()) + 1
    shares = np.bincount(labels, minlength=classes) / len(labels)
    constant = np.tile(np.log(shares.clip(1e-7)), (len(test), 1))
    features, of_test = (_with_one(_features(task, rows, preprocessing)) for rows in (train, test))
    return {
        "most frequent class": task.metrics(test.targets, {"logits": constant}),
        "logistic regression": task.metrics(test.targets, {"logits": of_test @ logistic(features, labels, classes)}),
    }


def regression_baselines(
    task: Task, train: Examples, test: Examples, preprocessing: Any
) -> dict[str, dict[str, float]]:
    """Metrics on the test rows of ``mean`` and ``linear regression``."""
    values = (train.targets["value"] - train.targets["mean"]) / train.targets["std"]
    features, of_test = (_with_one(_features(task, rows, preprocessing)) for rows in (train, test))
    return {
        "mean": task.metrics(test.targets, {"value": np.full((len(test), 1), float(values.mean()))}),
        "linear regression": task.metrics(test.targets, {"value": of_test @ ridge(features, values)}),
    }


def ridge(features: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(features, outputs) coefficients; the last feature is 1, whose coefficient is free."""
    return np.asarray(np.linalg.solve(features.T @ features + _penalty(features), features.T @ values))


def logistic(features: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """(features, classes) coefficients of a multinomial model, by steps of a bound of its curvature (Böhning 1992)."""
    truth = np.eye(classes)[labels]
    bound = np.linalg.inv(0.5 * features.T @ features + _penalty(features) + 1e-6 * np.eye(features.shape[1]))
    penalty = _penalty(features)
    coefficients = np.zeros((features.shape[1], classes))
    for _ in range(_STEPS):
        logits = features @ coefficients
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares = powers / powers.sum(axis=1, keepdims=True)
        step = bound @ (features.T @ (truth - shares) - penalty @ coefficients)
        coefficients += step
        if np.abs(step).max() < 1e-5:
            break
    return coefficients


def _features(task: Task, rows: Examples, preprocessing: Any) -> np.ndarray:
    (features,) = task.prepare(rows.batch(slice(None))[0], preprocessing).values()
    return features.astype(np.float64)


def _with_one(features: np.ndarray) -> np.ndarray:
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)


def _penalty(features: np.ndarray) -> np.ndarray:
    penalty = _RIDGE * np.eye(features.shape[1])
    penalty[-1, -1] = 1e-9
    return penalty
