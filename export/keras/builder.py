"""Network -> Keras: one layer per op, for training as well as for conversion.

A function per op class makes its layer (:func:`keras_layer`); :func:`build_keras` walks a network's ops and wires the
layers into a functional model. Layers are named after their ops (``node.op``), so weights carry over by name between
two builds. The namespace of the layers is an argument: the same code builds with ``keras.layers`` and with
``tf_keras.layers``.
"""

from __future__ import annotations

import importlib
import math
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from edgenas.export._tensorflow import keras, tensorflow
from edgenas.export.keras.grouped_convolution import grouped_conv2d_class
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import OpGraph, OpNode
from edgenas.spaces.network import Network
from edgenas.spaces.ops import (
    Activation,
    Add,
    BatchNorm,
    Convolution,
    Dense,
    DepthwiseConvolution,
    Dropout,
    GlobalAveragePool,
    Multiply,
    Op,
    Pool,
    Shape,
)


@dataclass(frozen=True)
class LayerSettings:
    """What a layer is made with, besides its op: its name, its seed, its input shapes, and where layers come from."""

    name: str
    seed: int
    input_shapes: tuple[Shape, ...]
    layers: Any

    def normal(self, fan: float, gain: float = 2.0) -> Any:
        """Initialiser drawing from a normal distribution of variance ``gain / fan`` (He et al., arXiv 1502.01852)."""
        return _parent(self.layers).initializers.RandomNormal(stddev=math.sqrt(gain / fan), seed=self.seed)

    @property
    def register(self) -> Any:
        """Decorator maker for what is not Keras's own, so that models with it can be cloned and saved."""
        return _parent(self.layers).saving.register_keras_serializable


OpType = TypeVar("OpType", bound=Op)
LayerFunction = Callable[[Any, LayerSettings], Any]

_LAYER_FUNCTIONS: dict[type[Op], LayerFunction] = {}


def layer_for(op_class: type[Op]) -> Callable[[LayerFunction], LayerFunction]:
    """Decorator: the function that makes the Keras layer of an op class, called with the op and LayerSettings."""

    def register(function: LayerFunction) -> LayerFunction:
        _LAYER_FUNCTIONS[op_class] = function
        return function

    return register


def keras_layer(op: Op, settings: LayerSettings) -> Any:
    """The layer of one op, not yet called. An op of several inputs is called with the list of them.

    Raises InputError for an op class that nobody has registered a layer for.
    """
    for module in ("computed_layers", "recurrent"):  # register what Keras has no layer for
        importlib.import_module(f"edgenas.export.keras.{module}")
    function = _LAYER_FUNCTIONS.get(type(op))
    if function is None:
        known = ", ".join(sorted(cls.__name__ for cls in _LAYER_FUNCTIONS))
        raise InputError(f"no Keras layer for {type(op).__name__} ({settings.name}): expected one of {known}")
    return function(op, settings)


def build_keras(network: Network, *, seed: int = 0, layers: Any = None) -> Any:
    """The functional Keras model of a network, freshly initialised. It ends in logits.

    Args:
        network: any network; its inputs keep their names (``image``) and the type of their elements.
        seed: equal seeds give equal weights. Each layer draws from its own stream, keyed by its name, so that a
            change in one place of a network leaves the initial weights elsewhere as they were.
        layers: namespace to take the layers from; ``keras.layers`` when left out.

    Raises:
        InputError: an op has no layer, or the network has no ops.
    """
    return build_graph(network.learned.graph, network.name, seed=seed, layers=layers)


def build_graph(
    graph: OpGraph,
    name: str,
    *,
    seed: int = 0,
    layers: Any = None,
    weights: Mapping[str, Sequence[np.ndarray]] | None = None,
    wrap: Callable[[OpNode, Any], Any] | None = None,
    after_input: Callable[[str], Any] | None = None,
) -> Any:
    """As :func:`build_keras`, for any graph of ops.

    Args:
        graph: ops whose names become the layers' names.
        name: of the model.
        seed: as in :func:`build_keras`.
        layers: as in :func:`build_keras`.
        weights: by op name, what the layer's ``set_weights`` takes; ops that are not there keep their initial ones.
        wrap: called with each op and its layer, with weights in place but not yet wired; returns the layer to wire.
        after_input: called with each input's name; returns a layer to put behind it.
    """
    layers = layers or keras().layers
    if not graph.nodes:
        raise InputError(f"network {name!r} has no ops: there is nothing to build")
    tensors = {source: layers.Input(tuple(spec), name=source, dtype=spec.dtype) for source, spec in graph.inputs}
    inputs = list(tensors.values())
    if after_input is not None:
        tensors = {source: after_input(source)(tensor) for source, tensor in tensors.items()}
    made: dict[str, Any] = {}
    for node in graph.nodes:
        if node.weights is None:
            made[node.name] = _made_layer(graph, node, seed, layers, weights, wrap)
        sources = [tensors[source] for source in node.inputs]
        tensors[node.name] = made[node.weights or node.name](sources if _reads_list(node) else sources[0])
    outputs = [tensors[output] for output in graph.outputs]
    return _parent(layers).Model(
        inputs if len(inputs) > 1 else inputs[0],
        outputs if len(outputs) > 1 else outputs[0],
        name=re.sub(r"[^A-Za-z0-9_.-]", "_", name) or "network",
    )


