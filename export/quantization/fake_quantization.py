"""A network that computes as its int8 file will, for quantization-aware training: rounding where the file rounds.

The network is rebuilt in tf-keras from its folded ops, and each layer is wrapped by the quantization toolkit
(tensorflow-model-optimization): weights are rounded per output channel, and every tensor that the file will hold is
rounded with the range that was seen on calibration images, which training then adjusts (Jacob et al.,
arXiv 1712.05877). Which tensors those are follows from what the converter fuses: a convolution before a relu has no
tensor of its own, one before a hard swish has. Ranges of gates are those that the runtime prescribes.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from edgenas.export._console import quiet_console
from edgenas.export._tensorflow import tensorflow
from edgenas.export.keras.builder import build_graph
from edgenas.export.keras.folding import Weights
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import OpGraph, OpNode
from edgenas.spaces.ops import Activation, Op

#: By op name (and by input name), the smallest and the largest value seen.
Ranges = dict[str, tuple[float, float]]

_FUSED = ("relu", "relu6")
#: The runtime fixes the scale of a sigmoid's output to 1/256.
_SIGMOID_RANGE = (0.0, 255 / 256)
_SMALLEST_BOUND = 1e-6
_IMAGES_AT_ONCE = 64


def quantization_toolkit() -> SimpleNamespace:
    """What is used of tf-keras and tensorflow-model-optimization: ``layers``, ``wrap``, ``weights``, ``activations``.

    Raises InputError that names the extra when they are not installed.
    """
    tensorflow()
    return _toolkit()


@lru_cache(maxsize=1)
def _toolkit() -> SimpleNamespace:
    root = "tensorflow_model_optimization.python.core.quantization.keras"
    try:
        with quiet_console():
            tf_keras = importlib.import_module("tf_keras")
            quantization = importlib.import_module("tensorflow_model_optimization").quantization.keras
            wrapper = importlib.import_module(f"{root}.quantize_wrapper").QuantizeWrapperV2
            input_layer = importlib.import_module(f"{root}.quantize_layer").QuantizeLayer
    except ImportError as error:
        raise InputError(
            f"quantization-aware training needs tensorflow-model-optimization and tf-keras ({error}): "
            f"pip install 'edgenas[qat]'"
        ) from None
    config, activations = _toolkit_classes(quantization, quantization.quantizers, tf_keras)
    return SimpleNamespace(
        layers=tf_keras.layers, wrapper=wrapper, input_layer=input_layer, config=config, activations=activations
    )


def _toolkit_classes(quantization: Any, quantizers: Any, tf_keras: Any) -> tuple[Any, Any]:
    """The toolkit's interfaces filled in: how a layer is rounded, and a range that starts at given bounds."""

    class Activations(quantizers.MovingAverageQuantizer):
        """Per-tensor asymmetric int8 whose range starts at bounds that were seen."""

        def __init__(self, bounds: tuple[float, float]) -> None:
            super().__init__(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)
            self.bounds = min(bounds[0], 0.0), max(bounds[1], 0.0)

        def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
            return {
                f"{end}_var": layer.add_weight(
                    name=f"{name}_{end}",
                    shape=(),
                    initializer=tf_keras.initializers.Constant(bound),
                    trainable=False,
                )
                for end, bound in zip(("min", "max"), self.bounds, strict=True)
            }

    class Kernels(quantizers.Quantizer):
        """Symmetric int8, ranged by the weights themselves: per output channel, for dense ops as a whole.

        The toolkit's own quantizer lags one step behind the weights, and rounds depthwise kernels as a whole; the
        converter cannot take a range per output of a matrix product.
        """

        def __init__(self, op: Op) -> None:
            self.op = op

        def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
            bounds = _kernel_bounds(self.op, np.asarray(_kernel_variable(layer.layer)))
            return {
                "bounds": layer.add_weight(
                    name=f"{name}_bounds",
                    shape=bounds.shape,
                    initializer=tf_keras.initializers.Constant(bounds),
                    trainable=False,
                )
            }

        def __call__(self, inputs: Any, training: bool, weights: dict[str, Any], **kwargs: Any) -> Any:
            tf = tensorflow()
            traits = self.op.traits
            kernel = tf.transpose(inputs, (0, 1, 3, 2)) if traits.kernel_axis == -2 else inputs
            bounds: Any = weights["bounds"]
            if training:
                axes = tuple(range(len(kernel.shape) - 1)) if traits.per_channel else None
                bounds = tf.maximum(tf.reduce_max(tf.abs(tf.stop_gradient(kernel)), axes), _SMALLEST_BOUND)
            functions = tf.quantization
            per_tensor, per_channel = (
                functions.fake_quant_with_min_max_vars,
                functions.fake_quant_with_min_max_vars_per_channel,
            )
            rounded = (per_channel if traits.per_channel else per_tensor)(kernel, -bounds, bounds, narrow_range=True)
            return tf.transpose(rounded, (0, 1, 3, 2)) if traits.kernel_axis == -2 else rounded

        def get_config(self) -> dict[str, Any]:
            return {"op": self.op}

    class Config(quantization.QuantizeConfig):
        """Rounds the kernel of a layer if it has one, and its output if bounds are given."""

        def __init__(self, op: Op, bounds: tuple[float, float] | None) -> None:
            self.op = op
            self.bounds = bounds

        def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
            if not self.op.traits.has_kernel:
                return []
            return [(_kernel_variable(layer), Kernels(self.op))]

        def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
            if quantize_weights:
                setattr(layer, _kernel_name(layer), quantize_weights[0])

        def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
            return []

        def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
            return None

        def get_output_quantizers(self, layer: Any) -> list[Any]:
            return [] if self.bounds is None else [Activations(self.bounds)]

        def get_config(self) -> dict[str, Any]:
            return {"op": self.op, "bounds": self.bounds}

    return Config, Activations


