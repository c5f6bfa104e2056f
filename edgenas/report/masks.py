"""What a segmentation's file makes of test pictures: figures of every class, predictions beside the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgenas.report.data import ClassPixels, DrawnPicture, MaskEvidence
from edgenas.report.kept import read_kept
from edgenas.report.mistakes import checked_picture
from edgenas.report.text import escape, percent


def read_masks(path: Path, checksums: Mapping[str, str]) -> MaskEvidence | None:
    """What ``edgenas.run.masks`` wrote; None, or an error, as :func:`read_kept` says."""
    document = read_kept(path, checksums)
    if document is None:
        return None
    return MaskEvidence(
        str(document["quantization"]),
        int(document["examples"]),
        tuple(_class(one) for one in document["classes"]),
        tuple(_drawn(one) for one in document["pictures"]),
    )


def _class(one: Mapping[str, Any]) -> ClassPixels:
    red, green, blue = (int(value) & 255 for value in one["colour"])
    iou, right = (None if one[name] is None else float(one[name]) for name in ("iou", "right"))
    return ClassPixels(str(one["label"]), iou, right, float(one["share"]), f"#{red:02x}{green:02x}{blue:02x}")


def _drawn(one: Mapping[str, Any]) -> DrawnPicture:
    picture, truth, predicted = (checked_picture(one[n], one["index"]) for n in ("picture", "truth", "predicted"))
    return DrawnPicture(int(one["index"]), float(one["miou"]), picture, truth, predicted)


def masks_html(masks: MaskEvidence) -> str:
    """Panels with the classes and the pictures."""
    caption = (
        "From the worst to the best of the test images, each beside the truth and what the file predicts; void is "
        "black."
    )
    return f'<div class="grid mistakes">{_classes(masks)}{pictures_html(masks.pictures, caption, "mean IoU")}</div>'


def _classes(masks: MaskEvidence) -> str:
    rows = "".join(
        f'<tr><td><span class="swatch" style="background:{one.colour}"></span> {escape(one.label)}</td>'
        f'<td class="number">{_share(one.iou)}</td><td class="number">{_share(one.right)}</td>'
        f'<td class="number">{percent(one.share)}</td></tr>'
        for one in masks.classes
    )
    return (
        '<div class="panel"><h3>Every class</h3>'
        f'<p class="caption">The {escape(masks.quantization)} file, through the interpreter, on the {masks.examples:,} '
        "test images at full resolution. IoU: the pixels that are of the class and were taken for it, as a share of "
        "those of which either holds. Void does not count.</p>"
        '<div class="scroll"><table><thead><tr><th>class</th><th>IoU</th><th>told right</th><th>share of pixels</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div></div>"
    )


def _share(value: float | None) -> str:
    return "-" if value is None else percent(value)


def pictures_html(pictures: Sequence[DrawnPicture], caption: str, figure: str) -> str:
    """A panel with pictures, each beside the truth and what was predicted; ``figure`` names the number of each."""
    if not pictures:
        return ""
    head = "".join(f"<span>{name}</span>" for name in ("picture", "truth", "predicted"))
    rows = ""
    for one in pictures:
        shown = "".join(
            f'<img src="{escape(source)}" alt="test image {one.index}: {name}">'
            for name, source in (("picture", one.picture), ("truth", one.truth), ("predicted", one.predicted))
        )
        rows += (
            f'<figure><div class="drawn">{shown}</div><figcaption>test image {one.index}: {figure} '
            f'<span class="number">{percent(one.score)}</span></figcaption></figure>'
        )
    return (
        f'<div class="panel"><h3>Pictures</h3><p class="caption">{escape(caption)}</p>'
        f'<div class="drawn heads">{head}</div>'
        f'<div class="drawn-pictures">{rows}</div></div>'
    )
