"""Writes the notebook of a page: its text as Markdown cells, its Python blocks as code cells.

python tools/docs/notebook.py [docs/python-quick-start.md ...] [--check]

The page is the source, so that there is one. The tests run its blocks as one program, and that the notebook is up to
date.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "docs" / "python-quick-start.md",)
_BLOCK = re.compile(r"^```python\n(.*?)^```\n?", re.MULTILINE | re.DOTALL)


def notebook(page: Path) -> str:
    """The notebook of a page, as JSON text that is the same whenever the page is."""
    text = page.read_text(encoding="utf-8")
    cells: list[dict[str, Any]] = []
    place = 0
    for match in _BLOCK.finditer(text):
        _add(cells, "markdown", text[place : match.start()])
        _add(cells, "code", match.group(1))
        place = match.end()
    _add(cells, "markdown", text[place:])
    document = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _add(cells: list[dict[str, Any]], kind: str, text: str) -> None:
    text = text.strip("\n")
    if not text:
        return
    cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{len(cells)}", "metadata": {}}
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    cells.append(cell | {"source": text.splitlines(keepends=True)})


def main() -> int:
    """Writes the notebooks, or tells with ``--check`` which are not up to date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path, default=list(PAGES))
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when one is not up to date")
    arguments = parser.parse_args()
    stale = []
    for page in arguments.pages:
        path = page.with_suffix(".ipynb")
        if arguments.check:
            stale += [path] if not path.is_file() or path.read_text(encoding="utf-8") != notebook(page) else []
            continue
        path.write_text(notebook(page), encoding="utf-8")
    for path in stale:
        print(f"{path}: not up to date; run python tools/docs/notebook.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
