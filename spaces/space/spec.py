"""The YAML form of a search space, read into checked plain data.

    name: my_space
    task: classification
    input_shape: [32, 32, 3]
    classes: 10
    stem: {block: conv, filters: [8, 16], kernel: 3, stride: 1}
    stages:
      - stride: 2                # of the stage's first layer; default 1
        filters: [16, 24]        # one width for all layers of the stage
        depth: [1, 2, 3]
        layers:                  # first layer, second, ...; the last entry repeats up to the depth
          - blocks:
              - {block: fused_ibn, kernel: 3, expansion: [2, 4]}
          - blocks:
              - {block: ibn, kernel: [3, 5], expansion: [2, 4]}
              - block: gc_ibn
                expansion: 4
                group_size: [32, {value: 64, when: {filters: [16]}}]
                when: {filters: [16, 24]}
    head:
      - {block: conv, filters: [128, 256], kernel: 1}
      - {block: classifier, dropout: 0.1}

``stem``, ``stages`` and ``head`` are the short form for a chain. The general form is ``nodes`` (see
:mod:`edgenas.spaces.space.nodes`), which may stand alone or between the stages and the head, with ``inputs`` and
``outputs``
where there are several.

A value is a scalar, a list of options, or a list whose elements may be ``{value, when}``. ``when`` offers a block or
an option only where all its keys hold: ``filters`` (of this layer), ``input_filters`` (of the layer before), or an
option of the same block that is written above it; a list of values means any of them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.spaces.block import Block, block_class
from edgenas.spaces.errors import InputError
from edgenas.spaces.task_names import check_task_name
from edgenas.spaces.tensor import TensorSpec
from edgenas.spaces.text import did_you_mean
from edgenas.spaces.yaml_files import CATALOG, Entry, Scalar, catalog_names, read_yaml

if TYPE_CHECKING:
    from edgenas.spaces.space.nodes import NodeSpec

#: Fields that the place of a block in the space decides, so that a block choice does not list them as options.
PLACE_FIELDS = ("filters", "stride", "classes")
WIDTH_KEYS = ("filters", "input_filters")

#: No stage is deeper than this.
MOST_LAYERS = 200


@dataclass(frozen=True)
class When:
    """Offered only where the named width or option has one of these values."""

    key: str
    values: tuple[Scalar, ...]
    entry: Entry


@dataclass(frozen=True)
class Value:
    """One option of a block's field."""

    value: Scalar
    when: tuple[When, ...]


@dataclass(frozen=True)
class BlockChoice:
    """A block and the lists of options of its fields, in written order."""

    block: type[Block]
    options: dict[str, tuple[Value, ...]]
    when: tuple[When, ...]
    entry: Entry

    def has(self, field: str) -> bool:
        """Whether the block has this field."""
        return field in {f.name for f in dataclasses.fields(self.block)}


@dataclass(frozen=True)
class Stage:
    """Layers of one width; ``layers[i]`` lists the choices of layer i and the last entry repeats."""

    filters: tuple[int, ...]
    depth: tuple[int, ...]
    stride: int
    layers: tuple[tuple[BlockChoice, ...], ...]


@dataclass(frozen=True)
class Single:
    """A position outside stages with one block; ``filters`` is empty when the block keeps its input's width."""

    choice: BlockChoice
    filters: tuple[int, ...]
    stride: int


@dataclass(frozen=True)
class SpaceSpec:
    """A search space as written."""

    file: str
    name: str
    task: str
    inputs: tuple[tuple[str, TensorSpec], ...]
    classes: int
    stem: Single | None
    stages: tuple[Stage, ...]
    nodes: tuple[NodeSpec, ...]
    head: tuple[Single, ...]
    #: Names of stages, nodes or positions; the last position when empty.
    outputs: tuple[Entry, ...]
    #: A first block of every network, which no decision is about; None where there is none.
    beginning: Single | None = None
    #: What the space is for, in a line; empty where the file does not say it.
    description: str = ""


def space_names() -> tuple[str, ...]:
    """Names of the spaces that come with EdgeNAS."""
    return catalog_names(CATALOG)


def load_spec(name_or_path: str | Path) -> SpaceSpec:
    """The spec of a catalog space or of a YAML file. Raises InputError naming file, key, found and expected."""
    path = space_path(name_or_path)
    return parse_spec(read_yaml(path), str(path))


def space_path(name_or_path: str | Path) -> Path:
    """The file of a catalog space, or the path that is given. Raises InputError when it can be neither."""
    if str(name_or_path) in space_names():
        return CATALOG / f"{name_or_path}.yaml"
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml") and not path.is_file():
        raise InputError(
            f"unknown space {str(name_or_path)!r}: expected one of {', '.join(space_names())}, or a path of a .yaml"
            + did_you_mean(name_or_path, space_names())
        )
    return path


def parse_spec(document: Any, file: str = "space") -> SpaceSpec:
    """Checks a document. Raises InputError naming the key path that is wrong."""
    from edgenas.spaces.space.nodes import parse_nodes

    whole = Entry(file, "", document)
    given = whole.any_mapping()
    general = "nodes" in given
    chain = ("stem", "stages", "head")
    shape = ("inputs",) if "inputs" in given else ("input_shape",)
    required = ("name", *shape) if general else ("name", *shape, "classes", *chain)
    optional = ("task", "description", "nodes", "cells", "outputs", *(("classes", *chain) if general else ()))
    entries = whole.mapping(required, optional)
    if "inputs" in entries and ("stem" in entries or "stages" in entries) and "stem" not in entries:
        whole.refuse("the key 'stem' is missing, and stages need it. Add it")
    return SpaceSpec(
        file=file,
        name=entries["name"].text(),
        task=_task(entries["task"]) if "task" in entries else "classification",
        inputs=_inputs(entries["inputs"]) if "inputs" in entries else (_only_input(entries["input_shape"]),),
        classes=entries["classes"].whole() if "classes" in entries else 0,
        stem=_single(entries["stem"], "conv") if "stem" in entries else None,
        stages=tuple(parse_stage(entry) for entry in entries["stages"].items()) if "stages" in entries else (),
        nodes=parse_nodes(entries["nodes"], entries.get("cells")) if general else (),
        head=tuple(_single(entry) for entry in entries["head"].items()) if "head" in entries else (),
        outputs=entries["outputs"].items_or_self() if "outputs" in entries else (),
        description=entries["description"].text() if "description" in entries else "",
    )


