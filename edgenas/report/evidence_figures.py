"""Interactive pictures of the evidence: predictions against latencies, accuracies, training curves."""

from __future__ import annotations

import plotly.graph_objects as go

from edgenas.export.figure import UNKNOWN, known
from edgenas.report.chart import TITLE_SIZE, empty_figure
from edgenas.report.data import LatencyPair, ReportData
from edgenas.report.palette import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION
from edgenas.report.text import escape, metric_title, milliseconds, percent, wilson_interval, wrapped


def prediction_figure(data: ReportData) -> go.Figure | None:
    """Latencies against their predictions, of whole networks, with the identity and a band of 10 %; None without."""
    if not data.pairs:
        return None
    figure = empty_figure(
        400, "predicted (ms)", f"{known(data.pairs_kind) if data.pairs_kind != UNKNOWN else 'found'} (ms)"
    )
    values = [value for pair in data.pairs for value in (pair.predicted_ms, pair.measured_ms)]
    low, high = 0.92 * min(values), 1.05 * max(values)
    if high > 6 * low:
        figure.update_xaxes(type="log")
        figure.update_yaxes(type="log")
    figure.add_scatter(
        x=[low, high, high, low],
        y=[0.9 * low, 0.9 * high, 1.1 * high, 1.1 * low],
        fill="toself",
        mode="lines",
        line={"width": 0},
        fillcolor="rgba(125,135,148,0.16)",
        name="±10 %",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[low, high],
        y=[low, high],
        mode="lines",
        line={"color": GREY, "width": 1.4, "dash": "dash"},
        name="equal",
        hoverinfo="skip",
    )
    looks = {
        "calibration": {"color": BLUE, "size": 8, "opacity": 0.75},
        "validation": {"color": PURPLE, "size": 9, "symbol": "square", "opacity": 0.8},
        "shipped model": {"color": ORANGE, "size": 18, "symbol": "star", "line": {"width": 1.2, "color": "#fff"}},
    }
    for role in dict.fromkeys(pair.role for pair in data.pairs):
        members = [pair for pair in data.pairs if pair.role == role]
        figure.add_scatter(
            x=[pair.predicted_ms for pair in members],
            y=[pair.measured_ms for pair in members],
            mode="markers",
            name=escape(role),
            marker=looks.get(role, {"color": VERMILION, "size": 9}),
            hovertext=[_pair_hover(pair) for pair in members],
            hoverinfo="text",
        )
    return figure


def _pair_hover(pair: LatencyPair) -> str:
    error = pair.predicted_ms / pair.measured_ms - 1
    return (
        f"<b>{wrapped(pair.label)}</b><br>predicted {milliseconds(pair.predicted_ms)}"
        f"<br>{known(pair.kind)} {milliseconds(pair.measured_ms)}<br>error {100 * error:+.1f} %"
    )


def accuracy_figure(data: ReportData) -> go.Figure | None:
    """Validation, float and quantized accuracy of the chosen network, with 95 % intervals; None without any."""
    rows: list[tuple[str, float, int | None, str]] = []
    if data.best is not None and data.best.score is not None and not data.is_fixed:
        rows.append(
            (f"validation,<br>{data.judged.removeprefix('after ')}", data.best.score, data.validation_images, GREY)
        )
    if data.final_validation_score is not None:
        rows.append(("validation,<br>final training", data.final_validation_score, data.validation_images, BLUE))
    if data.shipped is not None:
        shipped = data.shipped
        if shipped.score_float is not None:
            rows.append(("test, float", shipped.score_float, shipped.test_images, PURPLE))
        if shipped.score_tflite is not None:
            rows.append((f"test, {escape(shipped.quantization)}", shipped.score_tflite, shipped.test_images, ORANGE))
    if not rows:
        return None
    figure = empty_figure(400, data.metric_title, "", showlegend=False)
    figure.update_layout(margin={"t": 14})
    figure.update_yaxes(
        range=[len(rows) - 0.5, -0.6], showgrid=False, categoryorder="array", categoryarray=[row[0] for row in rows]
    )
    figure.update_xaxes(tickformat=".0%")
    lows, highs = [], []
    for label, score, images, colour in rows:
        low, high = wilson_interval(score, images) if images and data.is_share else (score, score)
        lows.append(low)
        highs.append(high)
        note = (
            f"<br>95 % interval {percent(low)} to {percent(high)}, {images:,} images"
            if images and data.is_share
            else ""
        )
        figure.add_scatter(
            x=[score],
            y=[label],
            mode="markers+text",
            text=[percent(score)],
            textposition="top center",
            marker={"size": 13, "color": colour},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [high - score],
                "arrayminus": [score - low],
                "color": colour,
                "thickness": 1.6,
                "width": 5,
                "visible": bool(images) and data.is_share,
            },
            hovertext=f"{label.replace('<br>', ' ')}: {percent(score, 2)}{note}",
            hoverinfo="text",
        )
    spread = max(0.02, max(highs) - min(lows))
    figure.update_xaxes(range=[max(0.0, min(lows) - 0.15 * spread), min(1.0, max(highs) + 0.15 * spread)])
    return figure


def training_figure(data: ReportData) -> go.Figure | None:
    """Accuracy and loss per epoch of the final training; None without a history."""
    curves = {name: values for name, values in data.training_history.items() if values}
    losses = {name: values for name, values in curves.items() if _is_loss(name, data.errors)}
    # Errors in a unit of their own have no place on an axis of shares.
    others = {name for name in curves if name.partition(" ")[2] in data.errors} | set(losses)
    shares = {name: values for name, values in curves.items() if name not in others}
    if not shares and not losses:
        return None
    figure = empty_figure(360, "epoch", "")
    figure.update_xaxes(tickformat="d", nticks=1 + max(len(values) for values in data.training_history.values()))
    palette = iter([GREEN, BLUE, PURPLE, ORANGE, VERMILION, GREY] * 3)
    for group, axis, dash in ((shares, "y", "solid"), (losses, "y2" if shares else "y", "dot")):
        for name, values in group.items():
            figure.add_scatter(
                x=[epoch for epoch, _ in values],
                y=[value for _, value in values],
                mode="lines+markers" if len(values) < 40 else "lines",
                marker={"size": 5},
                name=escape(_curve_title(name)),
                yaxis=axis,
                line={"color": next(palette), "width": 2, "dash": dash},
            )
    if shares:
        figure.update_layout(yaxis={"title": {"text": data.metric_title}, "tickformat": ".0%"})
    if losses:
        loss_axis = {
            "title": {"text": "loss", "font": {"size": TITLE_SIZE}},
            "showgrid": False,
            "zeroline": False,
            "automargin": True,
            "tickmode": "auto",
        }
        figure.update_layout({"yaxis2": {**loss_axis, "overlaying": "y", "side": "right"}} if shares else {})
        if not shares:
            figure.update_yaxes(title_text="loss")
    return figure


def _is_loss(name: str, errors: frozenset[str]) -> bool:
    before, _, metric = name.partition(" ")
    return before == "training" or metric == "loss" or (metric in errors and metric.endswith("loss"))


def _curve_title(name: str) -> str:
    """``validation top1`` as ``validation top-1``; losses stay."""
    before, _, metric = name.partition(" ")
    return f"{before} {metric_title(metric)}" if before == "validation" else name
