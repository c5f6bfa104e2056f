"""Ridge regression whose penalty is chosen by leave-one-out, for tens to hundreds of examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
#: With fewer examples than this, their mean is all that is learnt.
FEWEST = 5


@dataclass(frozen=True)
class Ridge:
    """A fitted regression.

    Attributes:
        error: root mean square of its errors on examples that were left out one by one.
    """

    offset: float
    weights: Floats
    centre: Floats
    scale: Floats
    error: float

    def predict(self, features: Floats) -> Floats:
        """(N,) of (N, features)."""
        return np.asarray(self.offset + (features - self.centre) / self.scale @ self.weights)


def fit_ridge(features: Floats, targets: Floats) -> Ridge:
    """Fits (N, features) to (N,), with the penalty whose left-out errors are least; the mean where none is better.

    >>> rng = np.random.default_rng(0)
    >>> features = rng.normal(size=(60, 4))
    >>> model = fit_ridge(features, 1.0 + features @ [2.0, 0.0, -1.0, 0.0])
    >>> model.predict(np.array([[1.0, 0.0, 0.0, 0.0]])).round(1).tolist()
    [3.0]
    """
    count, width = features.shape
    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    offset = float(targets.mean())
    # Leaving one out of a mean enlarges its error by this factor.
    alone = float(np.sqrt(np.mean((targets - offset) ** 2))) * count / max(1, count - 1)
    best = Ridge(offset, np.zeros(width), centre, scale, alone)
    if count < FEWEST:
        return best
    standard = (features - centre) / scale
    left, values, right = np.linalg.svd(standard, full_matrices=False)
    projected = left.T @ (targets - offset)
    for penalty in _PENALTIES:
        shrunk = values**2 / (values**2 + penalty)
        fitted = left @ (shrunk * projected)
        # The row's own share of its prediction, the mean's included: errors without it follow without fitting again.
        leverage = (left**2) @ shrunk + 1.0 / count
        errors = (targets - offset - fitted) / np.maximum(1.0 - leverage, 1e-6)
        error = float(np.sqrt(np.mean(errors**2)))
        if error < best.error:
            best = Ridge(offset, right.T @ (values / (values**2 + penalty) * projected), centre, scale, error)
    return best
