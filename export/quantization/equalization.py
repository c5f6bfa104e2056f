"""Cross-layer equalisation: channels of neighbouring layers scaled against each other, so that int8 fits all of them.

A relu (or nothing) between two layers lets a factor pass: channel i of the first layer is divided by ``s_i`` and the
second layer's weights on it are multiplied by ``s_i``, which changes no output in float. With
``s_i = sqrt(range1_i / range2_i)`` both layers use the same range on the channel (Nagel et al., arXiv 1906.04721,
equation 11). relu6 and hard swish do not let factors pass, so such pairs are left alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.export.keras.builder import build_graph
from edgenas.export.keras.folding import Weights, fold_batch_norms, layer_weights
from edgenas.export.quantization import convert
from edgenas.export.verify import tflite_logits
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import OpGraph, OpNode
from edgenas.spaces.network import Network
from edgenas.spaces.ops import Activation, Convolution, Dense, DepthwiseConvolution, Op

#: Kernels of which it is known how inputs and outputs lie in them.
_KNOWN_KERNELS = (Convolution, DepthwiseConvolution, Dense)
_ITERATIONS = 20
_SMALLEST_RANGE = 1e-8
#: Factors beyond this only move a useless channel around.
_LARGEST_FACTOR = 1e3
#: One of so many calibration images is held out to compare with.
_HELD_OUT = 5


@dataclass(frozen=True)
class Equalization:
    """What was found: how many ``pairs``, the mean squared int8 error of logits without and with, which was kept.

    An error is infinite when no runtime takes the file.
    """

    pairs: int
    error_without: float | None = None
    error_with: float | None = None

    @property
    def applied(self) -> bool:
        return self.error_with is not None and self.error_without is not None and self.error_with < self.error_without

    def to_json(self) -> dict[str, Any]:
        return {
            "pairs": self.pairs,
            "applied": self.applied,
            "error_without": _finite(self.error_without),
            "error_with": _finite(self.error_with),
        }


def _finite(error: float | None) -> float | None:
    return error if error is not None and math.isfinite(error) else None


def equalized_conversion(
    network: Network, model: Any, quantization: str, calibration: np.ndarray
) -> tuple[bytes, dict[str, Any]]:
    """The better of two conversions, without and with equalisation, and what was measured.

    Four fifths of the calibration images set the ranges of both; on the rest the logits of both files are compared
    with the float model's. Arguments and errors are those of :func:`edgenas.export.quantization.convert`; ``network``
    is what
    ``model`` was built from.
    """
    graph, weights = fold_batch_norms(network.graph, layer_weights(model))
    pairs = equalizable_pairs(graph)
    if not pairs or len(calibration) < 2 * _HELD_OUT:
        return convert(model, quantization=quantization, calibration=calibration), Equalization(len(pairs)).to_json()
    held_out = np.arange(len(calibration)) % _HELD_OUT == 0
    other = build_graph(graph, network.name, weights=equalize(graph, weights))
    expected = np.asarray(model(calibration[held_out], training=False))
    files, errors = [], []
    for candidate in (model, other):
        files.append(convert(candidate, quantization=quantization, calibration=calibration[~held_out]))
        errors.append(_error(files[-1], calibration[held_out], expected))
    found = Equalization(len(pairs), *errors)
    return files[1] if found.applied else files[0], found.to_json()


def _error(file: bytes, images: np.ndarray, expected: np.ndarray) -> float:
    """Mean squared difference of logits; infinite for a file whose scales are so far apart that no runtime takes it."""
    try:
        return float(np.mean((tflite_logits(file, images, processes=1) - expected) ** 2))
    except InputError:
        return math.inf


def equalizable_pairs(graph: OpGraph) -> tuple[tuple[str, str], ...]:
    """Names of weighted ops of which the second reads nothing but the first, directly or through a relu.

    The graph is one without batch norms; see :func:`edgenas.export.keras.folding.fold_batch_norms`.
    """
    readers: dict[str, list[OpNode]] = {node.name: [] for node in graph.nodes}
    for node in graph.nodes:
        for source in node.inputs:
            if source in readers:
                readers[source].append(node)
    pairs = []
    shared = {name for node in graph.nodes if node.weights is not None for name in (node.name, node.weights)}
    for node in graph.nodes:
        following = _only_reader(graph, readers, node) if _is_scalable(node) else None
        if following is not None and isinstance(following.op, Activation) and following.op.kind == "relu":
            following = _only_reader(graph, readers, following)
        if following is not None and _is_scalable(following) and not shared & {node.name, following.name}:
            pairs.append((node.name, following.name))
    return tuple(pairs)


def _is_scalable(node: OpNode) -> bool:
    return isinstance(node.op, _KNOWN_KERNELS)


def equalize(graph: OpGraph, weights: Mapping[str, list[np.ndarray]]) -> Weights:
    """Weights of the folded graph with every pair equalised, over and over until nothing moves."""
    ops = {node.name: node.op for node in graph.nodes}
    equal: Weights = {name: [array.astype(np.float64) for array in arrays] for name, arrays in weights.items()}
    pairs = equalizable_pairs(graph)
    for _ in range(_ITERATIONS):
        largest = 1.0
        for first, second in pairs:
            factor = np.sqrt(
                _output_ranges(ops[first], equal[first][0]) / _input_ranges(ops[second], equal[second][0])
            ).clip(1 / _LARGEST_FACTOR, _LARGEST_FACTOR)
            equal[first] = [
                _scale_outputs(ops[first], equal[first][0], 1 / factor),
                *(array / factor for array in equal[first][1:]),
            ]
            equal[second] = [_scale_inputs(ops[second], equal[second][0], factor), *equal[second][1:]]
            largest = max(largest, float(factor.max()), float(1 / factor.min()))
        if largest < 1.001:
            break
    return {name: [array.astype(np.float32) for array in arrays] for name, arrays in equal.items()}


def _only_reader(graph: OpGraph, readers: Mapping[str, list[OpNode]], node: OpNode) -> OpNode | None:
    if node.name in graph.outputs or len(readers[node.name]) != 1:
        return None
    return readers[node.name][0]


def _by_channel(op: Op, kernel: np.ndarray) -> np.ndarray:
    """A depthwise kernel ``(k, k, channels, 1)`` with its channels last, others as they are."""
    return kernel[..., 0] if isinstance(op, DepthwiseConvolution) else kernel


def _output_ranges(op: Op, kernel: np.ndarray) -> np.ndarray:
    channels = _by_channel(op, kernel)
    return np.abs(channels).reshape(-1, channels.shape[-1]).max(axis=0).clip(_SMALLEST_RANGE)


def _input_ranges(op: Op, kernel: np.ndarray) -> np.ndarray:
    if isinstance(op, DepthwiseConvolution):
        return _output_ranges(op, kernel)
    return _grouped(op, np.abs(kernel)).max(axis=(0, 3)).reshape(-1).clip(_SMALLEST_RANGE)


def _scale_outputs(op: Op, kernel: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return kernel * (factor[:, None] if isinstance(op, DepthwiseConvolution) else factor)


def _scale_inputs(op: Op, kernel: np.ndarray, factor: np.ndarray) -> np.ndarray:
    if isinstance(op, DepthwiseConvolution):
        return _scale_outputs(op, kernel, factor)
    grouped = _grouped(op, kernel)
    scaled = grouped * factor.reshape(grouped.shape[1], grouped.shape[2])[None, :, :, None]
    return np.moveaxis(scaled, 1, 2).reshape(kernel.shape)


def _grouped(op: Op, kernel: np.ndarray) -> np.ndarray:
    """``(pixels, groups, input channels of a group, filters of a group)`` of a convolution's or a dense kernel."""
    groups = op.groups if isinstance(op, Convolution) else 1
    inputs, filters = kernel.shape[-2:]
    return np.moveaxis(kernel.reshape(-1, inputs, groups, filters // groups), 2, 1)
