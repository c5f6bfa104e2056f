"""Lets docstrings read well on the pages that are made from them: roles become code, examples become code blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|meth|func|attr|mod|data):`(~?)([\w.]+)`")


class Docstrings(griffe.Extension):
    """Turns ``:class:`~a.B``` into ``B``, and lines from ``>>>`` up to an empty one into a block."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called by griffe for every module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = "\n".join(_with_blocks(ROLE.sub(_plain, obj.docstring.value).splitlines()))


def _plain(match: re.Match[str]) -> str:
    shortened, name = match.groups()
    return f"`{name.rpartition('.')[2] if shortened else name}`"


def _with_blocks(lines: list[str]) -> Iterator[str]:
    indent: str | None = None
    for line in lines:
        if indent is None and line.lstrip().startswith(">>> "):
            indent = line[: len(line) - len(line.lstrip())]
            yield f"{indent}```pycon"
        elif indent is not None and not line.strip():
            yield f"{indent}```"
            indent = None
        yield line
    if indent is not None:
        yield f"{indent}```"
