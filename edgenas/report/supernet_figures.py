"""Interactive pictures of a supernet: losses, rewards, what its controller thinks, and the networks it scored."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from edgenas.report.chart import TITLE_SIZE, add_front, empty_figure
from edgenas.report.data import ReportData
from edgenas.report.palette import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION
from edgenas.report.pareto import pareto_front
from edgenas.report.supernet import ScoredPoint, SupernetData, thinned
from edgenas.report.text import escape, milliseconds, percent, wrapped
from edgenas.study.cost_names import split_name, unit_of

#: Options of a decision, from the first to the last.
_SHADES = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, GREY)


def loss_figure(data: SupernetData) -> go.Figure | None:
    """Losses on labels over the steps; None without a history."""
    names = (("loss_largest", "largest network", GREEN), ("loss_random", "random networks", BLUE),
             ("loss_smallest", "smallest network", ORANGE))  # fmt: skip
    curves = [(title, colour, data.curve(name)) for name, title, colour in names]
    curves = [curve for curve in curves if curve[2][0]]
    if not curves:
        return None
    figure = empty_figure(340, "step", "loss of one batch")
    for title, colour, curve in curves:
        _line(figure, title, curve, colour)
    return figure


def reward_figure(data: SupernetData) -> go.Figure | None:
    """The controller's reward, and its entropy on the right; None without a controller."""
    reward, entropy = data.curve("reward"), data.curve("entropy")
    if not entropy[0]:
        return None
    figure = empty_figure(340, "step", "reward")
    if reward[0]:
        _line(figure, "reward", reward, GREEN)
    _line(figure, "entropy", entropy, PURPLE, "dot")
    figure.data[-1].update(yaxis="y2")
    axis = {"title": {"text": "entropy (nats)", "font": {"size": TITLE_SIZE}}, "showgrid": False, "zeroline": False}
    figure.update_layout(
        yaxis2={
            **axis,
            "tickmode": "auto",
            "automargin": True,
            "overlaying": "y",
            "side": "right",
            "rangemode": "tozero",
        }
    )
    return figure


def expected_figures(data: SupernetData) -> list[tuple[str, go.Figure]]:
    """(cost, what the controller expects to pay over the steps, with its target), of every budgeted cost."""
    found = []
    for name, target in data.targets.items():
        cost, device = split_name(name)
        unit = unit_of(name)
        figure = empty_figure(340, "step", f"expected {cost.rpartition('_')[0] or cost}{f' ({unit})' if unit else ''}")
        _line(figure, f"expected{f' on {escape(device)}' if device else ''}", data.curve(f"expected {name}"), BLUE)
        figure.add_hline(
            y=target,
            line={"color": VERMILION, "width": 1.6, "dash": "dash"},
            annotation_text="target",
            annotation_position="bottom left",
        )
        values = [*data.curve(f"expected {name}")[1], target]
        span = max(values) - min(values) or abs(target)
        figure.update_yaxes(range=[min(values) - 0.1 * span, max(values) + 0.1 * span])
        found.append((name, figure))
    return found


def _line(
    figure: go.Figure, name: str, curve: tuple[list[float], list[float]], colour: str, dash: str = "solid"
) -> None:
    steps, values = thinned(*curve)
    figure.add_scatter(
        x=steps,
        y=values,
        mode="lines+markers" if len(steps) < 20 else "lines",
        marker={"size": 5},
        name=name,
        line={"color": colour, "width": 2, "dash": dash},
        hovertemplate="step %{x:.0f}: %{y:.4g}<extra>" + name + "</extra>",
    )


def probability_figure(data: SupernetData) -> go.Figure | None:
    """How probable each option of each decision is to the controller, a bar a decision; None without a controller."""
    if not data.probabilities:
        return None
    decisions = list(data.probabilities)
    figure = empty_figure(80 + 22 * len(decisions), "probability", "", barmode="stack", bargap=0.25, showlegend=False)
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    figure.update_yaxes(
        autorange="reversed", showgrid=False, categoryorder="array", categoryarray=[escape(name) for name in decisions]
    )
    for number in range(max(len(options) for options in data.probabilities.values())):
        members = [
            (name, *list(options.items())[number])
            for name, options in data.probabilities.items()
            if number < len(options)
        ]
        figure.add_bar(
            y=[escape(name) for name, _, _ in members],
            x=[share for _, _, share in members],
            orientation="h",
            marker={"color": _SHADES[number % len(_SHADES)]},
            text=[escape(option) if share > 0.12 else "" for _, option, share in members],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": "#ffffff", "size": 11},
            hovertext=[f"{escape(name)} = {escape(option)}: {percent(share)}" for name, option, share in members],
            hoverinfo="text",
        )
    return figure


def scores_figure(data: ReportData) -> go.Figure | None:
    """Scores with shared weights against predicted latency, with their front; None without scores."""
    known = [] if data.supernet is None else [one for one in data.supernet.scored if one.latency_ms is not None]
    if not known:
        return None
    figure = empty_figure(
        440, f"predicted latency on {escape(data.device)} (ms)", f"{data.metric_title} with shared weights"
    )
    scores = [one.score for one in known]
    figure.update_yaxes(tickformat=".0%" if max(scores) - min(scores) > 0.05 else ".1%")
    latencies = np.array([one.latency_ms or 0.0 for one in known])
    on_front = pareto_front(latencies, np.array(scores))
    points = ((one.latency_ms, one.score) for one, on in zip(known, on_front, strict=True) if on)
    add_front(figure, points, "front")
    looks = {
        "searched": {"color": BLUE, "size": 7, "opacity": 0.6},
        "random, to check": {"color": GREY, "size": 8, "symbol": "square"},
        "trained shortly": {"color": ORANGE, "size": 12, "symbol": "diamond"},
    }
    for name, marker in looks.items():
        members = [one for one in known if _group(one) == name]
        if members:
            figure.add_scatter(
                x=[one.latency_ms for one in members],
                y=[one.score for one in members],
                mode="markers",
                name=name,
                marker=marker,
                hovertext=[_hover(one, data.metric_title) for one in members],
                hoverinfo="text",
            )
    return figure


def _group(one: ScoredPoint) -> str:
    if one.random:
        return "random, to check"
    return "trained shortly" if one.trained else "searched"


def _hover(one: ScoredPoint, metric: str) -> str:
    return (
        f"{metric} {percent(one.score)} with shared weights<br>predicted {milliseconds(one.latency_ms)}"
        f"<br>{wrapped(one.architecture)}"
    )
