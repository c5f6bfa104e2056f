"""A first or a last node for every network of a space, which no decision is about."""

from __future__ import annotations

import dataclasses

from edgenas.spaces.block import Block
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.spec import BlockChoice, Single, SpaceSpec, Value
from edgenas.spaces.yaml_files import Entry


def with_ending(spec: SpaceSpec, block: Block, last: str, outputs: tuple[str, ...]) -> SpaceSpec:
    """The spec with a block after the only output, which must be the ``last`` position.

    Raises InputError otherwise.
    """
    if outputs != (last,):
        raise InputError(
            f"{spec.file}: networks that end in {', '.join(outputs)} cannot be continued by {block.kind!r}; expected "
            f"one output that comes last, {last!r}"
        )
    return dataclasses.replace(spec, head=(*spec.head, _fixed(spec, block)), outputs=())


def with_beginning(spec: SpaceSpec, block: Block, inputs: int) -> SpaceSpec:
    """The spec with a block before everything else, behind its only input. Raises InputError where there are more."""
    if inputs != 1:
        raise InputError(f"{spec.file}: networks of {inputs} inputs cannot begin with {block.kind!r}; expected one")
    return dataclasses.replace(spec, beginning=_fixed(spec, block))


def _fixed(spec: SpaceSpec, block: Block) -> Single:
    fields: dict[str, tuple[Value, ...]] = {
        field.name: (Value(getattr(block, field.name), ()),) for field in dataclasses.fields(block)
    }
    return Single(BlockChoice(type(block), fields, (), Entry(spec.file, block.kind, block.to_dict())), (), 1)
