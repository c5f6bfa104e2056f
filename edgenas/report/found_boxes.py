"""What a detection's file finds in test pictures: figures of every class and group, boxes beside the truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgenas.report.data import BoxEvidence, BoxRow, DrawnPicture
from edgenas.report.kept import read_kept
from edgenas.report.masks import pictures_html
from edgenas.report.mistakes import checked_picture
from edgenas.report.text import escape, percent


def read_boxes(path: Path, checksums: Mapping[str, str]) -> BoxEvidence | None:
    """What ``edgenas.run.found_boxes`` wrote; None, or an error, as :func:`read_kept` says."""
    document = read_kept(path, checksums)
    if document is None:
        return None
    return BoxEvidence(
        str(document["quantization"]),
        int(document["examples"]),
        float(document["shown_score"]),
        tuple(_row(one, "label") for one in document["classes"]),
        tuple(_row(one, "group") for one in document["groups"]),
        tuple(_drawn(one) for one in document["pictures"]),
    )


def _row(one: Mapping[str, Any], name: str) -> BoxRow:
    ap, ap50, recall = (None if one[key] is None else float(one[key]) for key in ("ap", "ap50", "recall"))
    colour = ""
    if "colour" in one:
        red, green, blue = (int(value) & 255 for value in one["colour"])
        colour = f"#{red:02x}{green:02x}{blue:02x}"
    return BoxRow(str(one[name]), ap, ap50, recall, int(one["boxes"]), int(one.get("images", 0)), colour)


def _drawn(one: Mapping[str, Any]) -> DrawnPicture:
    picture, truth, predicted = (checked_picture(one[n], one["index"]) for n in ("picture", "truth", "predicted"))
    return DrawnPicture(int(one["index"]), float(one["agreement"]), picture, truth, predicted)


def boxes_html(boxes: BoxEvidence) -> str:
    """Panels with the classes, the groups, and the pictures."""
    caption = (
        f"From the worst to the best of the test images, each beside the true boxes and those that the file finds with "
        f"a score of at least {boxes.shown_score:g}; true boxes that do not count are black."
    )
    shown = pictures_html(boxes.pictures, caption, "boxes told right (F1)")
    return f'<div class="grid mistakes">{_classes(boxes)}{_groups(boxes)}{shown}</div>'


def _classes(boxes: BoxEvidence) -> str:
    rows = "".join(
        f'<tr><td><span class="swatch" style="background:{one.colour}"></span> {escape(one.name)}</td>{_figures(one)}'
        f'<td class="number">{one.boxes:,}</td></tr>'
        for one in boxes.classes
    )
    return (
        '<div class="panel"><h3>Every class</h3>'
        f'<p class="caption">The {escape(boxes.quantization)} file, through the interpreter, on the {boxes.examples:,} '
        "test images, after decoding and suppression. AP: average precision as COCO has it, over overlaps from 0.50 to "
        "0.95; recall: the boxes that are found at an overlap of 0.50, whatever the score.</p>"
        f'<div class="scroll"><table><thead><tr><th>class</th>{_HEADS}<th>boxes</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></div>"
    )


def _groups(boxes: BoxEvidence) -> str:
    if not boxes.groups:
        return ""
    rows = "".join(
        f'<tr><td>{escape(one.name)}</td>{_figures(one)}<td class="number">{one.boxes:,}</td>'
        f'<td class="number">{one.images:,}</td></tr>'
        for one in boxes.groups
    )
    return (
        '<div class="panel"><h3>Every group</h3>'
        '<p class="caption">The same of the boxes of each group that the annotations name, on the test images that '
        "have any. Boxes of other groups do not count; what is found where nothing is counts against every group of "
        "the image. Few boxes make rough figures.</p>"
        f'<div class="scroll"><table><thead><tr><th>group</th>{_HEADS}<th>boxes</th><th>images</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></div>"
    )


_HEADS = "<th>AP</th><th>AP50</th><th>recall</th>"


def _figures(one: BoxRow) -> str:
    values = ("-" if value is None else percent(value) for value in (one.ap, one.ap50, one.recall))
    return "".join(f'<td class="number">{value}</td>' for value in values)
