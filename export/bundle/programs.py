"""The texts of ``run.py``: what a bundle is run with, in one file that needs nothing of EdgeNAS."""

from __future__ import annotations

import inspect

from edgenas.export.bundle import pictures as export_pictures
from edgenas.export.bundle import run as bundle_run
from edgenas.export.bundle import run_arrays

#: What follows in ``pictures.py`` is part of the program for pictures.
PICTURES_LINE = "# ---- run.py holds what follows ----\n"


def picture_program() -> str:
    """The program of an image classifier: the text of ``run.py`` with that of ``pictures.py`` in its import's place."""
    program, pictures = inspect.getsource(bundle_run), inspect.getsource(export_pictures)
    lines = program.splitlines(keepends=True)
    place = next(index for index, line in enumerate(lines) if "pictures import read_picture" in line)
    return "".join([*lines[:place], pictures.partition(PICTURES_LINE)[2].lstrip(), *lines[place + 1 :]])


def array_program() -> str:
    """The program of any other model: it takes arrays."""
    return inspect.getsource(run_arrays)
