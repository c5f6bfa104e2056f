"""What the documents show: fenced blocks of Markdown files, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:edgenas |python tools/|bash tools/)[^`]*)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Shown:
    """A piece of a document, and where it stands."""

    document: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(document: Path, language: str) -> Iterator[Shown]:
    """Fenced blocks of one language, in order."""
    text = document.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        if match.group(1) == language:
            yield Shown(document, text.count("\n", 0, match.start()) + 2, match.group(2))


def commands(document: Path) -> Iterator[Shown]:
    """Every command line in ``bash`` blocks, without its comment."""
    for block in blocks(document, "bash"):
        for number, line in enumerate(block.text.splitlines()):
            if words := shlex.split(line, comments=True):
                yield Shown(document, block.line + number, shlex.join(words))


def inline_commands(document: Path) -> Iterator[Shown]:
    """Commands within sentences and tables, such as ``edgenas spaces list``."""
    for number, line in enumerate(prose(document).splitlines(), 1):
        for match in _INLINE.finditer(line):
            yield Shown(document, number, match.group(1))


def links(document: Path) -> Iterator[Shown]:
    """Targets of links and pictures that are files of the repository."""
    for number, line in enumerate(prose(document).splitlines(), 1):
        for match in _LINK.finditer(line):
            if not match.group(1).startswith(("http:", "https:", "#")):
                yield Shown(document, number, match.group(1).partition("#")[0])


def prose(document: Path) -> str:
    """The text with fenced blocks blanked, so that line numbers stay."""
    text = document.read_text(encoding="utf-8")
    return _FENCE.sub(lambda match: "\n" * match.group(0).count("\n"), text)
