"""Which of a task's named values belongs to which input or output of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.tensor import Shape

Value = TypeVar("Value")


def bound(values: Mapping[str, Value], names: Sequence[str]) -> list[Value]:
    """The values in the order of a network's names; a single value fits a single name whatever both are called.

    >>> bound({"b": 2, "a": 1}, ["a", "b"]), bound({"logits": 3}, ["head"])
    ([1, 2], [3])

    Raises InputError when there are others than the names.
    """
    if len(values) == len(names) == 1:
        return list(values.values())
    if set(values) != set(names):
        raise InputError(
            f"the network has {', '.join(names) or 'nothing'}, the task {', '.join(values) or 'nothing'}; the names "
            "must be the same"
        )
    return [values[name] for name in names]


def named(values: Any, names: Sequence[str]) -> dict[str, Any]:
    """A model's output or outputs by name."""
    parts = list(values) if isinstance(values, (list, tuple)) else [values]
    return dict(zip(names, parts, strict=True))


def only(values: Mapping[str, Value]) -> Value:
    """The value of a mapping that has one. Raises InputError otherwise."""
    if len(values) != 1:
        raise InputError(f"expected one output, found {len(values)}: {', '.join(values)}")
    return next(iter(values.values()))


def listed(ends: Mapping[str, Shape]) -> str:
    """Shapes in words; with their names where there are several."""
    if len(ends) == 1:
        return str(tuple(next(iter(ends.values()))))
    return " and ".join(f"{name} {tuple(shape)}" for name, shape in ends.items()) or "nothing"
