"""The general YAML form of a space: named nodes with named inputs, and cells of nodes that repeat.

    inputs: {image: [32, 32, 3], tokens: {shape: [16], dtype: int32}}   # or input_shape: [32, 32, 3] for one image
    cells:
      residual:
        inputs: [x]
        nodes:
          - {name: a, block: relu_conv, kernel: [3, 5]}                 # reads x: what comes before it
          - {name: out, block: sum, inputs: [x, a]}
    nodes:
      - {name: stem, block: conv, filters: [16, 32], inputs: image}
      - {name: body, cell: residual, repeat: 3, share: body}            # one set of decisions for all three
      - name: merge
        block: sum
        inputs: [stem, {one_of: [body, other, null]}]                   # a decision; null: without this input
        optional: true                                                  # a decision: skipped, the first input goes on
      - {name: classes, block: classifier}
    outputs: [classes]

A node has ``block`` with its options, or ``blocks``: a list to choose from, in which ``{block: none}`` puts nothing
there, so that readers do without. ``filters`` beside ``blocks`` is one width for all of them. With ``filters``,
``depth`` and ``layers`` it is a stage, as in the short form, whose first layer reads the inputs. A node whose inputs
are all left out is nothing itself, or with ``zeros_like: NAME`` zeros of that shape. ``share: NAME`` names the
decisions, so that nodes (or cells) of one name are decided together. ``$KEY`` in a cell is replaced by what the use
says ``with``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgenas.spaces.space.spec import MOST_LAYERS, BlockChoice, Stage, block_choice, parse_stage
from edgenas.spaces.yaml_files import Entry

NONE = "none"
#: What comes before all nodes: the last stage, the stem, or the first input.
BEFORE = ""
_NODE_KEYS = ("name", "inputs", "optional", "share", "zeros_like")
_STAGE_KEYS = ("name", "inputs", "share")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class InputSpec:
    """Where an input comes from, by full name and as written; None to do without it. Several: a decision."""

    names: tuple[str | None, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class NodeSpec:
    """A node as written, with its cell unrolled.

    A choice of None is ``{block: none}``. ``decided_as`` is the name of its decisions. Where there is a ``stage``,
    that has the choices.
    """

    name: str
    decided_as: str
    inputs: tuple[InputSpec, ...]
    choices: tuple[BlockChoice | None, ...]
    filters: tuple[int, ...]
    optional: bool
    zeros_like: str | None
    entry: Entry
    stage: Stage | None = None


def parse_nodes(entry: Entry, cells: Entry | None) -> tuple[NodeSpec, ...]:
    """All nodes with cells unrolled. Raises InputError naming the key path that is wrong."""
    return tuple(_Unroller(cells.any_mapping() if cells else {}).nodes(entry, _Scope({}, "", "", BEFORE), ()))


@dataclass(frozen=True)
class _Scope:
    """Names that mean something else in a cell, what goes before names of nodes and decisions, what comes before."""

    names: Mapping[str, str]
    prefix: str
    decided_as: str
    first: str

    def full(self, name: str) -> str:
        return self.names.get(name, f"{self.prefix}{name}")


class _Unroller:
    def __init__(self, cells: Mapping[str, Entry]) -> None:
        self._cells = cells

    def nodes(self, entry: Entry, scope: _Scope, within: tuple[str, ...]) -> list[NodeSpec]:
        found: list[NodeSpec] = []
        before = scope.first
        names = dict(scope.names)
        for item in entry.items():
            inner = _Scope(names, scope.prefix, scope.decided_as, before)
            keys = item.any_mapping()
            if "cell" in keys:
                name, output, unrolled = self._cell(item, inner, within)
                names[name] = output
                found += unrolled
                before = output
            else:
                found.append(self._node(item, inner))
                before = found[-1].name
        return found

    def _node(self, entry: Entry, scope: _Scope) -> NodeSpec:
        keys = entry.any_mapping()
        if "name" not in keys:
            entry.refuse("the key 'name' is missing. Add the node's name")
        name = _name(keys["name"])
        filters: tuple[int, ...] = ()
        choices: tuple[BlockChoice | None, ...] = ()
        stage = parse_stage(entry, _STAGE_KEYS) if "layers" in keys else None
        if stage is not None:
            pass
        elif "blocks" in keys:
            entry.mapping(("name", "blocks"), (*_NODE_KEYS, "filters"))
            fields = ("filters",) if "filters" in keys else ()
            choices = tuple(_choice(item, (), fields) for item in keys["blocks"].items())
            filters = keys["filters"].wholes() if "filters" in keys else ()
        else:
            choices = (_choice(entry, _NODE_KEYS, ()),)
        return NodeSpec(
            name=f"{scope.prefix}{name}",
            decided_as=keys["share"].text() if "share" in keys else f"{scope.decided_as}{name}",
            inputs=_inputs(keys.get("inputs"), scope),
            choices=choices,
            filters=filters,
            optional=_flag(keys.get("optional")),
            zeros_like=scope.full(keys["zeros_like"].text()) if "zeros_like" in keys else None,
            entry=entry,
            stage=stage,
        )

    def _cell(self, entry: Entry, scope: _Scope, within: tuple[str, ...]) -> tuple[str, str, list[NodeSpec]]:
        """The name of a cell's use, the full name of its output, and its nodes."""
        keys = entry.mapping(("name", "cell"), ("inputs", "repeat", "share", "with"))
        name, kind = _name(keys["name"]), keys["cell"].text()
        if kind not in self._cells:
            keys["cell"].fail(f"one of the cells {', '.join(self._cells) or '(there are none)'}")
        if kind in within:
            keys["cell"].refuse(f"cell {kind!r} contains itself")
        filled = _filled(self._cells[kind], keys["with"].any_mapping() if "with" in keys else {})
        parts = filled.mapping(("nodes",), ("inputs", "output"))
        own = [_name(item) for item in parts["inputs"].items_or_self()] if "inputs" in parts else ["x"]
        read = _inputs(keys.get("inputs"), scope)
        given = [each.names[0] for each in read]
        if len(given) != len(own) or any(len(each.names) > 1 for each in read):
            entry.refuse(f"cell {kind!r} reads {len(own)} inputs ({', '.join(own)}), found {len(given)}")
        repeat = keys["repeat"].whole(most=MOST_LAYERS) if "repeat" in keys else 1
        nodes: list[NodeSpec] = []
        output = ""
        for number in range(1, repeat + 1):
            use = name if repeat == 1 else f"{name}{number}"
            decided_as = keys["share"].text() if "share" in keys else f"{scope.decided_as}{use}"
            names = {inner: str(outer) for inner, outer in zip(own, given, strict=True)}
            inside = _Scope(names, f"{scope.prefix}{use}_", f"{decided_as}_", names[own[0]])
            unrolled = self.nodes(parts["nodes"], inside, (*within, kind))
            output = inside.full(parts["output"].text()) if "output" in parts else unrolled[-1].name
            nodes += unrolled
            given = [output, *given[1:]]
        return name, output, nodes


