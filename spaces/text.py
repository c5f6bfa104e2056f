"""Text from outside, made safe to print: one line, without control characters."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

#: Control characters, line and paragraph separators, and halves of surrogate pairs.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def unprintable(text: str) -> str:
    r"""What in a text cannot be printed on one line, in words; empty when all can.

    >>> unprintable("two\nlines"), unprintable("Grünfink, 猫")
    ('the character U+000A', '')
    """
    match = _UNPRINTABLE.search(text)
    if match is None:
        return ""
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:
        return f"the byte 0x{code - 0xDC00:02x}, which is not UTF-8"
    return f"the character U+{code:04X}"


#: A word or a line of a message is cut to about this many characters: what is longer is a file's content, not a name.
LONGEST_WORD = 400
LONGEST_LINE = 2500


def shortened(text: str) -> str:
    """A message without the endless: long words and a long whole lose their middle, which says how much is missing.

    >>> shortened("expected 12 digits, found " + "9" * 5000)[-80:]
    '9999999999999999999999999... (4,600 characters left out) ...99999999999999999999'
    """
    text = re.sub(rf"\S{{{LONGEST_WORD},}}", lambda match: _cut(match.group(), LONGEST_WORD), text)
    return text if len(text) <= LONGEST_LINE else _cut(text, LONGEST_LINE)


def _cut(text: str, longest: int) -> str:
    start, end = longest - 20, 20
    return f"{text[:start]}... ({len(text) - start - end:,} characters left out) ...{text[-end:]}"


def one_line(text: str) -> str:
    r"""A text as one printable line: line breaks become spaces, other control characters are escaped.

    >>> one_line("a\n  b\x1b[31m")
    'a b\\x1b[31m'
    """
    joined = " ".join(part.strip() for part in re.split("[\r\n\u2028\u2029]+", text) if part.strip())
    return _UNPRINTABLE.sub(lambda match: ascii(match.group())[1:-1], shortened(joined))


def printable(text: str, *, lines: bool = False, instead: str = " ") -> str:
    r"""Text without characters that terminals, JSON or databases stumble over; in one line unless ``lines``.

    >>> printable("two\n lines\x00"), printable("a\nb\x00", instead="?")
    ('two lines', 'a b?')
    """
    text = text if lines else " ".join(text.split())
    clean = "".join(c if c.isprintable() or (lines and c == "\n") else instead for c in text)
    return clean if lines else " ".join(clean.split())


def did_you_mean(name: object, names: Iterable[str]) -> str:
    """The end of a message about an unknown name: the known name that is most like it; empty when none is.

    >>> did_you_mean("tiny_egde", ["nas_bench_201", "tiny_edge"]), did_you_mean("x", ["tiny_edge"])
    ("; did you mean 'tiny_edge'?", '')
    """
    near = difflib.get_close_matches(str(name), list(names), 1, cutoff=0.7)  # convnext is no conv
    return f"; did you mean {near[0]!r}?" if near else ""
