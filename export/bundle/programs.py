"""The texts of ``run.py``: what a bundle is run with, in one file that needs nothing of EdgeNAS."""

from __future__ import annotations

import inspect
import re
from types import ModuleType

from edgenas.export.bundle import (
    boxes,
    picture_drawing,
    picture_input,
    pictures,
    run,
    run_arrays,
    run_boxes,
    run_masks,
    run_sounds,
    run_table,
    running,
    sound_features,
    sounds,
)

#: What follows in the parts is part of the programs.
PART_LINE = "# ---- run.py holds what follows ----\n"
#: A line that imports what comes with Python.
_OF_PYTHON = re.compile(r"(import|from) (?!__future__|numpy|edgenas)")


def picture_program() -> str:
    """The program of an image classifier."""
    return _whole(run, (picture_input, pictures, running))


def mask_program() -> str:
    """The program of a segmentation model: it draws over pictures."""
    return _whole(run_masks, (picture_drawing, picture_input, pictures, running))


def box_program() -> str:
    """The program of a detector: it draws boxes over pictures."""
    return _whole(run_boxes, (boxes, picture_drawing, picture_input, pictures, running))


def table_program() -> str:
    """The program of a model for the rows of a table."""
    return _whole(run_table, (running,))


def sound_program() -> str:
    """The program of a classifier of sounds."""
    return _whole(run_sounds, (running, sound_features, sounds))


def array_program() -> str:
    """The program of any other model: it takes arrays."""
    return _whole(run_arrays, (running,))


def _whole(program: ModuleType, parts: tuple[ModuleType, ...]) -> str:
    """A program's text: each part's stands in the place of the line that imports it, what it imports among the rest."""
    lines = inspect.getsource(program).splitlines(keepends=True)
    imports = set()
    for part in parts:
        head, _, text = inspect.getsource(part).partition(PART_LINE)
        imports |= {line for line in head.splitlines(keepends=True) if _OF_PYTHON.match(line)}
        place = next(index for index, line in enumerate(lines) if line.startswith(f"from {part.__name__} import "))
        lines[place : place + 1] = ["\n\n", *text.splitlines(keepends=True), "\n\n"]
    first = next(index for index, line in enumerate(lines) if _OF_PYTHON.match(line))
    last = next(index for index, line in enumerate(lines) if index > first and not _OF_PYTHON.match(line))
    imports |= set(lines[first:last])
    lines[first:last] = sorted(imports, key=lambda line: (line.startswith("from"), line))
    return re.sub(r"\n{4,}", "\n\n\n", "".join(lines))