def _made_layer(
    graph: OpGraph,
    node: OpNode,
    seed: int,
    layers: Any,
    weights: Mapping[str, Sequence[np.ndarray]] | None,
    wrap: Callable[[OpNode, Any], Any] | None,
) -> Any:
    """The layer of a node with the given weights, not yet wired."""
    shapes = graph.input_shapes(node)
    layer = keras_layer(node.op, LayerSettings(node.name, layer_seed(seed, node.name), shapes, layers))
    if weights is not None and node.name in weights:
        batched = [(None, *shape) for shape in shapes]
        layer.build(batched if _reads_list(node) else batched[0])
        layer.set_weights(list(weights[node.name]))
    return layer if wrap is None else wrap(node, layer)


def _reads_list(node: OpNode) -> bool:
    return node.op.input_count != 1


def layer_seed(seed: int, name: str) -> int:
    """The seed of the layer of this name: independent streams for different names and seeds."""
    return int(np.random.SeedSequence([seed, zlib.crc32(name.encode())]).generate_state(1)[0] & 0x7FFFFFFF)


def _parent(layers: Any) -> Any:
    """The package that a namespace of layers belongs to: ``keras`` for ``keras.layers``."""
    return importlib.import_module(layers.__name__.removesuffix(".layers"))


@layer_for(Convolution)
def _convolution(op: Convolution, settings: LayerSettings) -> Any:
    conv2d = grouped_conv2d_class(settings.layers, settings.register) if op.groups > 1 else settings.layers.Conv2D
    return conv2d(
        op.filters,
        op.kernel,
        strides=op.stride,
        padding=op.padding,
        dilation_rate=op.dilation,
        groups=op.groups,
        use_bias=op.use_bias,
        # Fan-out, as in the MobileNet and EfficientNet code; one group sees only its own share of the filters.
        kernel_initializer=settings.normal(op.taps * op.filters / op.groups),
        name=settings.name,
    )


@layer_for(DepthwiseConvolution)
def _depthwise_convolution(op: DepthwiseConvolution, settings: LayerSettings) -> Any:
    return settings.layers.DepthwiseConv2D(
        op.kernel,
        strides=op.stride,
        padding=op.padding,
        dilation_rate=op.dilation,
        use_bias=op.use_bias,
        depthwise_initializer=settings.normal(op.taps),
        name=settings.name,
    )


@layer_for(Dense)
def _dense(op: Dense, settings: LayerSettings) -> Any:
    return settings.layers.Dense(
        op.units,
        use_bias=op.use_bias,
        kernel_initializer=settings.normal(settings.input_shapes[0][0], gain=1.0),
        name=settings.name,
    )


@layer_for(BatchNorm)
def _batch_norm(op: BatchNorm, settings: LayerSettings) -> Any:
    return settings.layers.BatchNormalization(momentum=op.momentum, epsilon=op.epsilon, name=settings.name)


@layer_for(Activation)
def _activation(op: Activation, settings: LayerSettings) -> Any:
    if op.kind in ("relu", "relu6"):
        return settings.layers.ReLU(max_value=6.0 if op.kind == "relu6" else None, name=settings.name)
    functions = {"hard_swish": hard_swish, "hard_sigmoid": hard_sigmoid}
    function: Any = op.kind
    if op.kind in functions:  # registered, so that the model can be cloned and saved
        function = settings.register(package="edgenas")(functions[op.kind])
    return settings.layers.Activation(function, name=settings.name)


def hard_sigmoid(x: Any) -> Any:
    """``relu6(x + 3) / 6`` (MobileNetV3, arXiv 1905.02244); tf_keras calls something else hard_sigmoid."""
    return tensorflow().nn.relu6(x + 3.0) * (1 / 6)


def hard_swish(x: Any) -> Any:
    """``x * relu6(x + 3) / 6``, in the order that the TFLite converter recognises as one HARD_SWISH."""
    return x * tensorflow().nn.relu6(x + 3.0) * (1 / 6)


@layer_for(Add)
def _add(op: Add, settings: LayerSettings) -> Any:
    return settings.layers.Add(name=settings.name)


@layer_for(Multiply)
def _multiply(op: Multiply, settings: LayerSettings) -> Any:
    return settings.layers.Multiply(name=settings.name)


@layer_for(Pool)
def _pool(op: Pool, settings: LayerSettings) -> Any:
    layers = settings.layers
    layer = layers.AveragePooling2D if op.kind == "average" else layers.MaxPooling2D
    return layer(op.kernel, strides=op.stride, padding="same", name=settings.name)


@layer_for(GlobalAveragePool)
def _global_average_pool(op: GlobalAveragePool, settings: LayerSettings) -> Any:
    return settings.layers.GlobalAveragePooling2D(keepdims=op.keep_sides, name=settings.name)


@layer_for(Dropout)
def _dropout(op: Dropout, settings: LayerSettings) -> Any:
    return settings.layers.Dropout(op.rate, seed=settings.seed, name=settings.name)