def _kernel_name(layer: Any) -> str:
    return "depthwise_kernel" if hasattr(layer, "depthwise_kernel") else "kernel"


def _kernel_variable(layer: Any) -> Any:
    return getattr(layer, _kernel_name(layer))


def _kernel_bounds(op: Op, kernel: np.ndarray) -> np.ndarray:
    magnitudes = np.moveaxis(np.abs(kernel), op.traits.kernel_axis, -1)
    axes = tuple(range(magnitudes.ndim - 1)) if op.traits.per_channel else None
    return np.maximum(magnitudes.max(axis=axes), _SMALLEST_BOUND).astype(np.float32)


def activation_ranges(graph: OpGraph, weights: Weights, images: np.ndarray) -> Ranges:
    """Smallest and largest value of the network's input and of every op's output over the images."""
    layers = quantization_toolkit().layers
    model = build_graph(graph, "ranges", layers=layers, weights=weights)
    names = [graph.inputs[0][0], *(node.name for node in graph.nodes)]
    tensors = [model.get_layer(name).output for name in names]
    tf = tensorflow()
    probe = type(model)(model.inputs[0], [(tf.reduce_min(tensor), tf.reduce_max(tensor)) for tensor in tensors])
    forward = tf.function(probe, autograph=False)
    found = np.array(
        [np.array(forward(images[at : at + _IMAGES_AT_ONCE])) for at in range(0, len(images), _IMAGES_AT_ONCE)]
    )
    lows, highs = found[..., 0].min(axis=0), found[..., 1].max(axis=0)
    return {name: (float(low), float(high)) for name, low, high in zip(names, lows, highs, strict=True)}


