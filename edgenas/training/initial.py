"""Weights from elsewhere to begin a training with: another training, a supernet, a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class InitialWeights:
    """What became of them, as names of variables.

    Attributes:
        taken: those that fit by name and shape.
        missing: variables of the model that nothing was given for; they keep their random values.
        misfits: given, but of another shape; likewise.
        unused: given, but not in the model.
        sliced: given in another shape, of which what both have was taken.
    """

    taken: tuple[str, ...]
    missing: tuple[str, ...]
    misfits: tuple[str, ...]
    unused: tuple[str, ...]
    sliced: tuple[str, ...] = ()


def weights_by_name(model: Any) -> dict[str, np.ndarray]:
    """All variables of a Keras model, batch-norm statistics included, by path: ``stem.conv/kernel``."""
    return {variable.path: np.asarray(variable) for variable in float_variables(model)}


def set_initial_weights(model: Any, weights: Mapping[str, np.ndarray]) -> InitialWeights:
    """Sets the variables that are in ``weights`` under their path and of their shape; leaves the others."""
    taken, missing, misfits = [], [], []
    variables = {variable.path: variable for variable in float_variables(model)}
    for name, variable in variables.items():
        if name not in weights:
            missing.append(name)
        elif tuple(np.shape(weights[name])) != tuple(variable.shape):
            misfits.append(name)
        else:
            variable.assign(np.asarray(weights[name], np.float32))
            taken.append(name)
    unused = [name for name in weights if name not in variables]
    return InitialWeights(tuple(taken), tuple(missing), tuple(misfits), tuple(unused))


def float_variables(model: Any) -> list[Any]:
    """All variables of a model without the counters of random generators, which are no weights."""
    return [variable for variable in model.variables if str(variable.dtype).startswith("float")]
