"""Readers of the values in ``state.json``: each takes the place and what stands there, and refuses what cannot be."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.text import one_line

Value = TypeVar("Value")

_LONGEST_SHOWN = 60
_LONGEST_SECONDS = 1e12


def damaged(where: str, found: Any, expected: str) -> NoReturn:
    """Raises InputError with the place, what was found and what was expected."""
    shown = "nothing" if found is None else one_line(repr(found)[:_LONGEST_SHOWN])
    raise InputError(f"{one_line(where)}: found {shown}, expected {expected}")


def boolean(where: str, value: Any) -> bool:
    if not isinstance(value, bool):
        damaged(where, value, "true or false")
    return value


def text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        damaged(where, value, "a text")
    return value


def mapping(where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        damaged(where, value, "a mapping")
    return value


def count(where: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        damaged(where, value, "a whole number from 0 up")
    return value


def trial_number(where: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        damaged(where, value, "a trial's number")
    return value


def trial_key(where: str, value: Any) -> int:
    """The number of a trial as a key of JSON, which is a text."""
    if not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10):
        damaged(where, value, "a trial's number as key")
    return int(value)


def figure(where: str, value: Any) -> float:
    """A number, also an infinite one or none at all (NaN): what a metric or a limit may be."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (isinstance(value, int) and _too_large(value)):
        damaged(where, value, "a number")
    return value


def number(where: str, value: Any) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(figure(where, value)):
        damaged(where, value, "a number")
    return value


def seconds(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _LONGEST_SECONDS:
        damaged(where, value, "seconds, a number from 0 up")
    return value


def by_name(read: Callable[[str, Any], Value]) -> Callable[[str, Any], dict[str, Value]]:
    """A reader of mappings whose values ``read`` takes."""
    return lambda where, value: {name: read(f"{where}.{name}", one) for name, one in mapping(where, value).items()}


def by_trial(read: Callable[[str, Any], Value]) -> Callable[[str, Any], dict[int, Value]]:
    """The same with trials' numbers as keys."""
    return lambda where, value: {
        trial_key(where, name): read(f"{where}.{name}", one) for name, one in mapping(where, value).items()
    }


def _too_large(value: int) -> bool:
    return abs(value) > 10**300
