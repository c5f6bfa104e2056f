"""Tensors that integers cannot hold, found before conversion and named: the converter and compilers only fail on them.

An infinite or empty range makes a scale of infinity or 0, for which the Edge TPU compiler aborts without a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.export.quantization.recipe import Calibration, per_input
from edgenas.spaces.errors import WorkError

_IMAGES = 32
_IMAGES_AT_ONCE = 8
_SHOWN = 5


@dataclass(frozen=True)
class Degenerate:
    """A layer with a tensor that quantizes badly: what is wrong, why that matters, and what to do.

    ``is_fatal``: no integer model can come of it. Others only waste what they take.
    """

    layer: str
    problem: str
    why: str
    fix: str
    is_fatal: bool

    def __str__(self) -> str:
        return f"layer {self.layer!r}: {self.problem}: {self.why}; {self.fix}"

    def to_json(self) -> dict[str, Any]:
        return {"layer": self.layer, "problem": self.problem, "why": self.why, "fix": self.fix, "fatal": self.is_fatal}


def require_quantizable(model: Any, images: Calibration) -> list[Degenerate]:
    """What :func:`find_degenerate` finds, when none of it is fatal. Raises WorkError with the fatal ones otherwise."""
    found = find_degenerate(model, images)
    fatal = [str(item) for item in found if item.is_fatal]
    if fatal:
        raise WorkError(f"model {model.name!r} cannot be quantized: {'; '.join(fatal[:_SHOWN])}")
    return found


def find_degenerate(model: Any, images: Calibration) -> list[Degenerate]:
    """The layers of a Keras model whose weights or activations have no usable range, in the model's order.

    Args:
        model: functional Keras or tf-keras model.
        images: preprocessed calibration images, or an array of examples for each input; some of them are looked at.
    """
    lows, highs = _channel_ranges(model, [values[:_IMAGES] for values in per_input(images)])
    found: list[Degenerate] = []
    for layer in model.layers:
        weights = _weight_problem(layer)
        if weights is not None:
            found.append(weights)
        if layer.name in lows:
            activations = _activation_problem(layer.name, lows[layer.name], highs[layer.name])
            if activations is not None:
                found.append(activations)
    return found


def _weight_problem(layer: Any) -> Degenerate | None:
    for variable in layer.weights:
        values = np.asarray(variable.numpy() if hasattr(variable, "numpy") else variable)
        if not np.isfinite(values).all():
            count = int((~np.isfinite(values)).sum())
            return Degenerate(
                layer.name,
                f"{count} of {values.size} values of {variable.name!r} are not finite numbers",
                "the training diverged",
                "train again with a lower learning rate or a longer warm-up",
                True,
            )
    kernel = getattr(layer, "kernel", None)
    if kernel is None or len(kernel.shape) < 2 or hasattr(layer, "depthwise_kernel"):
        return None
    values = np.asarray(kernel.numpy())
    dead = np.flatnonzero(np.abs(values).reshape(-1, values.shape[-1]).max(axis=0) == 0)
    if not dead.size:
        return None
    return Degenerate(
        layer.name,
        f"{dead.size} of {values.shape[-1]} output channels have no weight but 0 (channels {_listed(dead)})",
        "they cost time and say nothing, and their scale is arbitrary",
        "use fewer filters, or less weight decay or sparsity",
        False,
    )


def _activation_problem(name: str, low: np.ndarray, high: np.ndarray) -> Degenerate | None:
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return Degenerate(
            name,
            "its output is not finite on calibration images",
            "a batch norm's variance is next to 0 or weights are huge, so the scale is infinite",
            "train again with a lower learning rate, or clip the weights",
            True,
        )
    if low.min() == high.max() == 0:
        return Degenerate(
            name,
            "its output is 0 on all calibration images",
            "there is no range to set a scale from, and what follows does not see the image",
            "train again with a lower learning rate, or calibrate on images like those it was trained on",
            False,
        )
    dead = np.flatnonzero((low == 0) & (high == 0))
    if dead.size * 2 > low.size:
        return Degenerate(
            name,
            f"{dead.size} of {low.size} channels are 0 on all calibration images (channels {_listed(dead)})",
            "they cost time and say nothing",
            "use fewer filters or less weight decay",
            False,
        )
    return None


def _channel_ranges(model: Any, inputs: list[np.ndarray]) -> tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
    """Smallest and largest value per channel of every layer's output."""
    layers = [layer for layer in model.layers if not isinstance(layer.output, (list, tuple))]
    probe = type(model)(model.inputs, [layer.output for layer in layers])
    lows: dict[str, np.ndarray] = {}
    highs: dict[str, np.ndarray] = {}
    for start in range(0, len(inputs[0]), _IMAGES_AT_ONCE):
        outputs = probe([values[start : start + _IMAGES_AT_ONCE] for values in inputs], training=False)
        for layer, output in zip(layers, outputs, strict=True):
            values = np.asarray(output).reshape(-1, output.shape[-1])
            low, high = values.min(axis=0), values.max(axis=0)
            lows[layer.name] = np.minimum(lows.get(layer.name, low), low)
            highs[layer.name] = np.maximum(highs.get(layer.name, high), high)
    return lows, highs


def _listed(indices: np.ndarray) -> str:
    more = ", ..." if indices.size > _SHOWN else ""
    return ", ".join(map(str, indices[:_SHOWN].tolist())) + more