def quantize_aware(graph: OpGraph, weights: Weights, ranges: Mapping[str, tuple[float, float]], name: str) -> Any:
    """The tf-keras model of a folded graph with fake quantization, ready to train or to convert.

    Args:
        graph: without batch norms; see :func:`edgenas.export.keras.folding.fold_batch_norms`.
        weights: of the graph's ops, copied exactly.
        ranges: where the ranges of the tensors start; see :func:`activation_ranges`.
        name: of the model.

    Raises:
        InputError: the extra ``edgenas[qat]`` is not installed.
    """
    toolkit = quantization_toolkit()
    stored = stored_tensors(graph)
    weights = _distinct_biases(graph, weights)

    def wrap(node: OpNode, layer: Any) -> Any:
        if isinstance(node.op, Activation) and node.op.kind in _INTEGER_GATES:
            layer = toolkit.layers.Activation(_INTEGER_GATES[node.op.kind], name=node.name)
        bounds = ranges[node.name] if node.name in stored else None
        if bounds is None and not node.op.traits.has_kernel:
            return layer
        if isinstance(node.op, Activation) and node.op.kind == "sigmoid":
            bounds = _SIGMOID_RANGE
        return toolkit.wrapper(layer, toolkit.config(node.op, bounds), name_prefix="")

    def after_input(source: str) -> Any:
        return toolkit.input_layer(toolkit.activations(ranges[source]), name=f"quantize_{source}")

    return build_graph(graph, name, layers=toolkit.layers, weights=weights, wrap=wrap, after_input=after_input)


def _distinct_biases(graph: OpGraph, weights: Weights) -> Weights:
    """The weights with equal biases before a hard sigmoid told apart by a millionth.

    The converter adds the sigmoid's 3 to them, and rounds a vector of equal biases with its first channel's scale
    (TensorFlow 2.21). Only networks that were never trained have such.
    """
    distinct = dict(weights)
    for node in graph.nodes:
        arrays = weights.get(node.inputs[0], [])
        is_gate = isinstance(node.op, Activation) and node.op.kind == "hard_sigmoid"
        if is_gate and len(arrays) == 2 and np.ptp(arrays[1]) < _SMALLEST_BOUND:
            distinct[node.inputs[0]] = [arrays[0], arrays[1] + _SMALLEST_BOUND * (np.arange(len(arrays[1])) % 2)]
    return distinct


def is_quantize_aware(model: Any) -> bool:
    """Whether a model was made by :func:`quantize_aware`."""
    return any(type(layer).__name__ == "QuantizeWrapperV2" for layer in model.layers)


def kernel_variables(model: Any) -> dict[str, Any]:
    """The trainable kernels of a model that :func:`quantize_aware` made, by op name."""
    return {wrapper.layer.name: wrapper._weight_vars[0][0] for wrapper in _weighted(model)}


def settle_kernel_ranges(model: Any) -> None:
    """Takes over the ranges of the kernels as they are now: after training, before evaluation and conversion."""
    for wrapper in _weighted(model):
        kernel, quantizer, variables = wrapper._weight_vars[0]
        variables["bounds"].assign(_kernel_bounds(quantizer.op, np.asarray(kernel)))


def _weighted(model: Any) -> list[Any]:
    return [layer for layer in model.layers if getattr(layer, "_weight_vars", None)]


def stored_tensors(graph: OpGraph) -> frozenset[str]:
    """Names of the ops whose outputs the integer file holds as tensors with a range of their own.

    The others are fused into their only reader, take over the range of their input (pools), or are gone (dropout).
    """
    readers: dict[str, list[Op]] = {node.name: [] for node in graph.nodes}
    for node in graph.nodes:
        for source in node.inputs:
            if source in readers:
                readers[source].append(node.op)
    stored = set()
    for node in graph.nodes:
        if node.op.traits.keeps_range or node.op.does_nothing(*graph.input_shapes(node)):
            continue
        fusable = (*_FUSED, "hard_sigmoid") if node.op.traits.has_kernel else _FUSED
        only = readers[node.name][0] if len(readers[node.name]) == 1 and node.name not in graph.outputs else None
        fused = isinstance(only, Activation) and only.kind in fusable and node.op.traits.fuses_activation
        if not fused:
            stored.add(node.name)
    return frozenset(stored)


def _hard_sigmoid(x: Any) -> Any:
    tf = tensorflow()
    return tf.quantization.fake_quant_with_min_max_args(tf.nn.relu6(x + 3.0), 0.0, 6.0) * (1 / 6)


def _swish(x: Any) -> Any:
    tf = tensorflow()
    return x * tf.quantization.fake_quant_with_min_max_args(tf.sigmoid(x), *_SIGMOID_RANGE)


#: Activations that the file computes in two steps, with the tensor between them rounded too.
_INTEGER_GATES = {"hard_sigmoid": _hard_sigmoid, "swish": _swish}
