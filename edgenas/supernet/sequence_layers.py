"""Shared layers of sequences: embeddings, recurrent layers.

Units are prefixes of the widest ones in every gate, so the arrays keep the gates on an axis of their own here, and side
by side in the networks that are cut out. Steps are those of :mod:`edgenas.export.keras.recurrent`, in a loop: the
number of positions may differ by architecture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from edgenas.export._tensorflow import tensorflow
from edgenas.spaces.ops import Embedding, Gru, Lstm
from edgenas.supernet.parts import part
from edgenas.supernet.shared_layer import Mode, SharedLayer, SharedWeight, Variant, shared_layer_for

Tensors = Sequence[Any]


@shared_layer_for(Embedding, fixed=lambda op: ())
def _embedding(variants: Sequence[Variant]) -> SharedLayer:
    tokens = max(_op(variant).tokens for variant in variants)
    features = max(_op(variant).features for variant in variants)
    weights = (SharedWeight((tokens, features), math.sqrt(1 / features)),)

    def numbers(variant: Variant) -> tuple[int, ...]:
        return (_op(variant).tokens, _op(variant).features)

    def view(op: Any, weights: Tensors, numbers: Tensors) -> list[Any]:
        return [part(weights[0], *numbers)]

    def compute(op: Any, inputs: Tensors, weights: Tensors, numbers: Tensors, mode: Mode) -> tuple[Any, None]:
        return tensorflow().gather(view(op, weights, numbers)[0], inputs[0]), None

    return SharedLayer(weights, numbers, view, compute)


def _op(variant: Variant) -> Any:
    return variant.op


def _recurrent_weights(variants: Sequence[Variant], gates: int) -> list[SharedWeight]:
    """Kernel, recurrent kernel and bias, with the gates on the axis before the units."""
    features = max(variant.inputs[0][-1] for variant in variants)
    units = max(_op(variant).units for variant in variants)
    return [
        SharedWeight((features, gates, units), math.sqrt(1 / features)),
        SharedWeight((units, gates, units), math.sqrt(1 / units)),
        SharedWeight((gates, units)),
    ]


def _recurrent_numbers(variant: Variant) -> tuple[int, ...]:
    return (variant.inputs[0][-1], _op(variant).units)


def _kernels(weights: Tensors, numbers: Tensors, gates: int) -> list[Any]:
    """Kernel, recurrent kernel and bias of a variant, with the gates side by side."""
    tf = tensorflow()
    features, units = numbers
    width = gates * units
    return [
        tf.reshape(part(weights[0], features, gates, units), tf.stack([features, width])),
        tf.reshape(part(weights[1], units, gates, units), tf.stack([units, width])),
        tf.reshape(part(weights[2], gates, units), [-1]),
    ]


def _run(read: Any, units: Any, step: Callable[[Any, Any], Any], states: int, all_positions: bool) -> Any:
    """The first of so many states after every position of ``read`` (batch, positions, width), or after the last."""
    tf = tensorflow()
    zeros = tf.zeros(tf.stack([tf.shape(read)[0], units]), read.dtype)
    by_position = tf.transpose(read, (1, 0, 2))
    if all_positions:
        found = tf.scan(step, by_position, (zeros,) * states)
        return tf.transpose(found[0], (1, 0, 2))
    return tf.foldl(step, by_position, (zeros,) * states)[0]


@shared_layer_for(Lstm, fixed=lambda op: (op.all_positions,))
def _lstm(variants: Sequence[Variant]) -> SharedLayer:
    def view(op: Any, weights: Tensors, numbers: Tensors) -> list[Any]:
        return _kernels(weights, numbers, 4)

    def compute(op: Any, inputs: Tensors, weights: Tensors, numbers: Tensors, mode: Mode) -> tuple[Any, None]:
        tf = tensorflow()
        kernel, recurrent, bias = view(op, weights, numbers)

        def step(states: Any, read: Any) -> tuple[Any, Any]:
            state, memory = states
            kept, forgotten, new, shown = tf.split(read + tf.matmul(state, recurrent), 4, axis=1)
            memory = tf.sigmoid(forgotten) * memory + tf.sigmoid(kept) * tf.tanh(new)
            return tf.sigmoid(shown) * tf.tanh(memory), memory

        read = tf.tensordot(inputs[0], kernel, 1) + bias
        return _run(read, numbers[1], step, 2, op.all_positions), None

    return SharedLayer(tuple(_recurrent_weights(variants, 4)), _recurrent_numbers, view, compute)


@shared_layer_for(Gru, fixed=lambda op: (op.all_positions,))
def _gru(variants: Sequence[Variant]) -> SharedLayer:
    rest = _recurrent_weights(variants, 3)

    def view(op: Any, weights: Tensors, numbers: Tensors) -> list[Any]:
        # The recurrent bias comes first, as in the Keras layer.
        held = tensorflow().reshape(part(weights[0], 3, numbers[1]), [-1])
        return [held, *_kernels(weights[1:], numbers, 3)]

    def compute(op: Any, inputs: Tensors, weights: Tensors, numbers: Tensors, mode: Mode) -> tuple[Any, None]:
        tf = tensorflow()
        held, kernel, recurrent, bias = view(op, weights, numbers)

        def step(states: Any, read: Any) -> tuple[Any]:
            (state,) = states
            update, reset, new = tf.split(read, 3, axis=1)
            held_update, held_reset, held_new = tf.split(tf.matmul(state, recurrent) + held, 3, axis=1)
            new = tf.tanh(new + tf.sigmoid(reset + held_reset) * held_new)
            return (new + tf.sigmoid(update + held_update) * (state - new),)

        read = tf.tensordot(inputs[0], kernel, 1) + bias
        return _run(read, numbers[1], step, 1, op.all_positions), None

    return SharedLayer((SharedWeight(rest[2].shape), *rest), _recurrent_numbers, view, compute)
