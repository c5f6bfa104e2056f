"""Options of an algorithm or an evaluator: a frozen dataclass, filled from the plain data of a recipe."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgenas.spaces.errors import InputError
from edgenas.spaces.text import did_you_mean
from edgenas.spaces.yaml_reading import decimal_comma


@dataclass(frozen=True)
class NoOptions:
    """For what has nothing to set."""


def read_options(cls: type[Any], options: Mapping[str, Any], owner: str) -> Any:
    """A ``cls`` from plain data. Raises InputError naming an unknown key or a wrong type, and the ``owner``.

    >>> read_options(NoOptions, {"size": 3}, "algorithm 'random'")
    Traceback (most recent call last):
    edgenas.spaces.errors.InputError: algorithm 'random' has no option 'size': it has none
    """
    known = [field.name for field in dataclasses.fields(cls)]
    for key in options:
        if key not in known:
            expected = f"expected one of {', '.join(known)}" if known else "it has none"
            raise InputError(f"{owner} has no option {key!r}: {expected}{did_you_mean(key, known)}")
    hints = typing.get_type_hints(cls)
    options = {key: _as_whole(value, hints[key]) for key, value in options.items()}
    for key, value in options.items():
        if not _is_a(value, hints[key]):
            comma = decimal_comma(value)
            expected = getattr(hints[key], "__name__", str(hints[key]))
            raise InputError(f"option {key!r} of {owner} must be {expected}, found {value!r}{comma and f'; {comma}'}")
    return cls(**options)


def _as_whole(value: Any, hint: Any) -> Any:
    """``1e2`` as 100 where a whole number is wanted."""
    if isinstance(value, float) and value.is_integer() and _is_a(1, hint) and not _is_a(value, hint):
        return int(value)
    return value


def _is_a(value: Any, hint: Any) -> bool:
    """Whether a YAML value fits a plain annotation: int, float, bool, str, or a union of them with None."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return any(_is_a(value, part) for part in typing.get_args(hint))
    if isinstance(value, bool) or hint is bool:
        return isinstance(value, bool) and hint is bool
    if hint is float:
        return isinstance(value, (int, float))
    return isinstance(value, hint)
