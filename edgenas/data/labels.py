"""Names of classes: what cannot be one, and what looks like a mistake."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from edgenas.spaces.errors import InputError
from edgenas.spaces.text import unprintable

MAX_LENGTH = 255


def check_class_names(names: Sequence[str], place: str) -> None:
    """Raises InputError for a name that is blank, too long, not one printable line, or there twice.

    The names are written one a line into what is shipped.
    """
    seen: set[str] = set()
    for name in names:
        problem = ""
        if not name.strip():
            problem = "is blank"
        elif found := unprintable(name):
            problem = f"contains {found}; expected one line of printable text"
        elif len(name) > MAX_LENGTH:
            problem = f"has {len(name)} characters, more than {MAX_LENGTH}"
        elif name in seen:
            problem = "is there twice"
        if problem:
            shown = name if len(name) <= 60 else name[:57] + "..."
            raise InputError(f"{place}: the class name {shown!r} {problem}; rename the class")
        seen.add(name)


def alike(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ in case or in the encoding of accents only.

    >>> alike(["cat", "dog", "Cat"])
    [('cat', 'Cat')]
    """
    seen: dict[str, str] = {}
    pairs = []
    for name in names:
        key = unicodedata.normalize("NFKC", name).casefold().strip()
        if key in seen:
            pairs.append((seen[key], name))
        seen.setdefault(key, name)
    return pairs
