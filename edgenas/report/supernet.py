"""What a report tells of a supernet: its training, its controller, its scores, and how well it ranks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgenas.report.text import escape
from edgenas.run.folder import RunFolder
from edgenas.run.records import RankingRecord, StepRecords, SupernetRecord
from edgenas.run.supernet.scores import CHECKED, read_scores, scores_path

#: How the ways to rank are called.
RANKERS = {
    "supernet": "supernet score",
    "macs": "multiply-accumulates",
    "params": "parameters",
    "depth": "depth",
}


@dataclass(frozen=True)
class ScoredPoint:
    """A network scored with shared weights; ``trained`` says that it was also trained alone, shortly."""

    architecture: str
    score: float
    latency_ms: float | None
    random: bool
    trained: bool


@dataclass(frozen=True)
class SupernetData:
    """A supernet, read from its run.

    Attributes:
        history: the state of the training about once a second: ``step``, ``loss_largest``, ...
        probabilities: of the controller at its end, option by option of every decision; empty without one.
        targets: what the controller aims at, by cost.
        ranking: Kendall's tau by what ranks, of all trained networks, and of the random ones among them.
        networks: how many of each.
        words: the outcome of the ranking check in one sentence; ``loses`` when free baselines rank better.
    """

    history: tuple[Mapping[str, float], ...] = ()
    probabilities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    targets: Mapping[str, float] = field(default_factory=dict)
    scored: tuple[ScoredPoint, ...] = ()
    ranking: tuple[Mapping[str, float], Mapping[str, float]] = ({}, {})
    networks: tuple[int, int] = (0, 0)
    words: str = ""
    loses: bool = False
    facts: str = ""

    def curve(self, name: str) -> tuple[list[float], list[float]]:
        """(steps, values) of one figure of the history."""
        known = [(row["step"], row[name]) for row in self.history if name in row]
        return [step for step, _ in known], [value for _, value in known]


def read_supernet_data(
    folder: RunFolder, records: StepRecords, latency: str, limits: Mapping[str, float], trained: frozenset[str]
) -> SupernetData | None:
    """What a run folder holds of a supernet; None when there is none.

    Args:
        folder: the run.
        records: of its steps.
        latency: what the run calls the latency of the report's device.
        limits: on predicted costs.
        trained: architectures of finished trials.

    Raises InputError, KeyError, TypeError or ValueError for files that are something else.
    """
    path = folder.path / "supernet"
    record, ranking = records.of(SupernetRecord), records.of(RankingRecord)
    scored = read_scores(scores_path(path))
    document: dict[str, Any] = {}
    if (path / "history.json").is_file():
        document = json.loads((path / "history.json").read_text(encoding="utf-8"))
    if not document and not scored and not record.done:
        return None
    history = tuple({str(name): float(value) for name, value in row.items()} for row in document.get("history", ()))
    probabilities = {
        str(decision): {str(option): float(share) for option, share in options.items()}
        for decision, options in document.get("probabilities", {}).items()
    }
    expected = {name.removeprefix("expected ") for row in history for name in row if name.startswith("expected ")}
    return SupernetData(
        history=history,
        probabilities=probabilities,
        targets={name: limit for name, limit in limits.items() if name in expected},
        scored=tuple(
            ScoredPoint(
                one.architecture,
                one.score,
                one.costs.get(latency),
                one.purpose == CHECKED,
                one.architecture in trained,
            )
            for one in scored
        ),
        ranking=(ranking.tau, ranking.random_tau),
        networks=(ranking.networks or 0, ranking.random_networks or 0),
        words=ranking.words,
        loses=bool(ranking.loses_to),
        facts=_facts(record),
    )


def _facts(record: SupernetRecord) -> str:
    """What was trained, in a sentence."""
    if not record.done:
        return "Its training is not done."
    trained = f"{record.parameters or 0:,} shared weights, trained for {record.steps or 0:,} steps"
    examples = f"{trained} on {record.examples or 0:,} examples"
    if record.source:
        return f"{examples} by another run, {record.source}."
    return f"{examples}."


def thinned(steps: list[float], values: list[float], most: int = 600) -> tuple[list[float], list[float]]:
    """At most so many points of a curve, each the mean of those around it.

    >>> thinned([1, 2, 3, 4], [1.0, 3.0, 5.0, 7.0], most=2)
    ([1.5, 3.5], [2.0, 6.0])
    """
    if len(steps) <= most:
        return steps, values
    parts = [np.array_split(np.asarray(one, float), most) for one in (steps, values)]
    return [float(part.mean()) for part in parts[0]], [float(part.mean()) for part in parts[1]]


def ranking_html(data: SupernetData, metric: str) -> str:
    """A panel with the table of the ranking check; empty while it is not done."""
    if not data.words:
        return ""
    columns = [
        (name, tau)
        for name, tau in zip(
            (f"all {data.networks[0]} trained networks", f"the {data.networks[1]} random ones"),
            data.ranking,
            strict=True,
        )
        if tau
    ]
    head = "".join(f"<th>{escape(name)}</th>" for name, _ in columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(title)}</th>'
        + "".join(f'<td class="number">{_tau(tau.get(ranker))}</td>' for _, tau in columns)
        + "</tr>"
        for ranker, title in RANKERS.items()
    )
    sentence = data.words[:1].upper() + data.words[1:] + "."
    note = f'<ul class="missing" role="note"><li>{escape(sentence)}</li></ul>' if data.loses else ""
    caption = (
        f"Kendall's tau with {escape(metric)} after a short training of their own: 1 is the same order, 0 is chance. "
        "The others are the best by their score, so random networks tell more."
    )
    table = (
        f'<div class="scroll"><table><thead><tr><th>ranked by</th>{head}</tr></thead><tbody>{rows}</tbody></table>'
        "</div>"
        if columns
        else f'<p class="caption">{escape(sentence)}</p>'
    )
    return f'<div class="panel"><h3>Does the supernet rank?</h3><p class="caption">{caption}</p>{note}{table}</div>'


def _tau(value: float | None) -> str:
    return "no order" if value is None else f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
