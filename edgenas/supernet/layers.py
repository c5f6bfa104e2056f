"""Shared layers of the ops that have weights.

Filters and channels are prefixes of the widest ones; kernels of 3 lie in the middle of those of 5, and these of 7
(TuNAS, arXiv 2008.06120; Once-for-All, arXiv 1908.09791). A group convolution takes the blocks on the diagonal of the
dense kernel: it is the dense convolution of the same place without the weights that lead from one group to another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from edgenas.export._tensorflow import tensorflow
from edgenas.export.keras.grouped_convolution import has_native_gradient
from edgenas.spaces.ops import BatchNorm, Convolution, Dense, DepthwiseConvolution, TransposedConvolution
from edgenas.spaces.ops.op import pair
from edgenas.supernet.parts import part as _part
from edgenas.supernet.shared_layer import Mode, SharedLayer, SharedWeight, Variant, shared_layer_for

Tensors = Sequence[Any]


def _sides(variants: Sequence[Variant]) -> tuple[int, int]:
    kernels = [pair(_op(variant).kernel) for variant in variants]
    return max(height for height, _ in kernels), max(width for _, width in kernels)


def _op(variant: Variant) -> Any:
    return variant.op


@shared_layer_for(
    Convolution,
    fixed=lambda op: (op.stride, op.dilation, op.padding, op.use_bias, op.groups > 1),
    # Dense and group convolutions of a place share a kernel; pointwise ones, whose role differs by block, do not.
    family=lambda op: "window" if op.taps > 1 and not op.use_bias else None,
)
def _convolution(variants: Sequence[Variant]) -> SharedLayer:
    sides = _sides(variants)
    channels = max(variant.inputs[0][-1] for variant in variants)
    filters = max(_op(variant).filters for variant in variants)
    # Fan-out, as the builder of single networks has it.
    weights = [SharedWeight((*sides, channels, filters), math.sqrt(2 / (math.prod(sides) * filters)))]
    if any(_op(variant).use_bias for variant in variants):
        weights.append(SharedWeight((filters,)))

    def numbers(variant: Variant) -> tuple[int, ...]:
        op = _op(variant)
        return (*pair(op.kernel), variant.inputs[0][-1], op.filters, op.groups)

    def dense(op: Any, weights: Tensors, numbers: Tensors) -> list[Any]:
        height, width, channels, filters, _ = numbers
        kernel = _part(weights[0], height, width, channels, filters)
        return [kernel, _part(weights[1], filters)] if op.use_bias else [kernel]

    def view(op: Any, weights: Tensors, numbers: Tensors) -> list[Any]:
        kernel, *bias = dense(op, weights, numbers)
        return [_diagonal(kernel, numbers[-1]) if op.groups > 1 else kernel, *bias]

    def compute(op: Any, inputs: Tensors, weights: Tensors, numbers: Tensors, mode: Mode) -> tuple[Any, None]:
        tf = tensorflow()
        if op.groups == 1 or has_native_gradient():
            kernel, *bias = view(op, weights, numbers)
        else:
            kernel, *bias = dense(op, weights, numbers)
            kernel = _without_crossings(kernel, numbers[-1])
        out = tf.nn.conv2d(inputs[0], kernel, pair(op.stride), op.padding.upper(), dilations=pair(op.dilation))
        return (tf.nn.bias_add(out, bias[0]) if bias else out), None

    return SharedLayer(tuple(weights), numbers, view, compute)


def _diagonal(kernel: Any, groups: Any) -> Any:
    """``(k, k, channels / groups, filters)`` from the dense ``(k, k, channels, filters)``: blocks on the diagonal."""
    tf = tensorflow()
    shape = tf.shape(kernel)
    inner, outer = shape[2] // groups, shape[3] // groups
    parts = tf.reshape(kernel, tf.stack([shape[0], shape[1], groups, inner, groups, outer]))
    # (k, k, inner, outer, groups, groups), of which the last two axes leave their diagonal.
    diagonal = tf.linalg.diag_part(tf.transpose(parts, (0, 1, 3, 5, 2, 4)))
    return tf.reshape(tf.transpose(diagonal, (0, 1, 2, 4, 3)), tf.stack([shape[0], shape[1], inner, shape[3]]))


def _without_crossings(kernel: Any, groups: Any) -> Any:
    """The dense kernel that computes what the group convolution does: zeros between groups."""
    tf = tensorflow()
    channels, filters = tf.shape(kernel)[2], tf.shape(kernel)[3]
    rows, columns = tf.range(channels) // (channels // groups), tf.range(filters) // (filters // groups)
    return kernel * tf.cast(rows[:, None] == columns[None, :], kernel.dtype)


@shared_layer_for(DepthwiseConvolution, fixed=lambda op: (op.stride, op.dilation, op.padding, op.use_bias))
def _depthwise_convolution(variants: Sequence[Variant]) -> SharedLayer:
    sides = _sides(variants)
    channels = max(variant.inputs[0][-1] for variant in variants)
    weights = [SharedWeight((*sides, channels, 1), math.sqrt(2 / math.prod(sides)))]
    if any(_op(variant).use_bias for variant in variants):
        weights.append(SharedWeight((channels,)))

    def numbers(variant: Variant) -> tuple[int, ...]:
        return (*pair(_op(variant).kernel), variant.inputs[0][-1])

    def view(op: Any, weights: Tensors, numbers: Tensors) -> list[Any]:
        height, width, channels = numbers
        kernel = _part(weights[0], height, width, channels, 1)
        return [kernel, _part(weights[1], channels)] if op.use_bias else [kernel]

    def compute(op: Any, inputs: Tensors, weights: Tensors, numbers: Tensors, mode: Mode) -> tuple[Any, None]:
        tf = tensorflow()
        kernel, *bias = view(op, weights, numbers)
        # The op itself: tf.nn.depthwise_conv2d asks for sizes that are known before the graph runs.
        out = tf.raw_ops.DepthwiseConv2dNative(
            input=inputs[0],
            filter=kernel,
            strides=[1, *pair(op.stride), 1],
            padding=op.padding.upper(),
            dilations=[1, *pair(op.dilation), 1],
        )
        return (tf.nn.bias_add(out, bias[0]) if bias else out), None

    return SharedLayer(tuple(weights), numbers, view, compute)


@shared_layer_for(TransposedConvolution, fixed=lambda op: (op.stride, op.use_bias))
def _transposed_convolution(variants: Sequence[Variant]) -> SharedLayer:
    sides = _sides(variants)
    channels = max(variant.inputs[0][-1] for variant in variants)
    filters = max(_op(variant).filters for variant in variants)
    weights = [SharedWeight((*sides, filters, channels), math.sqrt(2 / (math.prod(sides) * filters)))]
    if any(_op(variant).use_bias for variant in variants):
        weights.append(SharedWeight((filters,)))

    def numbers(variant: Variant) -> tuple[int, ...]:
        return (*pair(_op(variant).kernel), _op(variant).filters, variant.inputs[0][-1])

    def view(op: Any, weights: Tensors, numbers: Tensors) -> list[Any]:
        kernel = _part(weights[0], *numbers)
        return [kernel, _part(weights[1], numbers[2])] if op.use_bias else [kernel]

    def compute(op: Any, inputs: Tensors, weights: Tensors, numbers: Tensors, mode: Mode) -> tuple[Any, None]:
        tf, (down, right) = tensorflow(), pair(op.stride)
        kernel, *bias = view(op, weights, numbers)
        shape = tf.shape(inputs[0])
        sides = tf.stack([shape[0], shape[1] * down, shape[2] * right, numbers[2]])
        out = tf.nn.conv2d_transpose(inputs[0], kernel, sides, (down, right), "SAME")
        return (tf.nn.bias_add(out, bias[0]) if bias else out), None

    return SharedLayer(tuple(weights), numbers, view, compute)


@shared_layer_for(Dense, fixed=lambda op: (op.use_bias,))
def _dense(variants: Sequence[Variant]) -> SharedLayer:
    features = max(variant.inputs[0][-1] for variant in variants)
    units = max(_op(variant).units for variant in variants)
    weights = [SharedWeight((features, units), math.sqrt(1 / features))]
    if any(_op(variant).use_bias for variant in variants):
        weights.append(SharedWeight((units,)))

    def numbers(variant: Variant) -> tuple[int, ...]:
        return (variant.inputs[0][-1], _op(variant).units)

    def view(op: Any, weights: Tensors, numbers: Tensors) -> list[Any]:
        features, units = numbers
        kernel = _part(weights[0], features, units)
        return [kernel, _part(weights[1], units)] if op.use_bias else [kernel]

    def compute(op: Any, inputs: Tensors, weights: Tensors, numbers: Tensors, mode: Mode) -> tuple[Any, None]:
        tf = tensorflow()
        kernel, *bias = view(op, weights, numbers)
        out = tf.matmul(inputs[0], kernel) if len(inputs[0].shape) == 2 else tf.tensordot(inputs[0], kernel, 1)
        return (tf.nn.bias_add(out, bias[0]) if bias else out), None

    return SharedLayer(tuple(weights), numbers, view, compute)


@shared_layer_for(BatchNorm, fixed=lambda op: (op.epsilon,))
def _batch_norm(variants: Sequence[Variant]) -> SharedLayer:
    channels = max(variant.inputs[0][-1] for variant in variants)
    weights = (
        SharedWeight((channels,), mean=1.0),
        SharedWeight((channels,)),
        SharedWeight((channels,), trained=False),
        SharedWeight((channels,), mean=1.0, trained=False),
    )

    def numbers(variant: Variant) -> tuple[int, ...]:
        return (variant.inputs[0][-1],)

    def view(op: Any, weights: Tensors, numbers: Tensors) -> list[Any]:
        return [_part(weight, numbers[0]) for weight in weights]

    def compute(op: Any, inputs: Tensors, weights: Tensors, numbers: Tensors, mode: Mode) -> tuple[Any, Any]:
        tf = tensorflow()
        if not mode.batch_statistics:
            scale, shift, mean, variance = view(op, weights, numbers)
            return _normalised(inputs[0], scale, shift, mean, variance, op.epsilon), None
        scale, shift = view(op, weights[:2], numbers)
        out, mean, variance = _normalised_by_batch(inputs[0], scale, shift, op.epsilon)
        if mode.momentum is None:
            return out, None
        mixed = []
        for new, whole in ((mean, weights[2]), (variance, weights[3])):
            old, rest = tf.split(whole, [numbers[0], channels - numbers[0]])
            mixed.append(tf.concat([old * mode.momentum + new * (1.0 - mode.momentum), rest], 0))
        return out, mixed

    return SharedLayer(weights, numbers, view, compute, float32=True)


def _normalised(inputs: Any, scale: Any, shift: Any, mean: Any, variance: Any, epsilon: float) -> Any:
    """By given statistics, as Keras does it."""
    return tensorflow().nn.batch_normalization(inputs, mean, variance, shift, scale, epsilon)


def _normalised_by_batch(inputs: Any, scale: Any, shift: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """By the statistics of the batch, which are returned too. One op for images: quicker to trace and to run."""
    tf = tensorflow()
    if len(inputs.shape) == 4:
        found = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=scale, offset=shift, mean=[], variance=[], epsilon=epsilon, is_training=True
        )
        return found[0], found[1], found[2]
    exact = tf.cast(inputs, scale.dtype)
    mean, variance = tf.nn.moments(exact, list(range(len(inputs.shape) - 1)))
    return tf.cast(_normalised(exact, scale, shift, mean, variance, epsilon), inputs.dtype), mean, variance
