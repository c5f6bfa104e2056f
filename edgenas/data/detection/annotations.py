"""What every reader of annotations hands over: images with boxes that somebody drew, and what may be wrong there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.spaces.errors import InputError
from edgenas.spaces.text import one_line

#: How far a box may reach out of its image without being taken for a mistake: pixels, or a share of the side.
SLACK_PIXELS, SLACK_SHARE = 1.0, 0.01


@dataclass(frozen=True)
class DrawnBox:
    """One box as it stands in a file.

    Attributes:
        place: where in the file: ``annotations[3]``, ``line 2``, ``object 1``.
        label: name of the class.
        edges: left, top, right, bottom in pixels of the image as it is stored.
        group: what it belongs to besides its class, for accuracy by group; empty: nothing.
        ignored: neither learned nor counted: a crowd, or too difficult.
        shares: whether the edges are shares of the sides instead of pixels.
    """

    place: str
    label: str
    edges: tuple[float, float, float, float]
    group: str = ""
    ignored: bool = False
    shares: bool = False

    def pixels(self, height: int, width: int) -> tuple[float, float, float, float]:
        """The edges in pixels of an image of this size."""
        left, top, right, bottom = self.edges
        return (left * width, top * height, right * width, bottom * height) if self.shares else self.edges


@dataclass(frozen=True)
class AnnotatedImage:
    """An image and its boxes, of which there may be none.

    Attributes:
        image: what it is read from: a path, or its place in a packed file.
        name: of the image, for messages.
        file: where the boxes are told.
        boxes: of the image.
        size: (height, width) that the file says; None: it does not.
    """

    image: Any
    name: str
    file: Path
    boxes: tuple[DrawnBox, ...] = ()
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Annotations:
    """The images of a part, and the names of the classes in order where the files say it."""

    images: tuple[AnnotatedImage, ...]
    names: tuple[str, ...] = ()


def normalised_boxes(annotated: AnnotatedImage, height: int, width: int) -> tuple[np.ndarray, int]:
    """(float32 (n, 4) of top, left, bottom, right as shares of the sides, how many were cut at an edge).

    ``height`` and ``width`` are those of the stored image. Raises InputError naming file, box, and what is wrong.
    """
    if annotated.size not in (None, (height, width)):
        told = annotated.size
        turned = (
            " (it is turned by its EXIF tag: save it upright)" if told == (width, height) != (height, width) else ""
        )
        raise InputError(
            f"{annotated.file}: says that {annotated.name} has {told[1]}x{told[0]} pixels (width x height), it has "
            f"{width}x{height}{turned}; make the annotations for the image as it is"
        )
    drawn = [box.pixels(height, width) for box in annotated.boxes]
    wrong = zip(annotated.boxes, (box_problem(edges, height, width) for edges in drawn), strict=True)
    problems = [(box, problem) for box, problem in wrong if problem]
    if problems:
        box, problem = problems[0]
        more = f" ({len(problems) - 1} more boxes of this image are wrong)" if len(problems) > 1 else ""
        raise InputError(
            one_line(f"{annotated.file}: {box.place} (image {annotated.name}, class {box.label}): {problem}{more}")
        )
    edges = np.array(drawn, np.float64).reshape(-1, 4)
    shares = edges[:, [1, 0, 3, 2]] / np.array([height, width, height, width])
    inside = shares.clip(0, 1)
    return inside.astype(np.float32), int((inside != shares).any(axis=1).sum())


def box_problem(edges: Sequence[float], height: int, width: int) -> str:
    """What is wrong with a box of (left, top, right, bottom) pixels, and what to do; empty when nothing is.

    >>> box_problem((5, 1, 3, 2), 10, 10)
    'left 5 is right of right 3: the two are swapped, or x, y, width, height was meant; write left, top, right, bottom'
    """
    if not all(math.isfinite(edge) for edge in edges):
        return f"{_numbers(edges)} are not four numbers; write left, top, right, bottom in pixels"
    left, top, right, bottom = edges
    meant = "the two are swapped, or x, y, width, height was meant; write left, top, right, bottom"
    if right < left:
        return f"left {left:g} is right of right {right:g}: {meant}"
    if bottom < top:
        return f"top {top:g} is below bottom {bottom:g}: {meant}"
    if right == left or bottom == top:
        return f"{_numbers(edges)} is empty: {right - left:g} pixels wide and {bottom - top:g} high; remove it"
    slack = [max(SLACK_PIXELS, SLACK_SHARE * side) for side in (width, height)]
    outside = left < -slack[0] or top < -slack[1] or right > width + slack[0] or bottom > height + slack[1]
    if outside or left >= width or top >= height or right <= 0 or bottom <= 0:
        return (
            f"{_numbers(edges)} (left, top, right, bottom) lies outside of the image of {width}x{height} pixels (width "
            "x height); mend it, or say of which size of the image it is"
        )
    return ""


def class_names(parts: Mapping[str, Annotations], wanted: Sequence[str], source: str) -> tuple[str, ...]:
    """The classes of all parts: as the files have them in order, else sorted; those ``wanted`` when any are.

    Raises InputError for a wanted class that nothing is of.
    """
    names: dict[str, None] = {}
    for part in parts.values():
        names |= dict.fromkeys(part.names)
    named = bool(names)
    found = {box.label for part in parts.values() for image in part.images for box in image.boxes}
    names |= dict.fromkeys(sorted(found - set(names)))
    if wanted:
        for name in wanted:
            if name not in names:
                raise InputError(
                    f"task_options.classes: {source} has no class {name!r}; expected some of {', '.join(names)}"
                )
        return tuple(wanted)
    return tuple(names) if named else tuple(sorted(names))


def _numbers(edges: Sequence[float]) -> str:
    return ", ".join(f"{edge:g}" for edge in edges)
