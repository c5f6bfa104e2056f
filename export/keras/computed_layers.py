"""Keras layers of ops that Keras has no layer for, or none that converts to the one operator that it should.

Each is a function of TensorFlow in a layer that can be cloned and saved. Imported for its effect: it registers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.export._tensorflow import tensorflow
from edgenas.export.keras.builder import LayerSettings, layer_for
from edgenas.spaces.ops import (
    ArgMax,
    Concatenate,
    Embedding,
    LayerNorm,
    MatrixProduct,
    Maximum,
    Op,
    Pad,
    Reduce,
    RelativeBias,
    Reshape,
    Resize,
    Scale,
    ScaleShift,
    Slice,
    Softmax,
    Subtract,
    Transpose,
    TransposedConvolution,
    WeightedSum,
    op_class,
)

_Function = Callable[[Any, Any], Any]
#: Standard deviation of untrained relative biases, as in CoAtNet's public code.
RELATIVE_BIAS_DEVIATION = 0.02


def offset_numbers(height: int, width: int) -> NDArray[np.int32]:
    """(pixels, pixels) which offset of a relative bias lies between a query pixel and a key pixel.

    >>> offset_numbers(1, 3)
    array([[2, 1, 0],
           [3, 2, 1],
           [4, 3, 2]], dtype=int32)
    """
    rows, columns = np.divmod(np.arange(height * width), width)
    down = rows[:, None] - rows[None, :] + height - 1
    right = columns[:, None] - columns[None, :] + width - 1
    return (down * (2 * width - 1) + right).astype(np.int32)


def _slice(op: Slice, x: Any) -> Any:
    index: list[Any] = [slice(None)] * len(x.shape)
    axis = op.axis + 1 if op.axis >= 0 else len(x.shape) + op.axis
    index[axis] = slice(op.start, op.start + op.size)
    return x[tuple(index)]


def _resize(op: Resize, x: Any) -> Any:
    tf = tensorflow()
    if op.kind != "bilinear":
        centred = op.kind == "nearest"
        return tf.compat.v1.image.resize_nearest_neighbor(x, (op.height, op.width), half_pixel_centers=centred)
    return tf.compat.v1.image.resize_bilinear(x, (op.height, op.width), half_pixel_centers=True)


def _reduce(op: Reduce, x: Any) -> Any:
    tf = tensorflow()
    function = {"mean": tf.reduce_mean, "max": tf.reduce_max, "sum": tf.reduce_sum}[op.kind]
    axes = [axis + 1 if axis >= 0 else len(x.shape) + axis for axis in op.axes]
    return function(x, axes, keepdims=op.keep_sides)


def _arg_max(op: ArgMax, x: Any) -> Any:
    tf = tensorflow()
    return tf.argmax(x, op.axis + 1 if op.axis >= 0 else op.axis, output_type=tf.int32)


def _product(op: MatrixProduct, inputs: Any) -> Any:
    return tensorflow().matmul(inputs[0], inputs[1], transpose_b=op.transpose_second)


_FUNCTIONS: dict[type[Op], _Function] = {
    ArgMax: _arg_max,
    MatrixProduct: _product,
    Reduce: _reduce,
    Resize: _resize,
    Scale: lambda op, x: x * op.factor,
    Slice: _slice,
    Softmax: lambda op, x: tensorflow().nn.softmax(x),
}


@lru_cache(maxsize=4)
def _classes(layers: Any, register: Any) -> dict[type[Op] | None, Any]:
    """The layers of a namespace that are ours, by op; that of None computes without anything trained."""

    @register(package="edgenas")
    class ComputedOp(layers.Layer):
        """What a function makes of the inputs."""

        def __init__(self, op: Any, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.op = _from_plain(op) if isinstance(op, dict) else op

        def call(self, inputs: Any) -> Any:
            return _FUNCTIONS[type(self.op)](self.op, inputs)

        def get_config(self) -> dict[str, Any]:
            plain = {"kind": type(self.op).__name__, **dataclasses.asdict(self.op)}
            return {**super().get_config(), "op": plain}

    @register(package="edgenas")
    class ScaleShiftOp(layers.Layer):
        """A trained scale and shift of the last axis."""

        def build(self, shape: Any) -> None:
            self.gamma = self.add_weight(name="gamma", shape=(shape[-1],), initializer="ones")
            self.beta = self.add_weight(name="beta", shape=(shape[-1],), initializer="zeros")
            super().build(shape)

        def call(self, inputs: Any) -> Any:
            return inputs * self.gamma + self.beta

    @register(package="edgenas")
    class WeightedSumOp(layers.Layer):
        """Inputs times trained weights, added up in turn."""

        def build(self, shapes: Any) -> None:
            self.shares = self.add_weight(name="shares", shape=(len(shapes),), initializer="ones")
            super().build(shapes)

        def call(self, inputs: Any) -> Any:
            tf = tensorflow()
            shares = tf.nn.relu(self.shares)
            shares = tf.unstack(shares / (tf.reduce_sum(shares) + 1e-4), num=len(inputs))
            total = inputs[0] * shares[0]
            for value, share in zip(inputs[1:], shares[1:], strict=True):
                total = total + value * share
            return total

    @register(package="edgenas")
    class LayerNormOp(layers.Layer):
        """Layer normalisation in operators that integers can do."""

        def __init__(self, epsilon: float, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.epsilon = epsilon

        def build(self, shape: Any) -> None:
            self.gamma = self.add_weight(name="gamma", shape=(shape[-1],), initializer="ones")
            self.beta = self.add_weight(name="beta", shape=(shape[-1],), initializer="zeros")
            super().build(shape)

        def call(self, inputs: Any) -> Any:
            tf = tensorflow()
            centred = inputs - tf.reduce_mean(inputs, [-1], keepdims=True)
            variance = tf.reduce_mean(centred * centred, [-1], keepdims=True)
            return centred * tf.math.rsqrt(variance + self.epsilon) * self.gamma + self.beta

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "epsilon": self.epsilon}

    @register(package="edgenas")
    class EmbeddingOp(layers.Layer):
        """A trained vector for each id; ids are not checked."""

        def __init__(self, tokens: int, features: int, initializer: Any = "uniform", **arguments: Any) -> None:
            super().__init__(**arguments)
            self.tokens, self.features, self.initializer = tokens, features, initializer

        def build(self, shape: Any) -> None:
            self.table = self.add_weight(name="table", shape=(self.tokens, self.features), initializer=self.initializer)
            super().build(shape)

        def call(self, inputs: Any) -> Any:
            return tensorflow().gather(self.table, inputs)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "tokens": self.tokens, "features": self.features}

    @register(package="edgenas")
    class RelativeBiasOp(layers.Layer):
        """A trained number for each head and offset, added to the scores of attention."""

        def __init__(self, height: int, width: int, initializer: Any = "zeros", **arguments: Any) -> None:
            super().__init__(**arguments)
            self.height, self.width, self.initializer = height, width, initializer

        def build(self, shape: Any) -> None:
            offsets = (2 * self.height - 1) * (2 * self.width - 1)
            self.table = self.add_weight(name="table", shape=(shape[1], offsets), initializer=self.initializer)
            super().build(shape)

        def call(self, inputs: Any) -> Any:
            return inputs + tensorflow().gather(self.table, offset_numbers(self.height, self.width), axis=1)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "height": self.height, "width": self.width}

    return {
        None: ComputedOp,
        ScaleShift: ScaleShiftOp,
        WeightedSum: WeightedSumOp,
        LayerNorm: LayerNormOp,
        Embedding: EmbeddingOp,
        RelativeBias: RelativeBiasOp,
    }


def _from_plain(data: dict[str, Any]) -> Op:
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    return op_class(str(fields.pop("kind")))(**fields)


def _computed(op: Op, settings: LayerSettings) -> Any:
    return _classes(settings.layers, settings.register)[None](op, name=settings.name)


for _op in _FUNCTIONS:
    layer_for(_op)(_computed)


@layer_for(ScaleShift)
def _scale_shift(op: ScaleShift, settings: LayerSettings) -> Any:
    return _classes(settings.layers, settings.register)[ScaleShift](name=settings.name)


@layer_for(WeightedSum)
def _weighted_sum(op: WeightedSum, settings: LayerSettings) -> Any:
    return _classes(settings.layers, settings.register)[WeightedSum](name=settings.name)


@layer_for(Concatenate)
def _concatenate(op: Concatenate, settings: LayerSettings) -> Any:
    return settings.layers.Concatenate(axis=op.axis + 1 if op.axis >= 0 else op.axis, name=settings.name)


@layer_for(Subtract)
def _subtract(op: Subtract, settings: LayerSettings) -> Any:
    return settings.layers.Subtract(name=settings.name)


@layer_for(Maximum)
def _maximum(op: Maximum, settings: LayerSettings) -> Any:
    return settings.layers.Maximum(name=settings.name)


@layer_for(Pad)
def _pad(op: Pad, settings: LayerSettings) -> Any:
    return settings.layers.ZeroPadding2D(((op.top, op.bottom), (op.left, op.right)), name=settings.name)


@layer_for(Reshape)
def _reshape(op: Reshape, settings: LayerSettings) -> Any:
    # A side that is left open stays so: in a supernet the same layer reads several widths.
    return settings.layers.Reshape(op.shape, name=settings.name)


@layer_for(Transpose)
def _transpose(op: Transpose, settings: LayerSettings) -> Any:
    return settings.layers.Permute(tuple(axis + 1 for axis in op.order), name=settings.name)


@layer_for(LayerNorm)
def _layer_norm(op: LayerNorm, settings: LayerSettings) -> Any:
    return _classes(settings.layers, settings.register)[LayerNorm](op.epsilon, name=settings.name)


@layer_for(Embedding)
def _embedding(op: Embedding, settings: LayerSettings) -> Any:
    layer = _classes(settings.layers, settings.register)[Embedding]
    return layer(op.tokens, op.features, settings.normal(op.features, gain=1.0), name=settings.name)


@layer_for(RelativeBias)
def _relative_bias(op: RelativeBias, settings: LayerSettings) -> Any:
    layer = _classes(settings.layers, settings.register)[RelativeBias]
    return layer(op.height, op.width, settings.normal(1.0, gain=RELATIVE_BIAS_DEVIATION**2), name=settings.name)


@layer_for(TransposedConvolution)
def _transposed_convolution(op: TransposedConvolution, settings: LayerSettings) -> Any:
    return settings.layers.Conv2DTranspose(
        op.filters,
        op.kernel,
        strides=op.stride,
        padding="same",
        use_bias=op.use_bias,
        kernel_initializer=settings.normal(op.taps * op.filters),
        name=settings.name,
    )
