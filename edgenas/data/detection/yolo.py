"""YOLO's annotations: a text file for each image, a line for each box: class, centre x, centre y, width, height.

Classes are whole numbers from 0; the other four are shares of the image's sides. Names come from ``classes.txt`` (one a
line) or ``data.yaml`` (``names``). An image without a text file has no boxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgenas.data.detection.annotations import AnnotatedImage, DrawnBox
from edgenas.data.detection.documents import read_text
from edgenas.spaces.errors import InputError
from edgenas.spaces.text import one_line
from edgenas.spaces.yaml_files import read_yaml

NAME_FILES = ("classes.txt", "obj.names", "data.yaml", "data.yml", "dataset.yaml")
_COLUMNS = "class, centre x, centre y, width, height"


def read_yolo(path: Path, image: Any, name: str, names: Sequence[str]) -> AnnotatedImage:
    """The boxes of one file. Where ``names`` is empty, classes are called by their numbers.

    Raises InputError naming file and line.
    """
    if not path.exists():
        return AnnotatedImage(image, name, path)
    boxes = []
    for number, line in enumerate(read_text(path, "annotations").splitlines(), start=1):
        if line.strip():
            boxes.append(_box(path, f"line {number}", line.split(), names))
    return AnnotatedImage(image, name, path, tuple(boxes))


def _box(path: Path, place: str, words: list[str], names: Sequence[str]) -> DrawnBox:
    try:
        label, (x, y, width, height) = int(words[0]), map(float, words[1:])
        if label < 0:
            raise ValueError
    except ValueError:
        hint = " (an outline; convert it to a box)" if len(words) > 5 else ""
        shown = " ".join(words)[:60]
        raise InputError(one_line(f"{path}: {place} is {shown!r}{hint}; expected five numbers: {_COLUMNS}")) from None
    if names and label >= len(names):
        raise InputError(
            f"{path}: {place}: class {label} has no name: there are {len(names)} names; add it, or mend it"
        )
    if not max(abs(x), abs(y), width, height) <= 2:
        raise InputError(
            f"{path}: {place}: {x:g} {y:g} {width:g} {height:g} are no shares of the image's sides; expected numbers "
            f"from 0 to 1: {_COLUMNS}"
        )
    edges = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return DrawnBox(place, names[label] if names else str(label), edges, shares=True)


def read_names(folders: Sequence[Path]) -> tuple[str, ...]:
    """Names of classes from the first file of :data:`NAME_FILES` in one of the folders; empty when there is none."""
    for path in (folder / name for folder in folders for name in NAME_FILES):
        if not path.is_file():
            continue
        if path.suffix in (".txt", ".names"):
            return tuple(line.strip() for line in read_text(path, "names").splitlines() if line.strip())
        document = read_yaml(path)
        names = document.get("names") if isinstance(document, Mapping) else None
        if isinstance(names, Mapping) and sorted(names) == list(range(len(names))):
            names = [names[index] for index in range(len(names))]
        if not isinstance(names, list) or not names:
            raise InputError(f"{path}: names is {repr(names)[:60]}; expected a list of the classes' names")
        return tuple(str(name) for name in names)
    return ()
