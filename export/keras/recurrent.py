"""Recurrent layers step by step, in operators that every runtime and integers can do.

Unrolled: a loop of the runtime is refused by most compilers, and is slower for the short sequences of devices. The
steps are those of :mod:`edgenas.export.expansion`. Imported for its effect: it registers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from edgenas.export._tensorflow import tensorflow
from edgenas.export.keras.builder import LayerSettings, layer_for
from edgenas.spaces.ops import Gru, Lstm


@lru_cache(maxsize=4)
def _classes(layers: Any, register: Any) -> tuple[Any, Any]:
    """The layers ``LstmOp`` and ``GruOp`` of a namespace."""

    class Unrolled(layers.Layer):
        gates = 0

        def __init__(self, units: int, all_positions: bool, initializer: Any = "glorot_uniform", **rest: Any) -> None:
            super().__init__(**rest)
            self.units, self.all_positions, self.initializer = units, all_positions, initializer

        def build(self, shape: Any) -> None:
            width = self.gates * self.units
            self.kernel = self.add_weight(name="kernel", shape=(shape[-1], width), initializer=self.initializer)
            self.recurrent_kernel = self.add_weight(
                name="recurrent_kernel", shape=(self.units, width), initializer="orthogonal"
            )
            self.bias = self.add_weight(name="bias", shape=(width,), initializer="zeros")
            super().build(shape)

        def call(self, inputs: Any) -> Any:
            tf = tensorflow()
            read = tf.matmul(inputs, self.kernel) + self.bias
            positions, width = inputs.shape[1], self.gates * self.units
            states: list[Any] = []
            memory = None
            for step in range(positions):
                cut = read if positions == 1 else read[:, step : step + 1, :]
                state, memory = self.step(tf.reshape(cut, (-1, width)), states[-1] if states else None, memory)
                states.append(state)
            if not self.all_positions:
                return states[-1]
            rows = [tf.reshape(state, (-1, 1, self.units)) for state in states]
            return tf.concat(rows, 1) if len(rows) > 1 else rows[0]

        def cut(self, values: Any, place: int) -> Any:
            return values[:, place * self.units : (place + 1) * self.units]

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units, "all_positions": self.all_positions}

    @register(package="edgenas")
    class LstmOp(Unrolled):
        """Long short-term memory."""

        gates = 4

        def step(self, total: Any, state: Any, memory: Any) -> tuple[Any, Any]:
            tf = tensorflow()
            if state is not None:
                total = total + tf.matmul(state, self.recurrent_kernel)
            kept, forgotten, new, shown = (self.cut(total, place) for place in range(4))
            added = tf.sigmoid(kept) * tf.tanh(new)
            if memory is not None:
                added = tf.sigmoid(forgotten) * memory + added
            return tf.sigmoid(shown) * tf.tanh(added), added

    @register(package="edgenas")
    class GruOp(Unrolled):
        """Gated recurrent unit, the reset after the matrix product."""

        gates = 3

        def build(self, shape: Any) -> None:
            self.recurrent_bias = self.add_weight(
                name="recurrent_bias", shape=(self.gates * self.units,), initializer="zeros"
            )
            super().build(shape)

        def step(self, read: Any, state: Any, memory: Any) -> tuple[Any, Any]:
            tf = tensorflow()
            inputs = [self.cut(read, place) for place in range(3)]
            if state is None:  # from a state of zeros only the bias is left
                units = self.units
                held = [self.recurrent_bias[place * units : (place + 1) * units] for place in range(3)]
            else:
                product = tf.matmul(state, self.recurrent_kernel) + self.recurrent_bias
                held = [self.cut(product, place) for place in range(3)]
            update, reset = (tf.sigmoid(inputs[place] + held[place]) for place in range(2))
            new = tf.tanh(inputs[2] + reset * held[2])
            if state is None:
                return new - update * new, None
            return new + update * (state - new), None

    return LstmOp, GruOp


@layer_for(Lstm)
def _lstm(op: Lstm, settings: LayerSettings) -> Any:
    return _made(_classes(settings.layers, settings.register)[0], op, settings)


@layer_for(Gru)
def _gru(op: Gru, settings: LayerSettings) -> Any:
    return _made(_classes(settings.layers, settings.register)[1], op, settings)


def _made(layer: Any, op: Lstm | Gru, settings: LayerSettings) -> Any:
    initializer = settings.normal(settings.input_shapes[0][-1], gain=1.0)
    return layer(op.units, op.all_positions, initializer, name=settings.name)
