"""How good a table's model is beside what needs no search, and of a regression its answers beside the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgenas.report.data import AnswerEvidence
from edgenas.report.kept import read_kept
from edgenas.report.text import escape, metric_title, significant

_WIDTH, _HEIGHT, _LEFT, _BELOW, _ABOVE = 420, 300, 62, 40, 12


def read_answers(path: Path, checksums: Mapping[str, str]) -> AnswerEvidence | None:
    """What ``edgenas.run.answers`` wrote; None, or an error, as :func:`read_kept` says."""
    document = read_kept(path, checksums)
    if document is None:
        return None
    values = tuple((float(true), float(predicted)) for true, predicted in document["values"])
    if not all(math.isfinite(value) for pair in values for value in pair):
        raise ValueError("a value is not finite")
    figures = {"this file": document["metrics"], **document["baselines"]}
    return AnswerEvidence(
        str(document["quantization"]),
        int(document["examples"]),
        str(document["target"]),
        {str(name): {str(key): float(value) for key, value in found.items()} for name, found in figures.items()},
        frozenset(str(name) for name in document["smaller_is_better"]),
        values,
    )


def answers_html(answers: AnswerEvidence) -> str:
    """Panels with the figures and, of a regression, two plots."""
    plots = ""
    if answers.values:
        plots = _panel(
            "Predicted against true",
            f"{answers.target} of {len(answers.values):,} test rows; on the line the two are equal.",
            _plot(answers.values, lambda true, found: (true, found), ("true", "predicted"), "diagonal"),
        ) + _panel(
            "Residuals",
            "Predicted minus true, against what is predicted: a bend or a funnel says what the model lacks.",
            _plot(answers.values, lambda true, found: (found, found - true), ("predicted", "residual"), "zero"),
        )
    return f'<div class="grid mistakes">{_figures(answers)}{plots}</div>'


def _figures(answers: AnswerEvidence) -> str:
    names = list(next(iter(answers.figures.values())))
    head = "".join(
        f"<th>{escape(metric_title(name))}{' (less is better)' if name in answers.smaller_is_better else ''}</th>"
        for name in names
    )
    rows = "".join(
        f"<tr><td>{escape(model)}</td>"
        + "".join(f'<td class="number">{significant(found.get(name), 4)}</td>' for name in names)
        + "</tr>"
        for model, found in answers.figures.items()
    )
    return _panel(
        "Beside what needs no search",
        f"The {answers.quantization} file, through the interpreter, on the {answers.examples:,} test rows, and models "
        "that were fitted on all training rows without any search.",
        f'<div class="scroll"><table><thead><tr><th>model</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>',
    )


def _panel(title: str, caption: str, content: str) -> str:
    return f'<div class="panel"><h3>{escape(title)}</h3><p class="caption">{escape(caption)}</p>{content}</div>'


def _plot(
    values: Sequence[tuple[float, float]],
    place: Callable[[float, float], tuple[float, float]],
    axes: tuple[str, str],
    line: str,
) -> str:
    """A scatter plot as SVG, with a line where the two are equal, or where there is no error."""
    points = [place(true, found) for true, found in values]
    across, up = ([point[axis] for point in points] for axis in (0, 1))
    if line == "diagonal":
        across = up = across + up
    else:
        up = [*up, 0.0]
    (left, right), (low, high) = _range(across), _range(up)

    def x(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - 8) * (value - left) / (right - left)

    def y(value: float) -> float:
        return _HEIGHT - _BELOW - (_HEIGHT - _BELOW - _ABOVE) * (value - low) / (high - low)

    ends = (left, right) if line == "diagonal" else (0.0, 0.0)
    dots = "".join(f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" opacity="0.5"/>' for a, b in points)
    ticks = "".join(
        f'<text x="{x(value):.1f}" y="{_HEIGHT - _BELOW + 16}" text-anchor="middle">{significant(value)}</text>'
        for value in (left, (left + right) / 2, right)
    ) + "".join(
        f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{significant(value)}</text>'
        for value in (low, (low + high) / 2, high)
    )
    frame = f'<path d="M{_LEFT} {_ABOVE}V{_HEIGHT - _BELOW}H{_WIDTH - 8}" fill="none" stroke="currentColor"/>'
    equal = (
        f'<line x1="{x(left):.1f}" y1="{y(ends[0]):.1f}" x2="{x(right):.1f}" y2="{y(ends[1]):.1f}" '
        'stroke="currentColor" stroke-dasharray="4 3"/>'
    )
    names = (
        f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{axes[0]}</text>'
        f'<text x="12" y="{_HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 12 {_HEIGHT / 2})">{axes[1]}</text>'
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="100%" role="img" aria-label="{axes[1]} against {axes[0]}" '
        f'font-size="11" fill="currentColor">{frame}{equal}<g fill="#2a78d6">{dots}</g>{ticks}{names}</svg>'
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or max(1.0, abs(high)) * 0.04
    return low - room, high + room
