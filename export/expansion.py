"""Ops for which runtimes have no operator of their own, as the ops that they become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph, OpNode
from edgenas.spaces.ops import (
    Activation,
    Add,
    Concatenate,
    Dense,
    Gru,
    LayerNorm,
    Lstm,
    Multiply,
    Op,
    Reduce,
    RelativeBias,
    Reshape,
    Scale,
    ScaleShift,
    Slice,
    Subtract,
    Traits,
    WeightedSum,
)
from edgenas.spaces.tensor import Shape


@dataclass(frozen=True)
class ConstantOperand(Op):
    """``add`` or ``multiply`` with a constant: one ``value``, or a vector over the channels when it is None.

    With ``whole`` the constant has a value for each element.
    """

    kind: str
    value: float | None = None
    whole: bool = False

    traits: ClassVar[Traits] = Traits(fuses_activation=True)

    def __post_init__(self) -> None:
        if self.kind not in ("add", "multiply"):
            raise InputError(f"unknown constant operand {self.kind!r}: expected 'add' or 'multiply'")

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]


@dataclass(frozen=True)
class ReciprocalRoot(Op):
    """``1 / sqrt(x)``."""

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]


def expanded(graph: OpGraph) -> OpGraph:
    """The graph with layer norms, learned scales, relative biases, recurrent layers taken apart; names stay."""
    if not any(type(node.op) in _EXPANSIONS for node in graph.nodes):
        return graph
    names = tuple(name for name, _ in graph.inputs)
    builder = GraphBuilder(*(shape for _, shape in graph.inputs), input_names=names)
    taken_apart = {node.name for node in graph.nodes if type(node.op) in _EXPANSIONS}
    for node in graph.nodes:
        expansion = _EXPANSIONS.get(type(node.op))
        if expansion is not None:
            expansion(builder, node, node.op)
        else:
            owner = None if node.weights in taken_apart else node.weights
            builder.add(node.name, node.op, *node.inputs, weights=owner)
    return builder.build(*graph.outputs)


def is_taken_apart(op: Op, *shapes: Shape) -> bool:
    """Whether a trained op becomes several operators, with values between them that it does not put out."""
    return type(op) in _EXPANSIONS and op.params(*shapes) > 0


def _layer_norm(builder: GraphBuilder, node: OpNode, op: LayerNorm) -> None:
    name, (source,) = node.name, node.inputs
    mean = builder.add(f"{name}/mean", Reduce("mean", (-1,), True), source)
    centred = builder.add(f"{name}/centred", Subtract(), source, mean)
    squares = builder.add(f"{name}/squares", Multiply(), centred, centred)
    variance = builder.add(f"{name}/variance", Reduce("mean", (-1,), True), squares)
    safe = builder.add(f"{name}/safe", ConstantOperand("add", op.epsilon), variance)
    root = builder.add(f"{name}/root", ReciprocalRoot(), safe)
    normal = builder.add(f"{name}/normal", Multiply(), centred, root)
    _scale_shift_of(builder, name, normal)


def _scale_shift_of(builder: GraphBuilder, name: str, source: str) -> None:
    scaled = builder.add(f"{name}/scale", ConstantOperand("multiply"), source)
    builder.add(name, ConstantOperand("add"), scaled)


def _scale_shift(builder: GraphBuilder, node: OpNode, op: ScaleShift) -> None:
    _scale_shift_of(builder, node.name, node.inputs[0])


def _scale(builder: GraphBuilder, node: OpNode, op: Scale) -> None:
    builder.add(node.name, ConstantOperand("multiply", op.factor), node.inputs[0])


def _relative_bias(builder: GraphBuilder, node: OpNode, op: RelativeBias) -> None:
    builder.add(node.name, ConstantOperand("add", whole=True), node.inputs[0])


def _weighted_sum(builder: GraphBuilder, node: OpNode, op: WeightedSum) -> None:
    share = ConstantOperand("multiply", 1 / len(node.inputs))
    if len(node.inputs) == 1:
        builder.add(node.name, share, node.inputs[0])
        return
    total = builder.add(f"{node.name}/share0", share, node.inputs[0])
    for number, source in enumerate(node.inputs[1:], start=1):
        scaled = builder.add(f"{node.name}/share{number}", share, source)
        last = number == len(node.inputs) - 1
        total = builder.add(node.name if last else f"{node.name}/sum{number}", Add(), total, scaled)


class _Steps:
    """What recurrent layers share: the gates' part of the input for all positions, the states' part for one."""

    def __init__(self, builder: GraphBuilder, node: OpNode, op: Lstm | Gru) -> None:
        self.builder = builder
        self.name = node.name
        self.op = op
        self.positions = builder.shape(node.inputs[0])[0]
        self.width = op.gates * op.units
        self._read = builder.add(f"{node.name}/inputs", Dense(self.width), node.inputs[0])
        self._owner: str | None = None

    def add(self, what: str, op: Op, *inputs: str, **arguments: Any) -> str:
        return self.builder.add(f"{self.name}/{what}", op, *inputs, **arguments)

    def of_input(self, step: int) -> str:
        """The gates' part of one position."""
        if self.positions == 1:
            return self.add(f"{step}/input", Reshape((self.width,)), self._read)
        cut = self.add(f"{step}/cut", Slice(step, 1, 0), self._read)
        return self.add(f"{step}/input", Reshape((self.width,)), cut)

    def of_state(self, step: int, state: str, use_bias: bool) -> str:
        """The gates' part of the state: the same kernel at every position."""
        found = self.add(f"{step}/state", Dense(self.width, use_bias), state, weights=self._owner)
        self._owner = self._owner or found
        return found

    def gate(self, step: int, what: str, source: str, place: int) -> str:
        return self.add(f"{step}/{what}", Slice(place * self.op.units, self.op.units), source)

    def finish(self, states: list[str]) -> None:
        """Names the output: the last state, or all of them."""
        if not self.op.all_positions:
            self.builder.add(self.name, Reshape((self.op.units,)), states[-1])
            return
        rows = [self.add(f"{step}/row", Reshape((1, self.op.units)), state) for step, state in enumerate(states)]
        self.builder.add(self.name, Concatenate(0), *rows)


