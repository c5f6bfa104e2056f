"""What a supernet must know of an op: the widest weights, and which part of them each of its variants takes.

One function per op class, registered with :func:`shared_layer_for`, makes a :class:`SharedLayer` from all variants of
the op that a place of the space holds. A variant's own weights are a *view* of the shared ones: the same view cuts the
tensors that the supernet computes with and the arrays that a decoded network starts from, so both compute alike. An
op without weights needs no function: its Keras layer is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.ops import Op
from edgenas.spaces.tensor import TensorSpec


@dataclass(frozen=True)
class Variant:
    """An op on its input specs."""

    op: Op
    inputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class SharedWeight:
    """One array of an op, as large as any variant needs it; ``deviation`` is that of its initial normal distribution.

    With a deviation of 0 all elements start as ``mean``. Statistics are not trained.
    """

    shape: tuple[int, ...]
    deviation: float = 0.0
    mean: float = 0.0
    trained: bool = True


@dataclass(frozen=True)
class Mode:
    """What a pass through the supernet is for.

    Attributes:
        training: dropout acts, and batch norms use the statistics of the batch.
        momentum: when given, batch norms use the statistics of the batch and also mix them into the kept ones: what was
            kept counts this much (a scalar tensor).
        dtype: what ops compute in. Weights and statistics are float32 always, and so is what is put out in the end.
    """

    training: bool = False
    momentum: Any = None
    dtype: str = "float32"

    @property
    def batch_statistics(self) -> bool:
        return self.training or self.momentum is not None


@dataclass(frozen=True)
class SharedLayer:
    """How all variants of an op share weights.

    Attributes:
        weights: in the order of the op's Keras layer.
        numbers: whole numbers that tell a variant's part from another's, always as many.
        view: ``(op, weights, numbers) -> weights of the variant``: what its Keras layer has, cut from the shared ones.
        compute: ``(op, inputs, weights, numbers, mode) -> (output, statistics)``. The statistics replace the weights
            that are not trained; None where they stay. Weights, numbers and inputs are tensors.
        float32: whether ``compute`` takes its weights in float32 whatever the mode computes in; else in that.

    ``view`` and ``compute`` may use only what :func:`fixed_part` keeps of the op.
    """

    weights: tuple[SharedWeight, ...]
    numbers: Callable[[Variant], tuple[int, ...]]
    view: Callable[[Any, Sequence[Any], Sequence[Any]], list[Any]]
    compute: Callable[[Any, Sequence[Any], Sequence[Any], Sequence[Any], Mode], tuple[Any, list[Any] | None]]
    float32: bool = False


LayerMaker = Callable[[Sequence[Variant]], SharedLayer]
FixedPart = Callable[[Any], tuple[Any, ...]]


@dataclass(frozen=True)
class _Registered:
    make: LayerMaker
    fixed: FixedPart
    family: Callable[[Any], str | None]


_REGISTRY: dict[type[Op], _Registered] = {}
MakerType = TypeVar("MakerType", bound=LayerMaker)


def shared_layer_for(
    op_class: type[Op], *, fixed: FixedPart, family: Callable[[Any], str | None] | None = None
) -> Callable[[MakerType], MakerType]:
    """Decorator: the function that makes the shared layer of all variants of an op class.

    Args:
        op_class: the op.
        fixed: what of the op is built into a branch of the graph, such as a stride; all else goes by numbers.
        family: a name for ops that share weights across the kinds of blocks of a place; None: not across kinds.
    """

    def register(function: MakerType) -> MakerType:
        _REGISTRY[op_class] = _Registered(function, fixed, family or (lambda op: None))
        return function

    return register


def is_supported(op: Op, inputs: Sequence[TensorSpec]) -> bool:
    """Whether a supernet can hold the op: it has a shared layer, or no weights at all."""
    return type(op) in _REGISTRY or not op.params(*inputs)


def has_shared_weights(op: Op) -> bool:
    """Whether the op goes by a registered shared layer; else its Keras layer is used."""
    return type(op) in _REGISTRY


def shared_layer(variants: Sequence[Variant]) -> SharedLayer:
    """The shared layer of variants of one op class. Raises InputError for a class without one."""
    op = variants[0].op
    if type(op) not in _REGISTRY:
        known = ", ".join(sorted(cls.__name__ for cls in _REGISTRY))
        raise InputError(
            f"no supernet layer for {type(op).__name__}: expected one of {known}, or an op without weights"
        )
    return _REGISTRY[type(op)].make(variants)


def fixed_part(op: Op) -> tuple[Any, ...]:
    """What of an op is built into a branch of the graph. All of it, for an op without a shared layer."""
    registered = _REGISTRY.get(type(op))
    return (op,) if registered is None else registered.fixed(op)


def family(op: Op) -> str | None:
    """Name under which the op shares weights across kinds of blocks; None where it does not."""
    registered = _REGISTRY.get(type(op))
    return None if registered is None else registered.family(op)
