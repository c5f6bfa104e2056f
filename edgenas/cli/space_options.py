"""The options that name a space and the size of its input, and what they make of it: one for all verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from edgenas.cli.output import remark
from edgenas.spaces.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgenas.spaces.block import Block
    from edgenas.spaces.resolve import ResolvedArchitecture
    from edgenas.spaces.space.search_space import SearchSpace
    from edgenas.spaces.tensor import Shape

SPACE_HELP = "Name of a space of the catalog, or the path of a YAML file."
INPUT_SHAPE = typer.Option(
    None,
    "--input-shape",
    metavar="HxWxC",
    help="Size of the input, such as 96x96x3; 96x96 or 96 keep the channels. By default the space's or network's own.",
)
CLASSES = typer.Option(
    None, "--classes", min=1, metavar="N", help="Number of classes. By default the space's or network's own."
)


def read_input_shape(text: str | None) -> tuple[int, ...] | None:
    """The sides that were given. Raises InputError for anything but whole numbers joined by ``x``."""
    if text is None:
        return None
    sides = text.lower().split("x")
    if not all(side.isascii() and side.isdecimal() and len(side) < 10 and int(side) for side in sides):
        raise InputError(
            f"--input-shape: found {text[:40]!r}, expected height, width, channels such as 96x96x3; 96x96 or 96 keep "
            "the channels"
        )
    return tuple(int(side) for side in sides)


def load_space(space: str, input_shape: str | None = None, classes: int | None = None) -> SearchSpace:
    """The space, for that size and number of classes. Raises InputError when it cannot have them."""
    from edgenas.spaces.space.search_space import SearchSpace

    shape = read_input_shape(input_shape)
    try:
        loaded = SearchSpace.load(space, input_shape=shape, classes=classes)
    except InputError as error:
        if shape is None:
            raise
        SearchSpace.load(space)  # what is wrong with the space itself is told as that
        raise InputError(f"--input-shape {input_shape}: {error}") from None
    choices = (choice for position in loaded.positions for choice in position.choices)
    if classes is not None and not any("classes" in choice.fields for choice in choices):
        raise InputError(f"--classes: space {loaded.name!r} has no classes; leave the option out")
    if shape is not None:
        entries = ((slot.name, entry) for slot in loaded.slots for entry in loaded.slot_table(slot).entries)
        _warn_of_one_pixel((name, entry.canonical, entry.input_shapes) for name, entry in entries)
    return loaded


def resolve(arch: str, input_shape: str | None, classes: int | None) -> ResolvedArchitecture:
    """The network that ARCH names, for that size and number of classes. Raises InputError when it cannot have them."""
    from edgenas.spaces.resolve import resolve_architecture

    shape = read_input_shape(input_shape)
    try:
        resolved = resolve_architecture(arch, input_shape=shape, classes=classes)
        network = resolved.network
        network.shapes  # noqa: B018  (refuses blocks that do not fit)
    except InputError as error:
        if shape is None:
            raise
        resolve_architecture(arch)
        raise InputError(f"--input-shape {input_shape}: {error}") from None
    if shape is not None:
        _warn_of_one_pixel((node.name, node.block, network.input_shapes(node)) for node in network.nodes)
    return resolved


def _warn_of_one_pixel(blocks: Iterable[tuple[str, Block, Sequence[Shape]]]) -> None:
    """Says where a kernel larger than 1 first runs over an image of one pixel."""
    for name, block, shapes in blocks:
        if any(len(shape) == 3 and shape[:2] == (1, 1) for shape in shapes) and getattr(block, "kernel", 1) > 1:
            remark(
                f"warning: the image is one pixel before {name}, and its kernel sees nothing but padding around that; "
                "a larger --input-shape, or a space with fewer strides, suits better"
            )
            return


def options_as_written(input_shape: str | None, classes: int | None) -> str:
    """The two options for a command that is shown to the user, with a space before each.

    >>> options_as_written("96", None)
    ' --input-shape 96'
    """
    shape = "" if input_shape is None else f" --input-shape {input_shape}"
    return shape + ("" if classes is None else f" --classes {classes}")