def _task(entry: Entry) -> str:
    try:
        return check_task_name(entry.text())
    except InputError as error:
        entry.refuse(f"{error}")


def _inputs(entry: Entry) -> tuple[tuple[str, TensorSpec], ...]:
    """``{image: [32, 32, 3], tokens: {shape: [384], dtype: int32}}``."""
    found = []
    for name, value in entry.any_mapping().items():
        shape, dtype = value, "float32"
        if isinstance(value.value, dict):
            parts = value.mapping(("shape",), ("dtype",))
            shape, dtype = parts["shape"], parts["dtype"].text() if "dtype" in parts else dtype
        try:
            found.append((name, TensorSpec(tuple(item.whole() for item in shape.items()), dtype)))
        except InputError as error:
            if str(error).startswith(value.file):
                raise
            value.refuse(error)
    if not found:
        entry.fail("a mapping of input names to shapes")
    return tuple(found)


def _only_input(entry: Entry) -> tuple[str, TensorSpec]:
    sides = tuple(item.whole() for item in entry.items())
    if len(sides) not in (1, 3):
        entry.fail("[height, width, channels], or [features]")
    return "image" if len(sides) == 3 else "features", TensorSpec(sides)


def parse_stage(entry: Entry, place_keys: tuple[str, ...] = ()) -> Stage:
    """A stage as written; ``place_keys`` are read elsewhere. Raises InputError naming the key."""
    entries = entry.mapping(("filters", "depth", "layers"), ("stride", *place_keys))
    layers = tuple(
        tuple(block_choice(choice, ()) for choice in layer.mapping(("blocks",))["blocks"].items())
        for layer in entries["layers"].items()
    )
    strided = "stride" in entries and entries["stride"].whole() > 1
    for choice in (choice for layer in layers for choice in layer):
        if not choice.has("filters") or (strided and not choice.has("stride")):
            missing = "stride" if choice.has("filters") else "filters"
            choice.entry.refuse(f"block {choice.block.kind!r} has no {missing}, which a stage decides")
    depth = entries["depth"].wholes(most=MOST_LAYERS)
    if len(layers) > max(depth):
        entries["layers"].refuse(f"{len(layers)} layers are described but the depth is at most {max(depth)}")
    return Stage(
        filters=entries["filters"].wholes(),
        depth=tuple(sorted(depth)),
        stride=entries["stride"].whole() if "stride" in entries else 1,
        layers=layers,
    )


def _single(entry: Entry, default_block: str = "") -> Single:
    choice = block_choice(entry, ("filters", "stride"), default_block)
    entries = entry.any_mapping()
    for field in ("filters", "stride"):
        if field in entries and not choice.has(field):
            entries[field].refuse(f"block {choice.block.kind!r} has no option {field!r}. Remove it")
    if choice.has("filters") and "filters" not in entries:
        entry.refuse("the key 'filters' is missing. Add the width of this block")
    return Single(
        choice=choice,
        filters=entries["filters"].wholes() if "filters" in entries else (),
        stride=entries["stride"].whole() if "stride" in entries else 1,
    )


def block_choice(
    entry: Entry, place_keys: tuple[str, ...], default_block: str = "", place_fields: tuple[str, ...] = PLACE_FIELDS
) -> BlockChoice:
    """A block with its options. ``place_fields`` are decided by its place; ``place_keys`` are read elsewhere."""
    entries = entry.any_mapping()
    if "block" in entries:
        kind = entries["block"].text()
    elif default_block:
        kind = default_block
    else:
        entry.refuse("the key 'block' is missing. Add the kind of block")
    try:
        cls = block_class(kind)
    except InputError as error:
        entries["block"].refuse(error)
    fields = [field.name for field in dataclasses.fields(cls) if field.name not in place_fields]
    entry.mapping((), ("block", "when", *place_keys, *fields))
    options = {name: _values(entries[name], fields) for name in entries if name in fields}
    for field in dataclasses.fields(cls):
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and field.name in fields and field.name not in options:
            entry.refuse(f"block {kind!r} needs the option {field.name!r}. Add it")
    return BlockChoice(cls, options, _when(entries["when"], ()) if "when" in entries else (), entry)


def _values(entry: Entry, fields: list[str]) -> tuple[Value, ...]:
    values = []
    for item in entry.items_or_self():
        if isinstance(item.value, dict):
            parts = item.mapping(("value",), ("when",))
            when = _when(parts["when"], tuple(fields)) if "when" in parts else ()
            values.append(Value(parts["value"].scalar(), when))
        else:
            values.append(Value(item.scalar(), ()))
    if len({(type(v.value) is bool, v.value) for v in values}) < len(values):
        entry.fail("different options", "Remove the repeated one")
    return tuple(values)


def _when(entry: Entry, fields: tuple[str, ...]) -> tuple[When, ...]:
    return tuple(
        When(key, tuple(item.scalar() for item in part.items_or_self()), part)
        for key, part in entry.mapping((), (*WIDTH_KEYS, *fields)).items()
    )
