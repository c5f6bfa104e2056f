"""Damage by seed: to bytes, to text, and to what a YAML or JSON file says."""

from __future__ import annotations

import copy
import datetime
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

#: What people and programs write where something else is expected.
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3, 7, 255, 1e-9, 0.5, -0.5, 1e300, 10**6, 2**31, 2**63, 10**30, 10**400),
    *(math.nan, math.inf, -math.inf, "", " ", "abc", "0", "1", "-1", "1e3", "0,3", "yes", "null", "ünï 猫 😀", "a\nb"),
    *("a" * 300, "../../etc/passwd", "/dev/null", "/dev/zero", "/proc/self/mem", "~nobody_here/x", "a?b#c", "a\x00b"),
    *("\x1b[31mred", "%s%n{0}{name}", "[bold]", "9" * 5000, [], [[]], [0], [1, 2], [-1, 1.5], ["a", "b"], [None]),
    *({}, {"a": 1}, {1: 2}, {"name": {"name": {}}}, [[[[[]]]]], [{}], list(range(200)), datetime.date(2020, 1, 1)),
    *(b"\x00\xff", {"block": "conv"}, {"block": "nothing", "x": 1}, "conv", "ibn", "int8", "local-cpu", "mobilenet_v2"),
)


def odd_value(rng: np.random.Generator) -> Any:
    return copy.deepcopy(ODD_VALUES[int(rng.integers(len(ODD_VALUES)))])


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all nodes below the root of nested mappings and lists."""
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in entries:
        yield (*path, key)
        yield from places(value, (*path, key))


def mutate_tree(tree: Any, rng: np.random.Generator, times: int = 1) -> Any:
    """A copy with something replaced, removed, renamed, doubled or moved."""
    tree = copy.deepcopy(tree)
    for _ in range(times):
        found = list(places(tree))
        if not found or not isinstance(tree, (dict, list)):
            return odd_value(rng)
        path = found[int(rng.integers(len(found)))]
        _change(_at(tree, path[:-1]), path[-1], rng, tree)
    return tree


#: Numbers that fit in most places, and some that fit in none: what is built of them is what matters.
_NUMBERS = (
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    9,
    11,
    16,
    24,
    32,
    64,
    100,
    128,
    224,
    1000,
    4096,
    10**5,
    10**7,
    2**31,
    2**40,
    0.1,
    0.25,
    1.5,
)


def mutate_numbers(tree: Any, rng: np.random.Generator, times: int = 1) -> Any:
    """A copy in which some numbers are others, of the same kind or not: much of it is still valid."""
    tree = copy.deepcopy(tree)
    for _ in range(times):
        found = [path for path in places(tree) if _is_number(_at(tree, path))]
        if not found:
            return tree
        path = found[int(rng.integers(len(found)))]
        number = _NUMBERS[int(rng.integers(len(_NUMBERS)))]
        _at(tree, path[:-1])[path[-1]] = [number, number + 1] if rng.random() < 0.15 else number
    return tree


def _at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _change(owner: Any, key: Any, rng: np.random.Generator, tree: Any) -> None:
    kind = int(rng.integers(10))
    if kind <= 4:
        owner[key] = odd_value(rng)
    elif kind == 5:
        del owner[key]
    elif kind == 6 and isinstance(owner, dict):
        owner[_renamed(key, rng)] = owner.pop(key)
    elif kind == 7 and isinstance(owner, list):
        owner.extend([copy.deepcopy(owner[key])] * int(rng.integers(1, 300)))
    elif kind == 8:
        owner[key] = [copy.deepcopy(owner[key])]
    elif _is_number(owner[key]):
        owner[key] = owner[key] * float(rng.choice([-1, 0, 0.1, 10, 1000, 1e9]))
    else:
        other = list(places(tree))
        owner[key] = copy.deepcopy(_at(tree, other[int(rng.integers(len(other)))]))


def _renamed(key: Any, rng: np.random.Generator) -> Any:
    text = str(key)
    options: tuple[Any, ...] = (text + "s", text.upper(), text[:-1], f" {text}", "", None, 1, True, (1, 2), text * 50)
    return options[int(rng.integers(len(options)))]


def mutate_bytes(content: bytes, rng: np.random.Generator, times: int = 1) -> bytes:
    """Flipped, cut, doubled, moved or inserted bytes."""
    found = bytearray(content)
    for _ in range(times):
        kind = int(rng.integers(7))
        place = int(rng.integers(len(found) + 1))
        if kind <= 1:
            for _ in range(int(rng.integers(1, 9))):
                if found:
                    found[int(rng.integers(len(found)))] = int(rng.integers(256))
        elif kind == 2:
            del found[place:]
        elif kind == 3:
            found[place:place] = rng.integers(0, 256, int(rng.integers(1, 40)), dtype=np.uint8).tobytes()
        elif kind == 4:
            del found[place : place + int(rng.integers(1, 200))]
        elif kind == 5:
            size = int(rng.integers(1, 64))
            found[place : place + size] = bytes(size)
        else:
            number = int(rng.choice([0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]))
            found[place : place + 4] = number.to_bytes(4, "little" if rng.random() < 0.5 else "big")
    return bytes(found)


_PIECES = (
    *(
        "\t",
        "\n",
        "\r\n",
        "\x00",
        "\ufeff",
        "---\n",
        "...\n",
        ": ",
        "- ",
        "#",
        "&a ",
        "*a",
        "<<: *a\n",
        "!!python/object:os.system ",
    ),
    *(
        "{",
        "}",
        "[",
        "]",
        '"',
        "'",
        "|",
        ">",
        "%YAML 9.9\n",
        "!!binary aGk=",
        "!!set {a}",
        "!!float x",
        "? ",
        "0o7",
        "1:30",
    ),
    *("é", "\ud7ff", "\u2028", "\x85", "=", ",,,", "1_000", "0x", ".inf", ".nan", "2001-99-99", "9" * 400, "~", "\\"),
)


def mutate_text(text: str, rng: np.random.Generator, times: int = 1) -> bytes:
    """Lines doubled, removed, moved, indented otherwise; letters and YAML's own signs put in; other encodings."""
    for _ in range(times):
        kind, lines = int(rng.integers(8)), text.splitlines(keepends=True) or [""]
        row = int(rng.integers(len(lines)))
        if kind == 0:
            lines.insert(row, lines[int(rng.integers(len(lines)))])
        elif kind == 1:
            del lines[row]
        elif kind == 2:
            other = int(rng.integers(len(lines)))
            lines[row], lines[other] = lines[other], lines[row]
        elif kind == 3:
            lines[row] = " " * int(rng.integers(1, 5)) + lines[row]
        elif kind == 4:
            lines[row] = lines[row].lstrip()
        else:
            line, piece = lines[row], _PIECES[int(rng.integers(len(_PIECES)))]
            place = int(rng.integers(len(line) + 1))
            lines[row] = line[:place] + piece + line[place + int(rng.integers(3)) :]
        text = "".join(lines)
    encoding = str(rng.choice(["utf-8"] * 12 + ["utf-16", "utf-8-sig", "latin-1", "utf-32"]))
    return text.encode(encoding, "replace")
