"""Pascal VOC's annotations: an XML file for each image, with ``object``s of a ``name`` and a ``bndbox``.

Pixels are counted from 1, as VOC and LabelImg do. ``difficult`` objects are neither learned nor counted; a ``group``
of an object, or of the whole annotation, is read for accuracy by group.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from edgenas.data.detection.annotations import AnnotatedImage, DrawnBox
from edgenas.data.detection.documents import read_content
from edgenas.spaces.errors import InputError
from edgenas.spaces.text import one_line

_MOST_BYTES, _MOST_DEPTH = 20 * 10**6, 50
_EDGES = ("xmin", "ymin", "xmax", "ymax")


def read_voc(path: Path, image: Any, name: str) -> AnnotatedImage:
    """The boxes of one file. Raises InputError naming file and object, such as ``object 2``."""
    root = read_xml(path)
    if root.tag != "annotation":
        raise InputError(one_line(f"{path}: begins with <{root.tag}>; expected <annotation>"))
    group = _text(root, "group")
    boxes = tuple(_box(path, f"object {index}", one, group) for index, one in enumerate(root.findall("object"), 1))
    sides = [_text(root, f"size/{side}") for side in ("height", "width")]
    size = (int(sides[0]), int(sides[1])) if all(side.isdecimal() and int(side) for side in sides) else None
    return AnnotatedImage(image, name, path, boxes, size)


def _box(path: Path, place: str, one: Element, group: str) -> DrawnBox:
    label = _text(one, "name")
    if not label:
        raise InputError(f"{path}: {place} has no name; expected the name of its class")
    try:
        left, top, right, bottom = (float(_text(one, f"bndbox/{edge}")) for edge in _EDGES)
    except ValueError:
        found = ", ".join(f"{edge} {_text(one, f'bndbox/{edge}')!r}" for edge in _EDGES)
        raise InputError(one_line(f"{path}: {place}: bndbox has {found}; expected four numbers")) from None
    ignored = _text(one, "difficult") == "1"
    return DrawnBox(place, label, (left - 1, top - 1, right, bottom), _text(one, "group") or group, ignored)


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def read_xml(path: Path) -> Element:
    """The root of an XML file without a document type: so nothing in it is expanded or fetched.

    Raises InputError naming the file and the line.
    """
    content, builder, depth = read_content(path, "annotations", _MOST_BYTES), TreeBuilder(), 0
    parser = expat.ParserCreate()

    def refuse(*_: Any) -> NoReturn:
        raise InputError(
            f"{path}: has a document type (<!DOCTYPE ...>), which can name other files or grow without end; remove it"
        )

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MOST_DEPTH:
            raise InputError(f"{path}: elements stand more than {_MOST_DEPTH} deep; expected Pascal VOC's annotations")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
        return builder.close()
    except expat.ExpatError as error:
        raise InputError(one_line(f"{path}: not an XML document ({error}); make it anew")) from None
    except InputError:  # which says all there is to say
        raise
    except (ValueError, LookupError) as error:  # an encoding that nobody knows
        raise InputError(one_line(f"{path}: not a readable XML document ({error}); save it as UTF-8")) from None
