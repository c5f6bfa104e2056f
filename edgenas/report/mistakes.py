"""What the shipped file gets wrong: which class is taken for which, the worst classes, and some of the pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgenas.report.data import ClassMistakes, WrongPicture
from edgenas.report.kept import read_kept
from edgenas.report.text import escape, percent

#: Up to so many classes the whole matrix is shown; of more, the ones with most mistakes.
_WHOLE_MATRIX = 20
#: Up to so many, the matrix has room beside something else.
_HALF_WIDTH = 12
_WORST_CLASSES = 8
_PICTURES = 12
#: What may stand in a page as a picture: nothing but the pixels themselves.
_PICTURE = re.compile(r"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/]+={0,2}")
_PICTURE_CHARACTERS = 60_000


def read_mistakes(path: Path, checksums: Mapping[str, str]) -> ClassMistakes | None:
    """What ``edgenas.run.mistakes`` wrote; None, or an error, as :func:`read_kept` says."""
    document = read_kept(path, checksums)
    if document is None:
        return None
    labels = tuple(str(label) for label in document["labels"])
    confusion: dict[tuple[int, int], int] = {}
    for true, predicted, count in document["confusion"]:
        confusion[_place(true, len(labels)), _place(predicted, len(labels) + 1)] = _place(count, 2**53)
    wrong = tuple(_wrong(one, len(labels)) for one in document["wrong"][:_PICTURES])
    return ClassMistakes(str(document["quantization"]), _place(document["examples"], 2**53), labels, confusion, wrong)


def checked_picture(picture: str | None, index: Any) -> str:
    """A picture as it may stand in a page, empty for None. Raises ValueError for anything else."""
    picture = picture or ""
    if picture and (len(picture) > _PICTURE_CHARACTERS or not _PICTURE.fullmatch(picture)):
        raise ValueError(f"the picture of example {index!r} is none")
    return picture


def _wrong(one: Mapping[str, Any], classes: int) -> WrongPicture:
    picture = checked_picture(one["picture"], one["index"])
    return WrongPicture(
        _place(one["index"], 2**53),
        _place(one["true"], classes),
        _place(one["predicted"], classes + 1),
        float(one["confidence"]),
        picture,
    )


def _place(value: Any, end: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < end:
        raise ValueError(f"found {str(value)[:40]!r}, expected a whole number from 0 to {end - 1}")
    return value


def mistakes_html(mistakes: ClassMistakes, example: str) -> str:
    """Panels with the matrix, the worst classes, and the wrong pictures; ``example`` is what one example is called."""
    total = sum(mistakes.confusion.values())
    wrong = total - sum(count for (true, predicted), count in mistakes.confusion.items() if true == predicted)
    lead = (
        f"The {mistakes.quantization} file, through the interpreter, on the {total:,} test {example}s: "
        f"{wrong:,} wrong ({percent(wrong / max(1, total))})."
    )
    panels = _matrix(mistakes, lead) + _worst(mistakes)
    if len(mistakes.labels) <= _HALF_WIDTH:
        panels = f'<div class="grid mistakes">{panels}</div>'
    return panels + _pictures(mistakes, example)


def _label(mistakes: ClassMistakes, place: int) -> str:
    return mistakes.labels[place] if place < len(mistakes.labels) else "no class"


def _row(mistakes: ClassMistakes, true: int) -> dict[int, int]:
    return {predicted: count for (row, predicted), count in mistakes.confusion.items() if row == true}


def _by_mistakes(mistakes: ClassMistakes) -> list[tuple[float, int, int, int]]:
    """(share right, examples, right, class) of the classes with any example, the worst first."""
    found = []
    rows: dict[int, dict[int, int]] = {}
    for (true, predicted), count in mistakes.confusion.items():
        rows.setdefault(true, {})[predicted] = count
    for true, row in rows.items():
        examples, right = sum(row.values()), row.get(true, 0)
        if examples:
            found.append((right / examples, examples, right, true))
    return sorted(found)


def _matrix(mistakes: ClassMistakes, lead: str) -> str:
    classes = len(mistakes.labels)
    shown = list(range(classes))
    which = ""
    if classes > _WHOLE_MATRIX:
        most_wrong = sorted(_by_mistakes(mistakes), key=lambda one: one[2] - one[1])[:_WHOLE_MATRIX]
        shown = sorted(true for *_, true in most_wrong)
        which = f" Of the {classes} classes, the {len(shown)} with most mistakes."
    others = any(predicted not in shown for true, predicted in mistakes.confusion if true in shown)
    head = "".join(f'<th scope="col" title="{escape(_label(mistakes, one))}">{one}</th>' for one in shown)
    head += '<th scope="col">other</th>' if others else ""
    rows = "".join(_matrix_row(mistakes, true, shown, others) for true in shown)
    return (
        '<div class="panel"><h3>Which class is taken for which</h3>'
        f'<p class="caption">{escape(lead + which)} A row is a class as it is, a column what it is taken for: the '
        "diagonal is right. Darker: a larger share of the row.</p>"
        f'<div class="scroll"><table class="confusion"><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody>'
        "</table></div></div>"
    )


def _matrix_row(mistakes: ClassMistakes, true: int, shown: list[int], others: bool) -> str:
    row = _row(mistakes, true)
    total = max(1, sum(row.values()))
    cells = [(row.get(predicted, 0), predicted == true, _label(mistakes, predicted)) for predicted in shown]
    if others:
        cells.append((sum(count for predicted, count in row.items() if predicted not in shown), False, "another"))
    label = escape(_label(mistakes, true))
    written = "".join(
        f'<td class="{"right" if is_right else "wrong"}" style="--share:{count / total:.3f}" '
        f'title="{label} taken for {escape(name)}: {count} of {total}">{count or ""}</td>'
        for count, is_right, name in cells
    )
    return f'<tr><th scope="row" title="{label}"><i>{true}</i> {label}</th>{written}</tr>'


def _worst(mistakes: ClassMistakes) -> str:
    worst = [one for one in _by_mistakes(mistakes) if one[2] < one[1]][:_WORST_CLASSES]
    if not worst:
        return ""
    rows = ""
    for share, examples, right, true in worst:
        taken = sorted(((count, predicted) for predicted, count in _row(mistakes, true).items() if predicted != true))
        most, predicted = taken[-1]
        rows += (
            f'<tr><td>{escape(_label(mistakes, true))}</td><td class="number">{percent(share)}</td>'
            f'<td class="number">{right:,} of {examples:,}</td>'
            f"<td>{escape(_label(mistakes, predicted))} ({most:,})</td></tr>"
        )
    return (
        '<div class="panel"><h3>Worst classes</h3><p class="caption">Share of a class that is told right, and what it '
        'is most often taken for.</p><div class="scroll"><table><thead><tr><th>class</th><th>right</th>'
        f"<th>examples</th><th>taken for</th></tr></thead><tbody>{rows}</tbody></table></div></div>"
    )


def _pictures(mistakes: ClassMistakes, example: str) -> str:
    if not mistakes.wrong:
        return ""
    figures = ""
    for one in mistakes.wrong:
        true, predicted = (escape(_label(mistakes, place)) for place in (one.true, one.predicted))
        picture = (
            f'<img src="{escape(one.picture)}" alt="test {escape(example)} {one.index}: {true}, taken for {predicted}">'
            if one.picture
            else f'<span class="no-picture">{escape(example)} {one.index}</span>'
        )
        figures += (
            f"<figure>{picture}<figcaption><b>{true}</b> taken for <b>{predicted}</b>, "
            f'<span class="number">{percent(one.confidence, 0)} sure</span></figcaption></figure>'
        )
    what = "pictures" if any(one.picture for one in mistakes.wrong) else f"{example}s"
    return (
        f'<div class="panel"><h3>Wrong {escape(what)}</h3><p class="caption">Of each pair of classes that is confused, '
        "the most frequent first, the one about which the file is surest. They are of the test part: look at them to "
        "find wrong labels or missing training data, but choose no model by them.</p>"
        f'<div class="wrong-pictures">{figures}</div></div>'
    )
