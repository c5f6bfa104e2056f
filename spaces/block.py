"""The block interface: one class per searchable unit, found by name in a registry.

A block is a frozen dataclass of hyper-parameters with one method that matters, :meth:`Block.lower`: the small graph
of ops that it stands for on given input specs (:class:`edgenas.spaces.tensor.TensorSpec`: a shape with the type of its
elements). Shapes, costs, the Keras model, the TFLite file and the latency table all follow from that, so a new block
is one class and nothing else.

    @register_block("my_block")
    @dataclass(frozen=True)
    class MyBlock(Block):
        filters: int
        def lower(self, *inputs): ...

Text form (also the start of a signature): ``my_block(filters=32 kernel=5)``, with the fields that differ from their
defaults.
"""

from __future__ import annotations

import dataclasses
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import OpGraph
from edgenas.spaces.registry import Registry
from edgenas.spaces.tensor import PRECISIONS, Shape, TensorSpec, check_precision
from edgenas.spaces.text import did_you_mean

__all__ = [
    "PRECISIONS",
    "Block",
    "block_class",
    "block_from_dict",
    "block_kinds",
    "format_value",
    "register_block",
    "signature",
]

_REGISTRY: Registry[type[Block]] = Registry(
    "block", attribute="kind", own="edgenas.spaces.blocks", also=", or one of your own after --import FILE.py"
)
BlockType = TypeVar("BlockType", bound="type[Block]")


#: What blocks have under these names, or what YAML writes beside a block's fields.
_RESERVED = (
    *(
        "block",
        "canonical",
        "check_count",
        "cost_free_fields",
        "describe",
        "input_count",
        "kind",
        "lower",
        "only_deployed",
        "to_dict",
    ),
    "when",
)


@dataclass(frozen=True)
class Block(ABC):
    """A searchable unit. Subclasses are frozen dataclasses whose fields are ints, floats, bools, strings or None."""

    kind: ClassVar[str] = ""
    #: How many tensors the block reads; None for one or more, as merges do.
    input_count: ClassVar[int | None] = 1
    #: Fields that change training but not what is deployed; left out of signatures.
    cost_free_fields: ClassVar[frozenset[str]] = frozenset()
    #: Whether it runs in deployed networks only: what is trained ends before it (:attr:`Network.learned`).
    only_deployed: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        """Raises InputError when a field has the name of something that every block has."""
        super().__init_subclass__()
        for name, annotation in inspect.get_annotations(cls).items():
            if name in _RESERVED and "ClassVar" not in str(annotation):
                raise InputError(
                    f"block class {cls.__qualname__} has a field {name!r}, a name that every block uses already "
                    f"({', '.join(_RESERVED)}): call the field something else"
                )

    @abstractmethod
    def lower(self, *input_shapes: Shape) -> OpGraph:
        """The ops of this block on these inputs, with one output. Raises InputError when it does not fit them."""

    def canonical(self, *input_shapes: Shape) -> Block:
        """The same block with options that have no effect on these shapes set to one fixed value.

        Blocks that cost the same by construction (a skip that the stride forbids, say) become equal.
        """
        return self

    def check_count(self, count: int) -> None:
        """Raises InputError unless the block reads so many tensors."""
        if count != self.input_count and (self.input_count is not None or not count):
            wanted = "at least 1" if self.input_count is None else str(self.input_count)
            raise InputError(f"has {count} inputs, block {self.kind!r} reads {wanted}")

    def to_dict(self) -> dict[str, Any]:
        """``{"block": kind, field: value, ...}`` with the fields that differ from their defaults."""
        fields = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.default is dataclasses.MISSING or getattr(self, field.name) != field.default
        }
        return {"block": self.kind, **fields}

    def describe(self, *, cost_only: bool = False) -> str:
        """``ibn(filters=32 kernel=5 ...)``: the fields that differ from their defaults, in the order of the class.

        With ``cost_only``, also without the fields that cost nothing when deployed. A field that a later version
        adds with a default leaves older texts, and so the keys of tables, as they were.
        """
        fields = {name: value for name, value in self.to_dict().items() if name != "block"}
        if cost_only:
            fields = {name: value for name, value in fields.items() if name not in self.cost_free_fields}
        return f"{self.kind}({' '.join(f'{name}={format_value(value)}' for name, value in fields.items())})"


def format_value(value: object) -> str:
    """An option as text: yes, no, none, or as Python prints it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def register_block(kind: str) -> Callable[[BlockType], BlockType]:
    """Class decorator that makes a block known under ``kind``. Raises InputError when the name is taken."""
    return _REGISTRY.decorator(kind)


def block_kinds() -> tuple[str, ...]:
    """Names of all registered blocks, sorted."""
    return _REGISTRY.names()


def block_class(kind: str) -> type[Block]:
    """The class registered under ``kind``. Raises InputError with the known names."""
    return _REGISTRY.get(kind)


def block_from_dict(spec: Mapping[str, Any]) -> Block:
    """The inverse of :meth:`Block.to_dict`. Raises InputError naming the unknown or missing field."""
    fields = dict(spec)
    kind = fields.pop("block", None)
    if kind is None:
        raise InputError(
            f"a block needs the key 'block', one of {', '.join(block_kinds())}; found only {sorted(fields)}"
        )
    cls = block_class(str(kind))
    known = {field.name: field for field in dataclasses.fields(cls)}
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise InputError(
            f"block {kind!r} has no option {unknown[0]!r}: expected one of {', '.join(known)}"
            + did_you_mean(unknown[0], known)
        )
    missing = [name for name, field in known.items() if name not in fields and field.default is dataclasses.MISSING]
    if missing:
        raise InputError(f"block {kind!r} needs the option {missing[0]!r}")
    return cls(**fields)


def signature(block: Block, input_shapes: tuple[Shape, ...], precision: str, given: tuple[str, ...] = ()) -> str:
    """Canonical key of a block on input shapes and a precision: equal signatures cost the same.

    ``given`` names the ops of the block that others run at its place (:mod:`edgenas.spaces.sharing`).

    >>> from edgenas.spaces.blocks import ConvBnAct
    >>> signature(ConvBnAct(filters=16, kernel=3, stride=2), ((28, 28, 1),), "int8")
    'conv(filters=16 stride=2)@28x28x1/int8'
    """
    check_precision(precision)
    shapes = "+".join(str(TensorSpec.of(shape)) for shape in input_shapes)
    without = f" without {'+'.join(given)}" if given else ""
    return f"{block.canonical(*input_shapes).describe(cost_only=True)}@{shapes}/{precision}{without}"
