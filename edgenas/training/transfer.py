"""Weights of finished trainings as the beginning of another network's, which shares names with them but not all shapes.

An array of the same shape is taken whole. Of another shape, what both have is taken and the rest keeps its random
values: the first channels, as wider networks hold narrower ones, and of a convolution's window the middle. Several
trainings are averaged where their arrays have the shape; else the first of them that has the name is sliced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.training.initial import InitialWeights, float_variables

_WINDOW_DIMENSIONS = {3: 1, 4: 2, 5: 3}
"""How many leading dimensions of a kernel of so many are its window."""


@dataclass(frozen=True)
class Transfer:
    """A beginning for :func:`edgenas.training.train`.

    Attributes:
        trainings: arrays by the name of their variable, of one or more trainings, the one to be preferred first.
        shares: how much each counts in an average, adding up to 1.
    """

    trainings: Sequence[Mapping[str, np.ndarray]]
    shares: Sequence[float]

    def __call__(self, model: Any) -> InitialWeights:
        """Sets what fits of a model's variables."""
        taken, sliced, missing, misfits = [], [], [], []
        names = set()
        for variable in float_variables(model):
            name, shape = variable.path, tuple(variable.shape)
            names.add(name)
            average = self._average(name, shape)
            if average is not None:
                variable.assign(average)
                taken.append(name)
                continue
            given = next((one[name] for one in self.trainings if name in one), None)
            if given is None:
                missing.append(name)
            elif given.ndim != len(shape):
                misfits.append(name)
            else:
                variable.assign(overlaid(np.asarray(variable), given, kernel=name.rpartition("/")[2] == "kernel"))
                sliced.append(name)
        given_names = {name for one in self.trainings for name in one}
        unused = tuple(sorted(given_names - names))
        return InitialWeights(tuple(taken), tuple(missing), tuple(misfits), unused, tuple(sliced))

    def _average(self, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        found = [
            (share, one[name])
            for share, one in zip(self.shares, self.trainings, strict=True)
            if name in one and one[name].shape == shape
        ]
        if not found:
            return None
        total = sum(share for share, _ in found)
        if not total > 0:
            return np.asarray(found[0][1], np.float32)
        return np.asarray(sum(share / total * values.astype(np.float64) for share, values in found), np.float32)


def overlaid(values: np.ndarray, given: np.ndarray, *, kernel: bool) -> np.ndarray:
    """``values`` with what ``given`` has in common with them in its place.

    >>> overlaid(np.zeros(3), np.ones(2), kernel=False)
    array([1., 1., 0.])
    """
    window = _WINDOW_DIMENSIONS.get(values.ndim, 0) if kernel else 0
    into, out_of = [], []
    for dimension, (mine, theirs) in enumerate(zip(values.shape, given.shape, strict=True)):
        common = min(mine, theirs)
        first = ((mine - common) // 2, (theirs - common) // 2) if dimension < window else (0, 0)
        into.append(slice(first[0], first[0] + common))
        out_of.append(slice(first[1], first[1] + common))
    changed = values.copy()
    changed[tuple(into)] = given[tuple(out_of)]
    return changed


def shares_of(kind: str, losses: Sequence[float]) -> tuple[float, ...]:
    """How much each training counts: all alike, or by softmax of the negative loss (Model Search).

    >>> shares_of("uniform_average", (1.0, 2.0)), [round(share, 3) for share in shares_of("loss_weighted", (1.0, 2.0))]
    ((0.5, 0.5), [0.731, 0.269])
    """
    values = np.array(losses, np.float64)
    if kind != "loss_weighted" or not np.isfinite(values).all():
        return (1 / len(values),) * len(values)
    powers = np.exp(values.min() - values)
    return tuple(float(share) for share in powers / powers.sum())