def _lstm(builder: GraphBuilder, node: OpNode, op: Lstm) -> None:
    steps = _Steps(builder, node, op)
    states: list[str] = []
    memory = ""
    for step in range(steps.positions):
        total = steps.of_input(step)
        if states:
            total = steps.add(f"{step}/total", Add(), total, steps.of_state(step, states[-1], False))
        kept, new, shown = (
            steps.gate(step, what, total, place) for what, place in (("in", 0), ("cell", 2), ("out", 3))
        )
        kept = steps.add(f"{step}/in_gate", Activation("sigmoid"), kept)
        new = steps.add(f"{step}/new", Activation("tanh"), new)
        added = steps.add(f"{step}/added", Multiply(), kept, new)
        if memory:
            forgotten = steps.gate(step, "forget", total, 1)
            forgotten = steps.add(f"{step}/forget_gate", Activation("sigmoid"), forgotten)
            old = steps.add(f"{step}/old", Multiply(), forgotten, memory)
            added = steps.add(f"{step}/memory", Add(), old, added)
        memory = added
        shown = steps.add(f"{step}/out_gate", Activation("sigmoid"), shown)
        states.append(
            steps.add(f"{step}/shown", Multiply(), shown, steps.add(f"{step}/squashed", Activation("tanh"), memory))
        )
    steps.finish(states)


def _first_gru_step(steps: _Steps, parts: list[str]) -> str:
    update, reset = (
        steps.add(f"0/gate{place}", Activation("sigmoid"), steps.add(f"0/sum{place}", ConstantOperand("add"), part))
        for place, part in enumerate(parts[:2])
    )
    remembered = steps.add("0/remembered", ConstantOperand("multiply"), reset)
    new = steps.add("0/new", Activation("tanh"), steps.add("0/sum2", Add(), parts[2], remembered))
    return steps.add("0/next", Subtract(), new, steps.add("0/moved", Multiply(), update, new))


def _gru_step(steps: _Steps, step: int, parts: list[str], state: str) -> str:
    held = steps.of_state(step, state, True)
    kept = [steps.gate(step, f"state{place}", held, place) for place in range(3)]
    update, reset = (
        steps.add(
            f"{step}/gate{place}",
            Activation("sigmoid"),
            steps.add(f"{step}/sum{place}", Add(), parts[place], kept[place]),
        )
        for place in range(2)
    )
    remembered = steps.add(f"{step}/remembered", Multiply(), reset, kept[2])
    new = steps.add(f"{step}/new", Activation("tanh"), steps.add(f"{step}/sum2", Add(), parts[2], remembered))
    change = steps.add(f"{step}/change", Subtract(), state, new)
    return steps.add(f"{step}/next", Add(), new, steps.add(f"{step}/moved", Multiply(), update, change))


def _gru(builder: GraphBuilder, node: OpNode, op: Gru) -> None:
    steps = _Steps(builder, node, op)
    states: list[str] = []
    for step in range(steps.positions):
        read = steps.of_input(step)
        parts = [steps.gate(step, f"input{place}", read, place) for place in range(3)]
        if states:
            states.append(_gru_step(steps, step, parts, states[-1]))
        else:  # from a state of zeros only the bias is left
            states.append(_first_gru_step(steps, parts))
    steps.finish(states)


_EXPANSIONS: dict[type[Op], Callable[[GraphBuilder, OpNode, Any], None]] = {
    Gru: _gru,
    LayerNorm: _layer_norm,
    Lstm: _lstm,
    RelativeBias: _relative_bias,
    Scale: _scale,
    ScaleShift: _scale_shift,
    WeightedSum: _weighted_sum,
}