def _choice(entry: Entry, place_keys: tuple[str, ...], place_fields: tuple[str, ...]) -> BlockChoice | None:
    kind = entry.any_mapping().get("block")
    if kind is not None and kind.value == NONE:
        entry.mapping(("block",), place_keys)
        return None
    return block_choice(entry, place_keys, place_fields=(*place_fields, "classes"))


def _inputs(entry: Entry | None, scope: _Scope) -> tuple[InputSpec, ...]:
    if entry is None:
        return (InputSpec((scope.first,), (scope.first,)),)
    found = []
    for item in entry.items_or_self():
        if isinstance(item.value, dict):
            offered = item.mapping(("one_of",))["one_of"]
            names = [each.scalar() for each in offered.items()]
            if len(names) < 2 or len(set(names)) < len(names):
                offered.fail("two or more different names")
        else:
            names = [item.text()]
        for name in names:
            if name is not None and not isinstance(name, str):
                item.fail("names of nodes or inputs")
        texts = [name if isinstance(name, str) else None for name in names]
        labels = tuple(name or NONE for name in texts)
        found.append(InputSpec(tuple(None if name is None else scope.full(name) for name in texts), labels))
    return tuple(found)


def _name(entry: Entry) -> str:
    name = entry.text()
    if not _NAME.fullmatch(name) or name == NONE:
        entry.fail("a name of letters, digits and underscores that begins with a letter")
    return name


def _flag(entry: Entry | None) -> bool:
    if entry is None:
        return False
    if not isinstance(entry.value, bool):
        entry.fail("true or false")
    return bool(entry.value)


def _filled(cell: Entry, given: Mapping[str, Entry]) -> Entry:
    """A cell with ``$KEY`` replaced."""
    values = {key: entry.value for key, entry in given.items()}

    def replaced(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: replaced(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [replaced(inner) for inner in value]
        if isinstance(value, str) and value.startswith("$"):
            if value[1:] not in values:
                cell.refuse(f"{value!r} is not given: add {value[1:]!r} to 'with' where the cell is used")
            return values[value[1:]]
        return value

    return Entry(cell.file, cell.path, replaced(cell.value))
