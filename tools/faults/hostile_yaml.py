"""YAML texts that hurt a reader: aliases that explode or contain themselves, depth, size, tags, signs."""

from __future__ import annotations

import numpy as np


def laughs(depth: int, width: int, wrap: str = "{}") -> str:
    """Lists of lists by aliases: ``width ** depth`` entries in a few hundred letters."""
    lines = ["a0: &a0 [" + ", ".join(["lol"] * width) + "]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * width) + "]" for i in range(1, depth)]
    return "\n".join(lines) + "\n" + wrap.format(f"*a{depth - 1}") + "\n"


def laughing_mappings(depth: int, width: int) -> str:
    """The same with mappings, and with merge keys."""
    lines = ["a0: &a0 {x: 1}"]
    for i in range(1, depth):
        entries = ", ".join(f"k{j}: *a{i - 1}" for j in range(width))
        lines.append(f"a{i}: &a{i} {{{entries}}}")
    lines.append("<<: [" + ", ".join([f"*a{depth - 1}"] * width) + "]")
    return "\n".join(lines) + "\n"


def hostile(text: str, rng: np.random.Generator) -> bytes:
    """A text of one of these kinds; most keep the valid ``text`` as their start, so that readers go on."""
    size = int(rng.integers(1, 6))
    kinds: list[str] = [
        "&a [*a]\n",
        "&a {a: *a}\n",
        f"{text}extra: &a [*a, *a]\n",
        f"{text}extra: &a {{b: {{c: *a}}}}\n",
        "&r\n" + text + "self: *r\n",
        laughs(8, 10),
        laughs(9, 9, "name: {}"),
        text + laughs(4 + size, 10),
        text + laughing_mappings(6 + size, 8),
        "? &a [*a]\n: 1\n",
        "[" * 10 ** (1 + size) + "\n",
        "[" * (400 * size) + "]" * (400 * size),
        "{a: " * (300 * size) + "}" * (300 * size),
        "- " * (2000 * size) + "x\n",
        "".join(f"{' ' * i}a:\n" for i in range(250 * size)),
        text + "x: " + "9" * 6000 + "\n",
        text + "x: 0x" + "f" * 90000 + "\n",
        text + "x: " + "1:" * 3000 + "1\n",
        text + "".join(f"k{i}: {i}\n" for i in range(20000 * size)),
        text + "x: [" + "1, " * (100_000 * size) + "1]\n",
        text + "# " + "long " * 200_000 * size + "\n",
        text + 'x: "' + "y" * 3_000_000 + '"\n',
        text + "x: |\n" + "  line\n" * 200_000,
        f"!!python/object/apply:os.system ['true']\n{text}",
        text + "x: !!python/name:os.system\n",
        text + "x: !!timestamp 2001-99-99\n",
        text + "x: !!binary '###'\n",
        text + "x: !!int abc\n",
        text + "x: !!float ''\n",
        text + "x: !!omap [a, b]\n",
        text + "x: !!pairs {a: b}\n",
        text + "x: !!set [1]\n",
        text + "? {a: 1}\n: 2\n",
        text + "? [1, 2]\n: 2\n",
        text + "---\n" + text,
        "%YAML 3.0\n---\n" + text,
        "%TAG ! tag:x,2000:\n---\n!t {}\n",
        "\x00" * 1000,
        "\ufeff" + text,
        "",
        "\n\n\n",
        "# only words\n",
        "null\n",
        "42\n",
        "just text\n",
        "- a\n- list\n",
        text.replace("\n", "\r"),
        text + "\x1b[2J: 1\n",
        text + "a\x07b: 1\n",
        text + "\ud800: 1\n",
        text + "nul\x00: 1\n",
        "a: *missing\n",
        "a: &x 1\nb: &x 2\nc: *x\n",
        text * 2,
    ]
    return kinds[int(rng.integers(len(kinds)))].encode("utf-8", "surrogatepass")
