"""Interactive pictures of the search and of the network it chose, as plotly figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from edgenas.report.chart import add_front, empty_figure
from edgenas.report.data import ReportData, TrialPoint
from edgenas.report.palette import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION, family
from edgenas.report.pareto import trial_front
from edgenas.report.text import count, escape, millijoules, milliseconds, percent, significant, wrapped

#: Traces marked with this show, for each number in their ``customdata``, the trial's text of :func:`trial_hovers`: the
#: page holds it once for all pictures.
TRIALS = "trials"


def trial_hovers(data: ReportData) -> dict[str, str]:
    """What a finished trial tells when it is pointed at, by its number."""
    return {
        str(trial.number): _trial_hover(trial, data.metric_title) for trial in data.trials if trial.score is not None
    }


def _trial_hover(trial: TrialPoint, metric: str) -> str:
    lines = [
        f"<b>Trial {trial.number}</b>",
        f"validation {metric} {percent(trial.score)}",
        f"predicted {milliseconds(trial.latency_ms)}"
        + (f", {millijoules(trial.energy_mj)}" if trial.energy_mj is not None else ""),
        f"reward {significant(trial.reward)}" if trial.reward is not None else "",
        f"<span style='font-family:monospace'>{wrapped(trial.architecture)}</span>",
    ]
    return "<br>".join(line for line in lines if line)


def pareto_figure(data: ReportData) -> go.Figure | None:
    """Validation accuracy against predicted latency of every finished trial, with front and budget; None without."""
    limit_ms = data.budget_ms if data.limit_ms is None else data.limit_ms
    name = "budget" if limit_ms == data.budget_ms else "limit"
    return _cost_figure(data, "latency_ms", "latency", limit_ms, f"{name} {milliseconds(limit_ms)}")


def energy_figure(data: ReportData) -> go.Figure | None:
    """The same against predicted energy; None where no energy is predicted."""
    limit_mj = data.budget_mj if data.limit_mj is None else data.limit_mj
    name = "budget" if limit_mj == data.budget_mj else "limit"
    return _cost_figure(data, "energy_mj", "energy", limit_mj, f"{name} {millijoules(limit_mj)}")


def _cost_figure(data: ReportData, cost: str, what: str, limit: float | None, words: str) -> go.Figure | None:
    finished = [
        (t, bool(f))
        for t, f in zip(data.trials, trial_front(data, cost), strict=True)
        if t.score is not None and getattr(t, cost) is not None
    ]
    if not finished:
        return None
    axis = f"predicted {what} on {escape(data.device)} ({cost.rpartition('_')[2].replace('mj', 'mJ')})"
    figure = empty_figure(440, axis, f"validation {data.metric_title} ({escape(data.judged.removeprefix('after '))})")
    figure.update_yaxes(tickformat=".0%" if _spread([t.score or 0 for t, _ in finished]) > 0.05 else ".1%")
    chosen = data.best_trial
    groups = (
        ("within budget", [t for t, f in finished if not f and t.feasible is not False and t.number != chosen]),
        ("over budget", [t for t, f in finished if not f and t.feasible is False and t.number != chosen]),
        ("Pareto front", [t for t, f in finished if f and t.number != chosen]),
        ("chosen", [t for t, _ in finished if t.number == chosen]),
    )
    add_front(figure, ((getattr(t, cost), t.score or 0.0) for t, f in finished if f))
    looks: dict[str, dict[str, Any]] = {
        "within budget": {"color": BLUE, "size": 8, "opacity": 0.75},
        "over budget": {"color": GREY, "size": 8, "symbol": "x-thin-open", "line": {"width": 1.8}},
        "Pareto front": {"color": GREEN, "size": 10, "symbol": "diamond"},
        "chosen": {"color": ORANGE, "size": 18, "symbol": "star", "line": {"width": 1.2, "color": "#fff"}},
    }
    for name, trials in groups:
        if trials:
            figure.add_scatter(
                x=[getattr(t, cost) for t in trials],
                y=[t.score for t in trials],
                mode="markers",
                name=name,
                marker=looks[name],
                customdata=[t.number for t in trials],
                meta=TRIALS,
                hoverinfo="text",
            )
    if limit is not None:
        figure.add_vline(
            x=limit,
            line={"color": VERMILION, "width": 1.6, "dash": "dash"},
            annotation={
                "text": words,
                "yref": "paper",
                "y": 0.02,
                "yanchor": "bottom",
                "xanchor": "right",
                "xshift": -6,
                "showarrow": False,
            },
        )
    return figure


def progress_figure(data: ReportData) -> go.Figure | None:
    """Accuracy of each trial, and the best accuracy within the budget and the best reward so far; None without."""
    finished = [t for t in data.trials if t.score is not None]
    if not finished:
        return None
    figure = empty_figure(360, "trial", f"validation {data.metric_title}, reward")
    figure.add_scatter(
        x=[t.number for t in finished],
        y=[t.score for t in finished],
        mode="markers",
        name="each trial",
        marker={
            "size": 7,
            "opacity": 0.75,
            "color": [GREY if t.feasible is False else BLUE for t in finished],
            "symbol": ["x-thin-open" if t.feasible is False else "circle" for t in finished],
        },
        customdata=[t.number for t in finished],
        meta=TRIALS,
        hoverinfo="text",
    )
    _best_so_far(
        figure,
        "best within budget",
        [(t.number, t.score or 0.0) for t in finished if t.feasible is not False],
        finished[-1].number,
        {"color": GREEN, "width": 2.4, "shape": "hv"},
    )
    _best_so_far(
        figure,
        "best reward",
        [(t.number, t.reward) for t in finished if t.reward is not None],
        finished[-1].number,
        {"color": PURPLE, "width": 2, "shape": "hv", "dash": "dot"},
    )
    return figure


def _best_so_far(
    figure: go.Figure, name: str, points: list[tuple[int, float]], last: int, line: dict[str, Any]
) -> None:
    if not points:
        return
    best = np.maximum.accumulate([value for _, value in points])
    figure.add_scatter(
        x=[number for number, _ in points] + [last],
        y=[*best.tolist(), float(best[-1])],
        mode="lines",
        name=name,
        line=line,
        hovertemplate="%{y:.3f}<extra>" + name + "</extra>",
    )


def block_latency_figure(data: ReportData) -> go.Figure | None:
    """Predicted latency of each block, in the order of the network; None when nothing is predicted."""
    if data.network is None or not data.node_latency_ms:
        return None
    nodes = [node for node in data.network.nodes if node.name in data.node_latency_ms]
    total = sum(data.node_latency_ms[node.name] for node in nodes) or 1.0
    figure = empty_figure(
        90 + 24 * len(nodes), f"predicted latency on {escape(data.device)} (ms)", "", bargap=0.28, barmode="stack"
    )
    figure.update_yaxes(
        autorange="reversed",
        showgrid=False,
        categoryorder="array",
        categoryarray=[escape(node.name) for node in nodes],
    )
    # Room for the text beside the longest bar, on a page of any width.
    figure.update_xaxes(range=[0, 1.2 * max(data.node_latency_ms[node.name] for node in nodes)])
    for kind in dict.fromkeys(node.block.kind for node in nodes):
        members = [node for node in nodes if node.block.kind == kind]
        values = [data.node_latency_ms[node.name] for node in members]
        figure.add_bar(
            y=[escape(node.name) for node in members],
            x=values,
            orientation="h",
            name=escape(family(kind).label),
            marker={"color": family(kind).colour},
            text=[percent(value / total, 0) for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertext=[
                f"<b>{escape(node.name)}</b><br>{wrapped(node.block.describe(), 60)}<br>{milliseconds(value)} predicted"
                f"<br>{count(data.network.blocks_lowered[node.name].macs)} MACs"
                for node, value in zip(members, values, strict=True)
            ],
            hoverinfo="text",
        )
    return figure


def _spread(values: list[float]) -> float:
    return max(values) - min(values)
