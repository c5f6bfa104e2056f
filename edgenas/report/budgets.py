"""The bundles of a run with several budgets, one a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.export.figure import known
from edgenas.report.text import escape, milliseconds, percent, size
from edgenas.run.context import budget_name
from edgenas.run.folder import RunFolder
from edgenas.run.records import PER_BUDGET, ChooseRecord, ExportRecord, StepRecords

if TYPE_CHECKING:
    from edgenas.recipe.recipe import Recipe


@dataclass(frozen=True)
class BudgetRow:
    """One of the budgets, and what is shipped for it; ``trial`` is None while nothing is."""

    name: str
    words: str
    trial: int | None = None
    score: float | None = None
    latency_ms: float | None = None
    latency_kind: str = "unknown"
    size_bytes: float | None = None
    uses: tuple[str, ...] = ()
    rejected: int = 0


def read_budgets(folder: Path, recipe: Recipe | None) -> tuple[tuple[BudgetRow, ...], dict[str, float]]:
    """(a row for each budget, the smallest first; seconds of the steps of all but the largest); empty for one budget.

    Raises InputError when the state of the run is damaged.
    """
    found = None if recipe is None else recipe.budget_list
    if recipe is None or found is None:
        return (), {}
    device, cost, limits = found
    rows: list[BudgetRow] = []
    seconds: dict[str, float] = {}
    for number, limit in enumerate(limits, 1):
        name = budget_name(recipe, device, cost, limit)
        is_largest = number == len(limits)
        records = RunFolder(folder, "" if is_largest else name).records
        rows.append(_row(name, f"{recipe.cost_name(cost, device)} {limit:g}", records))
        for step, spent in {} if is_largest else records.seconds.items():
            if step in PER_BUDGET:
                seconds[step] = seconds.get(step, 0.0) + spent
    return tuple(rows), seconds


def _row(name: str, words: str, records: StepRecords) -> BudgetRow:
    export, rejected = records.of(ExportRecord), len(records.of(ChooseRecord).rejected)
    if not export.done:
        return BudgetRow(name, words, rejected=rejected)
    return BudgetRow(
        name,
        words,
        export.trial,
        export.scores[2],
        export.measured.get("latency_ms"),
        export.latency_kind or "unknown",
        export.measured.get("size_bytes"),
        tuple(use.words for use in export.budget_use.values()),
        rejected,
    )


def budgets_html(rows: Sequence[BudgetRow], title: str) -> str:
    """A table with a link to each bundle; empty where there is one budget. ``title``: what the metric is called."""
    if not rows:
        return ""
    lines = "".join(_line(row) for row in rows)
    # Those of the largest stand above already.
    words = "".join(f"<li>{escape(words)}</li>" for row in rows[:-1] for words in row.uses)
    uses = f'<ul class="facts">{words}</ul>' if words else ""
    return (
        '<div class="panel" id="budgets"><h3>One bundle for each budget</h3><p class="caption">One search for all of '
        f"them; {escape(title)} of the shipped file on the test examples. The figures above are of the largest.</p>"
        '<div class="scroll"><table><thead><tr><th>budget</th><th>trial</th>'
        f"<th>{escape(title)}</th><th>latency, median</th><th>size</th><th>bundle</th></tr></thead>"
        f"<tbody>{lines}</tbody></table></div>{uses}</div>"
    )


def _line(row: BudgetRow) -> str:
    if row.trial is None:
        reason = f"{row.rejected} rejected" if row.rejected else "not yet"
        return f'<tr><td>{escape(row.words)}</td><td colspan="5">nothing is shipped ({reason})</td></tr>'
    place = f"bundles/{row.name}"
    return (
        f'<tr><td>{escape(row.words)}</td><td class="number">{row.trial}</td>'
        f'<td class="number">{percent(row.score)}</td>'
        f'<td class="number">{milliseconds(row.latency_ms)} ({escape(known(row.latency_kind))})</td>'
        f'<td class="number">{size(int(row.size_bytes or 0))}</td>'
        f'<td><a href="{escape(place)}/README.md">{escape(place)}</a></td></tr>'
    )
