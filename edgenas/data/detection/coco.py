"""COCO's annotations: one JSON document with ``images``, ``annotations`` and ``categories``.

``bbox`` is x, y, width, height in pixels as COCO has it; a key ``bbox_format`` of the document that begins with
``xyxy`` says that it is left, top, right, bottom. ``group`` (a text) of an annotation, or of an image for all of its
boxes, is read for accuracy by group; ``iscrowd`` marks what is neither learned nor counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgenas.data.detection.annotations import AnnotatedImage, Annotations, DrawnBox
from edgenas.data.detection.documents import read_json
from edgenas.spaces.errors import InputError
from edgenas.spaces.text import one_line

_KEYS = ("images", "annotations", "categories")
_MOST_PIXELS = 10**6
#: From a record of an image and its place in the list to what the image is read from.
Locate = Callable[[Mapping[str, Any], int], Any]


def is_coco(document: Any) -> bool:
    """Whether a JSON document has COCO's three lists."""
    return isinstance(document, Mapping) and all(isinstance(document.get(key), list) for key in _KEYS)


def read_coco(path: Path, locate: Locate, document: Any = None) -> Annotations:
    """Every image with its boxes. Raises InputError naming file and place, such as ``annotations[3]``."""
    document = read_json(path) if document is None else document
    if not is_coco(document):
        found = ", ".join(map(str, list(document)[:8])) if isinstance(document, Mapping) else type(document).__name__
        raise InputError(one_line(f"{path}: found {found or 'nothing'}; expected COCO's lists {', '.join(_KEYS)}"))
    names = _categories(path, document["categories"])
    corners = str(document.get("bbox_format", "xywh")).startswith("xyxy")
    images: dict[Any, tuple[int, Mapping[str, Any]]] = {}
    for index, record in enumerate(document["images"]):
        key = _field(path, f"images[{index}]", record, "id", (int, str))
        _field(path, f"images[{index}]", record, "file_name", (str,))
        if key in images:
            raise InputError(f"{path}: images[{index}]: the id {key!r} is there twice; give each image its own")
        images[key] = index, record
    boxes: dict[Any, list[DrawnBox]] = {key: [] for key in images}
    for index, record in enumerate(document["annotations"]):
        place = f"annotations[{index}]"
        key = _field(path, place, record, "image_id", (int, str))
        if key not in images:
            raise InputError(f"{path}: {place}: image_id {key!r} is of no image; mend it, or add the image")
        boxes[key].append(_box(path, place, record, names, corners, images[key][1]))
    told = [
        AnnotatedImage(locate(record, index), record["file_name"], path, tuple(boxes[key]), _size(path, index, record))
        for key, (index, record) in images.items()
    ]
    return Annotations(tuple(told), tuple(names.values()))


def _categories(path: Path, records: list[Any]) -> dict[Any, str]:
    """Names by id, in the order of the ids."""
    names: dict[Any, str] = {}
    for index, record in enumerate(records):
        place = f"categories[{index}]"
        key, name = (_field(path, place, record, field, kind) for field, kind in (("id", (int, str)), ("name", (str,))))
        if key in names or name in names.values():
            raise InputError(
                f"{path}: {place}: the id {key!r} or the name {name!r} is there twice; each must be unique"
            )
        names[key] = name
    return {key: names[key] for key in sorted(names, key=lambda key: (isinstance(key, str), key))}


def _box(
    path: Path, place: str, record: Any, names: Mapping[Any, str], corners: bool, image: Mapping[str, Any]
) -> DrawnBox:
    category = _field(path, place, record, "category_id", (int, str))
    if category not in names:
        known = ", ".join(map(str, list(names)[:10]))
        raise InputError(f"{path}: {place}: category_id {category!r} is of no category; expected one of {known}")
    numbers = record.get("bbox")
    if not isinstance(numbers, list) or len(numbers) != 4 or not all(_is_number(number) for number in numbers):
        shown = repr(numbers)[:60]
        order = "[left, top, right, bottom]" if corners else "[x, y, width, height]"
        raise InputError(one_line(f"{path}: {place}: bbox is {shown}; expected four numbers {order} in pixels"))
    left, top, right, bottom = map(_real, numbers)
    if not corners:
        right, bottom = left + right, top + bottom
    group = record.get("group", image.get("group", ""))
    if not isinstance(group, (str, int)):
        raise InputError(f"{path}: {place}: group is {group!r}; expected a text")
    ignored = bool(record.get("iscrowd", 0))
    return DrawnBox(place, names[category], (left, top, right, bottom), str(group), ignored)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _real(value: float) -> float:
    """The number; infinite where it is larger than any."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _size(path: Path, index: int, record: Mapping[str, Any]) -> tuple[int, int] | None:
    sides = record.get("height"), record.get("width")
    if None in sides or 0 in sides:
        return None
    if not all(_is_number(side) and 0 < (side or 0) < _MOST_PIXELS for side in sides):
        raise InputError(f"{path}: images[{index}]: height and width are {sides!r}; expected numbers of pixels")
    return int(sides[0] or 0), int(sides[1] or 0)


def _field(path: Path, place: str, record: Any, key: str, kinds: tuple[type, ...]) -> Any:
    value = record.get(key) if isinstance(record, Mapping) else None
    if not isinstance(value, kinds) or isinstance(value, bool):
        expected = " or ".join({"int": "a whole number", "str": "a text"}[kind.__name__] for kind in kinds)
        raise InputError(one_line(f"{path}: {place}: {key} is {repr(value)[:60]}; expected {expected}"))
    return value
