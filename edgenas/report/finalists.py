"""The finalists of a run: what each was after the short and after the longer training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgenas.report.text import duration, escape, percent
from edgenas.run.records import FinalistsRecord


@dataclass(frozen=True)
class Finalists:
    """Scores after the longer training and its seconds, by trial in the order of the search's ranking."""

    epochs: int
    scores: Mapping[int, tuple[float, float | None]]


def read_finalists(record: FinalistsRecord) -> Finalists | None:
    """Those of a run; None where one candidate was taken as it was."""
    scores = {number: (one.score, one.seconds) for number, one in record.finalists.items() if one.score is not None}
    return Finalists(record.epochs or 0, scores) if scores else None


def finalists_html(
    found: Finalists | None, short_scores: Mapping[int, float | None], chosen: int | None, title: str
) -> str:
    """A table; empty where there were no finalists. ``title`` is what the metric is called."""
    if found is None:
        return ""
    tag = '<span class="tag chosen">chosen</span>'
    rows = "".join(
        f'<tr{" class=chosen" if number == chosen else ""}><td class="number">{number}</td>'
        f'<td class="number">{percent(short_scores.get(number))}</td><td class="number">{percent(score)}</td>'
        f'<td class="number">{duration(seconds)}</td>'
        f"<td>{tag if number == chosen else ''}</td></tr>"
        for number, (score, seconds) in found.scores.items()
    )
    return (
        f'<div class="panel"><h3>Finalists</h3><p class="caption">The best candidates of the search that keep the '
        f"budget when measured were trained longer, for at most {found.epochs} epoch{'s' * (found.epochs != 1)} "
        f"each, before one was chosen; {escape(title)} on validation examples.</p>"
        '<div class="scroll"><table><thead><tr><th>trial</th>'
        f"<th>in the search</th><th>after the longer one</th><th>time</th><th></th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div></div>"
    )
