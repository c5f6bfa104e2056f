"""The index page of an exported front: a plot whose points lead to their bundles, and a table. One file, no script."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from edgenas.export.figure import common_kind, origin
from edgenas.report.pareto import pareto_front
from edgenas.report.text import count, escape, metric_title, milliseconds, percent, signed_percent, size

_STYLE = """
.plot { position: relative; height: clamp(260px, 44vw, 430px); margin: 18px 14px 46px 58px; border-left: 1px solid
  var(--line); border-bottom: 1px solid var(--line); }
.plot svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.plot line { stroke: var(--line); vector-effect: non-scaling-stroke; }
.plot line.error { stroke: var(--predicted); stroke-dasharray: 3 3; }
.plot polyline { fill: none; stroke: var(--measured); stroke-width: 2; vector-effect: non-scaling-stroke; }
.plot a, .plot i { position: absolute; width: 16px; height: 16px; margin: -8px; border-radius: 50%; }
.plot a { background: var(--measured); border: 2px solid var(--card); box-shadow: 0 0 0 1px var(--measured);
  z-index: 1; }
.plot a:hover, .plot a:focus-visible { transform: scale(1.35); z-index: 2; }
.plot a.beaten { background: var(--card); }
.plot a b { position: absolute; left: 50%; bottom: 17px; transform: translateX(-50%); font-size: .78rem;
  color: var(--ink); font-weight: 600; }
.plot a.beaten b { bottom: auto; top: 15px; }
.plot i { width: 10px; height: 10px; margin: -5px; box-shadow: inset 0 0 0 2px var(--predicted); }
.plot span { position: absolute; font-size: .78rem; color: var(--soft); white-space: nowrap; }
.plot .x { top: 100%; padding-top: 6px; transform: translateX(-50%); }
.plot .y { right: 100%; padding-right: 8px; transform: translateY(50%); }
.plot .name { top: 100%; right: 0; padding-top: 25px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; font-size: .84rem; color: var(--soft); }
.legend > span { display: flex; align-items: baseline; }
.legend .dot { flex: none; width: 10px; height: 10px; border-radius: 50%; margin: 0 7px 0 0;
  background: var(--measured); }
