"""Networks that others learn from: made of a trial's weights, or read from a user's file and checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.spaces.tensor import Shape
from edgenas.tasks.ends import listed
from edgenas.training.archives import check_archive


def trained_model(network: Network, arrays: Mapping[str, np.ndarray]) -> Any:
    """A network's model with given weights. Raises InputError when some are missing or of another shape."""
    from edgenas.export.keras.builder import build_keras
    from edgenas.training.initial import set_initial_weights

    model = build_keras(network)
    found = set_initial_weights(model, arrays)
    if wrong := (*found.missing, *found.misfits):
        raise InputError(f"weights of {network.name!r}: {wrong[0]} is missing or of another shape")
    return model


def read_teacher(path: Path) -> Any:
    """The model in a .keras file. Raises InputError when there is none, or it cannot be read."""
    from edgenas.export._tensorflow import keras

    if not path.is_file():
        raise InputError(f"distillation.teacher: {path}: no such file")
    check_archive(path, "distillation.teacher")
    try:
        return keras().models.load_model(path, compile=False)
    except Exception as error:  # whatever Keras and zip say of a damaged file
        words = " ".join(str(error).split())[:200]
        raise InputError(f"distillation.teacher: {path}: cannot be read as a Keras model ({words})") from None


def check_teacher(model: Any, network: Network, source: str) -> None:
    """Raises InputError when a model does not take what a network takes, or does not answer as it does."""
    wanted = [tuple(shape) for _, shape in network.inputs], [tuple(shape) for shape in network.graph.output_shapes]
    found = _shapes(model.inputs), _shapes(model.outputs)
    for what, theirs, ours in zip(("takes", "gives"), found, wanted, strict=True):
        fits = len(theirs) == len(ours) and all(_fits(one, other) for one, other in zip(theirs, ours, strict=True))
        if not fits:
            raise InputError(
                f"distillation.teacher: {source} {what} {_words(theirs)}, the networks of this run {_words(ours)}; "
                "expected a model of the same inputs and outputs"
            )
    last = getattr(getattr(model, "layers", [None])[-1], "activation", None)
    if getattr(last, "__name__", "") == "softmax":
        raise InputError(
            f"distillation.teacher: {source} ends in a softmax, expected logits: give its last layer no activation"
        )


def _shapes(tensors: Any) -> list[tuple[int | None, ...]]:
    return [tuple(tensor.shape)[1:] for tensor in tensors]


def _fits(found: tuple[int | None, ...], wanted: Shape) -> bool:
    return len(found) == len(wanted) and all(one in (None, other) for one, other in zip(found, wanted, strict=True))


def _words(shapes: Any) -> str:
    return listed({str(place): shape for place, shape in enumerate(shapes)})
