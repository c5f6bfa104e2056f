"""What a network takes along from a supernet, as a training of its own begins with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgenas.spaces.network import Network


def variables_of(network: Network, weights: Mapping[str, Sequence[np.ndarray]]) -> dict[str, np.ndarray]:
    """The weights of :meth:`Supernet.decode` by the path of the variable that begins with them, ``stem.conv/kernel``.

    As :func:`edgenas.training.train` takes them as ``initial``.
    """
    from edgenas.export.keras.builder import build_keras

    found = {}
    for layer in build_keras(network, seed=0).layers:
        for variable, array in zip(layer.weights, weights.get(layer.name, ()), strict=False):
            found[variable.path] = array
    return found