.legend .dot.predicted { background: none; box-shadow: inset 0 0 0 2px var(--predicted); }
.points { width: 100%; border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
.points th, .points td { text-align: right; padding: 8px 10px; border-bottom: 1px solid var(--line); }
.points td:not(.why):not(:last-child) { white-space: nowrap; }
.points th:last-child { text-align: left; }
.points th { color: var(--soft); font-weight: 600; font-size: .8rem; vertical-align: bottom; }
.points th:first-child, .points td:first-child, .points td:last-child { text-align: left; }
.points .why { color: var(--warn); text-align: left; overflow-wrap: anywhere; }
a { color: var(--accent); }
@media (max-width: 860px) {
  .points thead { display: none; }
  .points tr { display: grid; grid-template-columns: 1fr 1fr; border-bottom: 1px solid var(--line); padding: 10px 0; }
  .points td { border: 0; padding: 3px 0; text-align: left; }
  .points td:first-child, .points td:last-child, .points .why { grid-column: 1 / -1; }
  .points td[data-name]::before { content: attr(data-name) " "; color: var(--soft); font-size: .8rem; display: block; }
  .plot { margin-left: 44px; }
}
@media print { .plot { height: 300px; break-inside: avoid; } .points tr { break-inside: avoid; } }
"""


def front_page(index: Mapping[str, Any]) -> str:
    """HTML of ``index.json``. Everything in it is escaped."""
    points = [point for point in index["points"] if point["state"] == "exported"]
    style = files("edgenas.report").joinpath("style.css").read_text(encoding="utf-8")
    title = f"{escape(index['name'])}: the front"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title} · EdgeNAS</title>\n<style>\n{style}{_STYLE}</style>\n</head>\n<body>\n"
        f"<header><p class='brand'>EdgeNAS <span>exported front</span></p><h1>{title}</h1>"
        f"<p class='headline'>{_headline(index, points)}</p><p class='facts'>{_facts(index)}</p></header>\n"
        f"<main><section><h2>Accuracy and latency</h2><div class='panel'>{_plot(points)}</div></section>"
        f"<section><h2>Bundles</h2><div class='panel'>{_table(index)}</div></section></main>\n"
        f"<footer><p class='facts'>The run: {escape(index['run'])}. The same figures for programs: "
        "<a href='index.json'>index.json</a>.</p></footer>\n</body>\n</html>\n"
    )


def _headline(index: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> str:
    if not points:
        return "No point could be exported yet."
    scores, times = [point["score_tflite"] for point in points], [_time(point) for point in points]
    title = metric_title(points[0]["metric"])
    return (
        f"{len(points)} of {len(index['points'])} points exported: {title} {_range(scores, _score)}, "
        f"{_range(times, milliseconds)}, {_where(index, points)}."
    )


def _range(values: Sequence[float], words: Callable[[float], str]) -> str:
    """From the least to the most; accuracies on the test part need not rise with the time as those of the search."""
    least, most = words(min(values)), words(max(values))
    return least if least == most else f"{least} to {most}"


def _facts(index: Mapping[str, Any]) -> str:
    budget = ", ".join(f"{name.replace('@', ' on ')} {value:,g}" for name, value in index["budget"].items())
    return escape(f"{index['quantization']} · space {index['space']} · data {index['data']} · budget: {budget}")


def _plot(points: Sequence[Mapping[str, Any]]) -> str:
    """Quiet latency to the right, the file's metric up; hollow marks stand where a point was predicted."""
    if not points:
        return "<p>Nothing to show.</p>"
    times, scores = [_time(point) for point in points], [point["score_tflite"] for point in points]
    across = _Axis([*times, *(point["predicted_ms"] or _time(point) for point in points)])
    up = _Axis(scores)
    on_front = pareto_front(np.array(times), np.array(scores))
    line = " ".join(
        f"{across.share(time):.2f},{100 - up.share(score):.2f}"
        for time, score, best in sorted(zip(times, scores, on_front, strict=True))
        if best
    )
    marks, lines = [], []
    for point, time, score, best in zip(points, times, scores, on_front, strict=True):
        x, y = across.share(time), up.share(score)
        if predicted := point["predicted_ms"]:
            there = across.share(predicted)
            lines.append(f"<line class='error' x1='{x:.2f}' x2='{there:.2f}' y1='{100 - y:.2f}' y2='{100 - y:.2f}'/>")
            marks.append(f"<i style='left:{there:.2f}%;bottom:{y:.2f}%'></i>")
        said = escape(f"trial {point['trial']}: {_score(score)}, {milliseconds(time)} quiet; open its bundle")
        marks.append(
            f"<a href='{escape(point['bundle'])}/' class='{'' if best else 'beaten'}' title='{said}' "
            f"aria-label='{said}' style='left:{x:.2f}%;bottom:{y:.2f}%'><b>{point['trial']}</b></a>"
        )
    grid = [f"<line x1='{at:.2f}' x2='{at:.2f}' y1='0' y2='100'/>" for at, _ in across.ticks]
    grid += [f"<line x1='0' x2='100' y1='{100 - at:.2f}' y2='{100 - at:.2f}'/>" for at, _ in up.ticks]
    names = [f"<span class='x' style='left:{at:.2f}%'>{value:g}</span>" for at, value in across.ticks]
    names += [f"<span class='y' style='bottom:{at:.2f}%'>{100 * value:.4g} %</span>" for at, value in up.ticks]
    kind = common_kind(point["latency_kind"] for point in points)
    return (
        f"<div class='legend'><span><i class='dot'></i>{metric_title(points[0]['metric'])} of the file on the test "
        f"examples, quiet latency ({escape(kind)}); the number is the trial's, and leads to its bundle</span>"
        "<span><i class='dot predicted'></i>its latency as predicted from the table</span></div>"
        "<div class='plot'><svg viewBox='0 0 100 100' preserveAspectRatio='none' aria-hidden='true'>"
        f"{''.join(grid)}{''.join(lines)}<polyline points='{line}'/></svg>"
        f"{''.join(names)}{''.join(marks)}<span class='name'>latency in ms</span></div>"
    )


class _Axis:
    """Values as shares of an axis in percent, with round ticks."""

    def __init__(self, values: Sequence[float]) -> None:
        low, high = min(values), max(values)
        span = (high - low) or abs(high) or 1.0
        self.low, self.high = low - 0.1 * span, high + 0.12 * span

    def share(self, value: float) -> float:
        return 100 * (value - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[tuple[float, float]]:
        """(share, value) of about four round values."""
        rough = (self.high - self.low) / 4
        unit = 10 ** math.floor(math.log10(rough))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
        first = math.ceil(self.low / step)
        values = [round(number * step, 12) for number in range(first, math.floor(self.high / step) + 1)]
        return [(self.share(value), value) for value in values]


def _table(index: Mapping[str, Any]) -> str:
    points = index["points"]
    exported = [point for point in points if point["state"] == "exported"]
    metric = metric_title(exported[0]["metric"]) if exported else "score"
    names = (
        "trial",
        f"{metric}, file",
        f"{metric}, float",
        "quiet",
        "predicted",
        "quiet over predicted",
        "median",
        "size",
        "params",
        "MACs",
        "files",
    )
    header = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = "".join(_row(point, names) for point in points)
    where = f" Latencies {escape(_where(index, exported))}; predicted ones from its table." if exported else ""
    return (
        f"<table class='points'><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>"
        f"<p class='caption'>Every bundle was verified.{where} quiet: when nothing else disturbs the device, which is "
        "what a prediction is for. median: one normal run.</p>"
    )


def _row(point: Mapping[str, Any], names: Sequence[str]) -> str:
    trial = f"<td><b>trial {point['trial']}</b></td>"
    if point["state"] != "exported":
        return (
            f"<tr>{trial}<td class='why' colspan='{len(names) - 1}'>not exported: {escape(point['reason'])}</td></tr>"
        )
    ratio, bundle = point["quiet_over_predicted"], escape(point["bundle"])
    cells = (
        _score(point["score_tflite"]),
        _score(point["score_float"]),
        milliseconds(point["latency_ms"]["quiet"]),
        milliseconds(point["predicted_ms"]),
        signed_percent(None if ratio is None else ratio - 1),
        milliseconds(point["latency_ms"]["median"]),
        size(point["size_bytes"]),
        count(point["params"]),
        count(point["macs"]),
    )
    figures = "".join(
        f"<td data-name='{escape(name)}'>{escape(cell)}</td>" for name, cell in zip(names[1:], cells, strict=False)
    )
    links = " · ".join(
        f"<a href='{bundle}/{file}'>{words}</a>"
        for file, words in (("", "bundle"), ("model.tflite", "model"), ("README.md", "card"), ("metrics.json", "json"))
    )
    problems = "".join(f"<br><span class='why'>{escape(problem)}</span>" for problem in point["problems"])
    return f"<tr>{trial}{figures}<td>{links}{problems}</td></tr>"


def _where(index: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> str:
    return origin(common_kind(point["latency_kind"] for point in points), str(index["device"]))


def _time(point: Mapping[str, Any]) -> float:
    """The quiet latency; the median where the device gave no quiet one."""
    return float(point["latency_ms"]["quiet"] or point["latency_ms"]["median"])


def _score(value: float) -> str:
    return percent(value, 2)
