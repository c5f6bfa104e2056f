"""One step of a recurrent layer, in ops of its own."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from edgenas.export.streaming.walk import Flow, Walk, read_state, refused
from edgenas.spaces.graph import OpNode
from edgenas.spaces.ops import (
    Activation,
    Add,
    Dense,
    Gru,
    Lstm,
    Multiply,
    Op,
    Reshape,
    Slice,
    Subtract,
)


@dataclass
class _Cell:
    """One step of a recurrent layer, in ops of its own names."""

    walk: Walk
    node: OpNode
    units: int

    def add(self, what: str, op: Op, *inputs: str) -> str:
        return self.walk.builder.add(f"{self.node.name}.{what}", op, *inputs)

    def gates(self, what: str, source: str, count: int) -> list[str]:
        return [self.add(f"{what}{place}", Slice(place * self.units, self.units), source) for place in range(count)]

    def state(self) -> str:
        return read_state(self.walk, (self.units,))


def recurrent(walk: Walk, node: OpNode, flow: Flow, name: str) -> Flow:
    """Adds one step of a recurrent layer, whose state is kept."""
    op = node.op
    assert isinstance(op, (Gru, Lstm))
    if flow.period != walk.hop:
        raise refused(name, node, "reads frames of another rate than the last")
    cell = _Cell(walk, node, op.units)
    read = cell.add("frame", Reshape((walk.builder.shape(flow.name)[-1],)), flow.name)
    read = cell.add("inputs", Dense(op.gates * op.units), read)
    out = _gru_step(cell, read) if isinstance(op, Gru) else _lstm_step(cell, read)
    if not op.all_positions:
        walk.steps = flow.frames
        return Flow(walk.builder.add(node.name, Reshape((op.units,)), out), 0)
    return dataclasses.replace(flow, name=walk.builder.add(node.name, Reshape((1, op.units)), out))


def _gru_step(cell: _Cell, read: str) -> str:
    state = cell.state()
    held = cell.gates("held", cell.add("state", Dense(3 * cell.units), state), 3)
    own = cell.gates("read", read, 3)
    update, reset = (
        cell.add(f"gate{place}", Activation("sigmoid"), cell.add(f"sum{place}", Add(), own[place], held[place]))
        for place in range(2)
    )
    remembered = cell.add("remembered", Multiply(), reset, held[2])
    new = cell.add("new", Activation("tanh"), cell.add("sum2", Add(), own[2], remembered))
    moved = cell.add("moved", Multiply(), update, cell.add("change", Subtract(), state, new))
    out = cell.add("next", Add(), new, moved)
    cell.walk.keep(state, out)
    return out


def _lstm_step(cell: _Cell, read: str) -> str:
    state = cell.state()
    total = cell.add("total", Add(), read, cell.add("state", Dense(4 * cell.units, use_bias=False), state))
    kept, forgotten, new, shown = cell.gates("gate", total, 4)
    kept, forgotten, shown = (
        cell.add(f"{what}_gate", Activation("sigmoid"), source)
        for what, source in (("in", kept), ("forget", forgotten), ("out", shown))
    )
    new = cell.add("new", Activation("tanh"), new)
    # The second state is read after the first is kept, so that each has a number of its own.
    place = len(cell.walk.states)
    cell.walk.keep(state, "")
    memory = cell.state()
    added = cell.add(
        "memory", Add(), cell.add("old", Multiply(), forgotten, memory), cell.add("added", Multiply(), kept, new)
    )
    cell.walk.keep(memory, added)
    out = cell.add("out", Multiply(), shown, cell.add("squashed", Activation("tanh"), added))
    cell.walk.states[place] = (state, out)
    return out
