"""Drawing what was found over pictures: a colour for each label, and a file for each picture.

``run.py`` of bundles whose models find things in pictures holds a copy of this (all below the line). It needs NumPy
only, and Python 3.7.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.bundle.picture_input import PICTURE_ERRORS
from edgenas.export.bundle.running import refuse

# ---- run.py holds what follows ----


def colours(count: int) -> np.ndarray:
    """(count, 3) a colour for each label, none of them black: the bits of its number spread over the three."""
    found = np.zeros((count, 3), np.uint8)
    for label in range(count):
        rest = label + 1
        for shift in range(7, -1, -1):
            for channel in range(3):
                found[label, channel] |= (rest >> channel & 1) << shift
            rest >>= 3
    return found


def output_path(path: str, output: Any, ending: str) -> Path:
    """Where to draw a picture: the file that is named, or one beside others in a folder."""
    output = output or Path(".")
    return output / (os.path.splitext(os.path.basename(path))[0] + ending) if output.is_dir() else output


def draw_each(arguments: argparse.Namespace, draw: Any, told: Any) -> int:
    """Draws every picture by ``draw(path)``, and prints what it says, in the words of ``told``."""
    status = 0
    found = []
    for path in arguments.images:
        try:
            found.append(draw(path))
        except PICTURE_ERRORS as error:
            refuse(path, error)
            status = 2
    if arguments.json:
        print(json.dumps(found, indent=2))
        return status
    for one in found:
        print(told(one))
    return status
