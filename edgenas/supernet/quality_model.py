"""What a controller expects of architectures that it has not tried: a regression on options, kept up step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgenas.search.models.encoding import option_counts
from edgenas.spaces.errors import InputError

Floats = npt.NDArray[np.float64]
Population = npt.NDArray[np.int16]

#: What was seen counts so much less after each step: the shared weights go on learning.
_MEMORY = 0.998
#: As much as so many architectures that are average: their qualities are noisy, and there are many options.
_PENALTY = 20.0


class QualityModel:
    """Ridge regression of qualities on the options of architectures.

    Args:
        space: its ``one_hot`` makes the features.
    """

    def __init__(self, space: Any) -> None:
        self._space = space
        width = 1 + sum(option_counts(space))
        self._square: Floats = np.zeros((width, width))
        self._product: Floats = np.zeros(width)

    @property
    def knows_anything(self) -> bool:
        return bool(self._square[0, 0])

    def learn(self, rows: Population, qualities: Floats) -> None:
        """Takes the (N,) qualities of (N, decisions) architectures into account."""
        features = self._features(rows)
        square = _MEMORY * self._square + features.T @ features
        product = _MEMORY * self._product + features.T @ qualities
        self._square, self._product = square, product

    def predict(self, rows: Population) -> Floats:
        """(N,) expected qualities."""
        # Deviations from the mean are shrunk, not the mean itself.
        mean = self._product[0] / self._square[0, 0]
        penalty = _PENALTY * np.eye(len(self._product))
        weights = np.linalg.solve(self._square + penalty, self._product - mean * self._square[0])
        return np.asarray(mean + self._features(rows) @ weights)

    def _features(self, rows: Population) -> Floats:
        return np.concatenate([np.ones((len(rows), 1)), self._space.one_hot(rows)], axis=1)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The whole state, for a checkpoint."""
        return {"model_square": self._square, "model_product": self._product}

    def set_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes over what :meth:`to_arrays` gave. Raises InputError when it is of another space."""
        if arrays["model_square"].shape != self._square.shape:
            raise InputError("the controller's state is of another space")
        self._square, self._product = (arrays[name].astype(np.float64) for name in ("model_square", "model_product"))
