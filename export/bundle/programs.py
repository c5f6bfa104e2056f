"""The texts of ``run.py``: what a bundle is run with, in one file that needs nothing of EdgeNAS."""

from __future__ import annotations

import inspect
from types import ModuleType

from edgenas.export.bundle import (
    boxes,
    changed,
    pictures,
    run,
    run_arrays,
    run_boxes,
    run_masks,
    run_sounds,
    run_table,
    sound_features,
    sounds,
)

#: What follows in ``boxes.py``, ``changed.py`` and ``pictures.py`` is part of the programs.
PART_LINE = "# ---- run.py holds what follows ----\n"


def picture_program() -> str:
    """The program of an image classifier."""
    return _whole(run, (changed, pictures))


def mask_program() -> str:
    """The program of a segmentation model: it draws over pictures."""
    return _whole(run_masks, (changed, pictures))


def box_program() -> str:
    """The program of a detector: it draws boxes over pictures."""
    return _whole(run_boxes, (boxes, changed, pictures))


def table_program() -> str:
    """The program of a model for the rows of a table."""
    return _whole(run_table, (changed,))


def sound_program() -> str:
    """The program of a classifier of sounds."""
    return _whole(run_sounds, (changed, sound_features, sounds))


def array_program() -> str:
    """The program of any other model: it takes arrays."""
    return _whole(run_arrays, (changed,))


def _whole(program: ModuleType, parts: tuple[ModuleType, ...]) -> str:
    """A program's text, with that of each part in the place of the line that imports it."""
    lines = inspect.getsource(program).splitlines(keepends=True)
    for part in parts:
        place = next(index for index, line in enumerate(lines) if line.startswith(f"from {part.__name__} import "))
        lines[place : place + 1] = inspect.getsource(part).partition(PART_LINE)[2].lstrip().splitlines(keepends=True)
    return "".join(lines)
