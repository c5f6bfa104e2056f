"""Shared layers of ops that scale and shift: layer norms, scales without statistics, weighted sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgenas.export._tensorflow import tensorflow
from edgenas.spaces.ops import LayerNorm, ScaleShift, WeightedSum
from edgenas.supernet.parts import part
from edgenas.supernet.shared_layer import Mode, SharedLayer, SharedWeight, Variant, shared_layer_for

Tensors = Sequence[Any]


def _channels(variant: Variant) -> tuple[int, ...]:
    return (variant.inputs[0][-1],)


def _prefixes(op: Any, weights: Tensors, numbers: Tensors) -> list[Any]:
    return [part(weight, numbers[0]) for weight in weights]


def _scale_and_shift(variants: Sequence[Variant]) -> tuple[SharedWeight, SharedWeight]:
    channels = max(variant.inputs[0][-1] for variant in variants)
    return SharedWeight((channels,), mean=1.0), SharedWeight((channels,))


@shared_layer_for(ScaleShift, fixed=lambda op: ())
def _scale_shift(variants: Sequence[Variant]) -> SharedLayer:
    def compute(op: Any, inputs: Tensors, weights: Tensors, numbers: Tensors, mode: Mode) -> tuple[Any, None]:
        scale, shift = _prefixes(op, weights, numbers)
        return inputs[0] * scale + shift, None

    return SharedLayer(_scale_and_shift(variants), _channels, _prefixes, compute)


@shared_layer_for(LayerNorm, fixed=lambda op: (op.epsilon,))
def _layer_norm(variants: Sequence[Variant]) -> SharedLayer:
    def compute(op: Any, inputs: Tensors, weights: Tensors, numbers: Tensors, mode: Mode) -> tuple[Any, None]:
        tf = tensorflow()
        scale, shift = _prefixes(op, weights, numbers)
        exact = tf.cast(inputs[0], scale.dtype)
        centred = exact - tf.reduce_mean(exact, [-1], keepdims=True)
        variance = tf.reduce_mean(centred * centred, [-1], keepdims=True)
        out = centred * tf.math.rsqrt(variance + op.epsilon) * scale + shift
        return tf.cast(out, inputs[0].dtype), None

    return SharedLayer(_scale_and_shift(variants), _channels, _prefixes, compute, float32=True)


@shared_layer_for(WeightedSum, fixed=lambda op: ())
def _weighted_sum(variants: Sequence[Variant]) -> SharedLayer:
    """Sums of fewer inputs take the first weights; each number of inputs is a branch of its own."""
    weights = (SharedWeight((max(len(variant.inputs) for variant in variants),), mean=1.0),)

    def numbers(variant: Variant) -> tuple[int, ...]:
        return (len(variant.inputs),)

    def compute(op: Any, inputs: Tensors, weights: Tensors, numbers: Tensors, mode: Mode) -> tuple[Any, None]:
        tf = tensorflow()
        shares = tf.nn.relu(part(weights[0], len(inputs)))
        shares = tf.unstack(shares / (tf.reduce_sum(shares) + 1e-4), num=len(inputs))
        return tf.add_n([value * share for value, share in zip(inputs, shares, strict=True)]), None

    return SharedLayer(weights, numbers, _prefixes, compute)
