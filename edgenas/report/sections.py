"""The sections of a report, from the headline down to how to repeat the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgenas.export.figure import UNKNOWN, known
from edgenas.report import evidence_figures, search_figures, supernet_figures
from edgenas.report.answers import answers_html
from edgenas.report.budgets import budgets_html
from edgenas.report.cards import cards_html, device_cards_html, headline
from edgenas.report.data import VALIDATION, ReportData, Rows
from edgenas.report.drawing import draw_network
from edgenas.report.files import files_html
from edgenas.report.found_boxes import boxes_html
from edgenas.report.front import front_html
from edgenas.report.learning import learned_html
from edgenas.report.masks import masks_html
from edgenas.report.mistakes import mistakes_html
from edgenas.report.pareto import trial_front
from edgenas.report.quantizations import quantizations_html
from edgenas.report.sensitivity import sensitivity_html
from edgenas.report.supernet import ranking_html
from edgenas.report.text import duration, escape, milliseconds
from edgenas.report.trials import trials_html

__all__ = ["PlacedFigure", "body", "headline"]

#: Where the script tells of a point that is clicked.
_PICKED = '<div class="picked" aria-live="polite" hidden></div>'
#: With fewer measured networks than this, the page says how to measure more.
_FEW_PAIRS = 10


@dataclass(frozen=True)
class PlacedFigure:
    """A figure with a place on the page: the script finds its specification by name."""

    name: str
    spec: dict[str, Any]


def body(data: ReportData, placed: list[PlacedFigure]) -> str:
    """Everything between ``<body>`` and the scripts; the figures it places are appended to ``placed``."""
    sections = [
        "" if data.is_fixed else _search(data, placed),
        _supernet(data, placed),
        _architecture(data, placed),
        _trust(data, placed),
        _mistakes(data),
        "" if data.answers is None else _section("answers", "Answers", "", answers_html(data.answers)),
        "" if data.masks is None else _section("masks", "What it sees", "", masks_html(data.masks)),
        "" if data.boxes is None else _section("boxes", "What it finds", "", boxes_html(data.boxes)),
        _quantizations(data),
        _training(data, placed),
        "" if data.is_fixed else _section("trials", "Trials", "", trials_html(data)),
        _details(data),
    ]
    return f"{_header(data)}\n<main>\n{''.join(sections)}\n</main>\n{_footer(data)}"


def _header(data: ReportData) -> str:
    facts = [
        data.space and f"{'network' if data.is_fixed else 'space'} {data.space}",
        data.dataset,
        data.device,
        data.precision,
    ]
    gaps = "".join(f"<li>{escape(sentence)}</li>" for sentence in data.missing)
    return (
        '<header><p class="brand">EdgeNAS<span>report</span></p>'
        f"<h1>{escape(data.name)}</h1>"
        f'<p class="headline">{escape(headline(data))}</p>'
        f'<p class="facts">{" · ".join(escape(fact) for fact in facts if fact)}</p>'
        + (f'<ul class="missing" role="note">{gaps}</ul>' if gaps else "")
        + cards_html(data)
        + "".join(_other_device(one) for one in data.others)
        + _budget_use(data)
        + budgets_html(data.budgets, data.metric_title)
        + files_html(data)
        + "</header>"
    )


def _other_device(data: ReportData) -> str:
    """What the same model costs on a further device."""
    return f'<p class="headline">{escape(headline(data))}</p>{device_cards_html(data)}'


def _budget_use(data: ReportData) -> str:
    uses = "".join(f"<li>{escape(sentence)}</li>" for sentence in data.budget_use)
    return f'<ul class="facts" id="budget-use">{uses}</ul>' if uses else ""


def _section(name: str, title: str, lead: str, *parts: str) -> str:
    content = "".join(parts)
    if not content:
        return ""
    lead = f'<p class="lead">{lead}</p>' if lead else ""
    return f'<section id="{name}"><h2>{escape(title)}</h2>{lead}{content}</section>\n'


def _place(placed: list[PlacedFigure], name: str, figure: Any, title: str, caption: str, below: str = "") -> str:
    """A panel with a figure; ``below`` is what stands under it."""
    if figure is None:
        return ""
    placed.append(PlacedFigure(name, figure.to_plotly_json()))
    height = figure.layout.height
    return (
        f'<div class="panel"><h3>{escape(title)}</h3><p class="caption">{escape(caption)}</p>'
        f'<div class="figure" id="{name}" data-spec="{name}-spec" style="--height:{height}px">'
        f"<noscript>This picture needs JavaScript.</noscript></div>{below}</div>"
    )


def _grid(*panels: str) -> str:
    panels = tuple(panel for panel in panels if panel)
    return f'<div class="grid">{"".join(panels)}</div>' if panels else ""


def _columns(*panels: str) -> str:
    """Panels of different heights, filled column by column."""
    return f'<div class="columns">{"".join(panels)}</div>'


def _search(data: ReportData, placed: list[PlacedFigure]) -> str:
    progress = _place(
        placed,
        "progress",
        search_figures.progress_figure(data),
        "Progress of the search",
        "Each trial, the best one within the budget so far, and the best reward so far.",
    )
    fronts = [_fronts(one, placed, number) for number, one in enumerate((data, *data.others))]
    return _section("search", "Search", "", *fronts, front_html(data), progress, learned_html(data.learned))


def _fronts(data: ReportData, placed: list[PlacedFigure], number: int) -> str:
    """Accuracy against the costs of one device."""
    suffix, where = (f"-{number + 1}", f" on {data.device}") if number else ("", "")
    front = int(trial_front(data).sum())
    pareto = _place(
        placed,
        f"pareto{suffix}",
        search_figures.pareto_figure(data),
        f"Accuracy against latency{where}",
        f"{front} of {len(data.trials)} trials {'is' if front == 1 else 'are'} on the front: no other trial is as fast "
        "and better. " + _limit_sentence(data) + " Click a point for its bundle, or the command that makes it.",
        _PICKED,
    )
    thrifty = int(trial_front(data, "energy_mj").sum())
    energy = _place(
        placed,
        f"energy{suffix}",
        search_figures.energy_figure(data),
        f"Accuracy against energy{where}",
        f"{thrifty} of {len(data.trials)} trials {'is' if thrifty == 1 else 'are'} on this front: no other trial needs "
        f"as little and is better. Energy of one inference above idle, predicted {data.energy_origin}.",
        _PICKED,
    )
    return pareto + energy


def _supernet(data: ReportData, placed: list[PlacedFigure]) -> str:
    """The training of the shared weights, its controller, the scores, and whether they rank."""
    found = data.supernet
    if found is None:
        return ""
    scores = _place(
        placed,
        "supernet-scores",
        supernet_figures.scores_figure(data),
        "Networks scored with shared weights",
        f"{len(found.scored)} networks within the budget, each with batch-norm statistics of its own, on validation "
        "examples. The best were then trained shortly: those are the trials.",
    )
    losses = _place(
        placed,
        "supernet-losses",
        supernet_figures.loss_figure(found),
        "Training of the supernet",
        f"{found.facts} The largest network learns from labels, the others from its answers.",
    )
    rewards = _place(
        placed,
        "supernet-reward",
        supernet_figures.reward_figure(found),
        "Reward and entropy of the controller",
        "On held-out batches. The entropy falls as it makes up its mind.",
    )
    expected = [
        _place(
            placed,
            f"supernet-cost-{number}",
            figure,
            f"What the controller expects: {name.replace('@', ' on ')}",
            "The mean of 256 samples.",
        )
        for number, (name, figure) in enumerate(supernet_figures.expected_figures(found))
    ]
    chosen = _place(
        placed,
        "supernet-probabilities",
        supernet_figures.probability_figure(found),
        "What the controller has learnt",
        "How probable it makes each option of each decision at the end; longest is most probable.",
    )
    ranking = ranking_html(found, data.metric_title)
    return _section("supernet", "Supernet", "", ranking, scores, _grid(losses, rewards, *expected), chosen)


def _limit_sentence(data: ReportData) -> str:
    if data.limit_ms is None or data.budget_ms is None or data.limit_ms == data.budget_ms:
        return ""
    return (
        f"Predictions are of the {data.latency_statistic}; they must stay below {milliseconds(data.limit_ms)} (dashed) "
        f"so that the median of the shipped model keeps the budget of {milliseconds(data.budget_ms)}."
    )


def _architecture(data: ReportData, placed: list[PlacedFigure]) -> str:
    if data.network is None:
        return ""
    drawing = (
        '<div class="panel"><h3>Stage by stage</h3><p class="caption">A box is as tall as its output resolution and '
        "as wide as its filters, on log scales. Inside: the kernel. Below: expansion → filters. Hover for shapes and "
        f"costs.</p>{draw_network(data.network, data.node_latency_ms)}"
        + (f'<p class="code-line"><code>{escape(data.architecture)}</code></p>' if data.architecture.strip("-") else "")
        + "</div>"
    )
    sum_ms = sum(data.node_latency_ms.values())
    fixed = f", and {milliseconds(data.fixed_latency_ms)} are the network's as a whole" if data.fixed_latency_ms else ""
    bars = _place(
        placed,
        "blocks",
        search_figures.block_latency_figure(data),
        "Latency of each block",
        f"Predicted {data.latency_origin}: {data.latency_statistic}. The blocks sum to {milliseconds(sum_ms)}{fixed}.",
    )
    return _section("architecture", "Architecture", "", drawing, bars)


def _trust(data: ReportData, placed: list[PlacedFigure]) -> str:
    kind = known(data.pairs_kind)
    ratios = [pair.predicted_ms / pair.measured_ms - 1 for pair in data.pairs]
    within = sum(abs(ratio) <= 0.1 for ratio in ratios)
    prediction = _place(
        placed,
        "prediction",
        evidence_figures.prediction_figure(data),
        f"Predicted against {kind} latency" if data.pairs_kind != UNKNOWN else "Predictions against latencies",
        f"Whole networks on {data.device}: {within} of {len(ratios)} predicted within 10 %, {data.latency_statistic}. "
        + data.table_error,
    )
    if prediction and len(ratios) < _FEW_PAIRS:
        prediction = prediction.removesuffix("</div>") + _how_to_validate(data) + "</div>"
    accuracy = _place(
        placed,
        "accuracy",
        evidence_figures.accuracy_figure(data),
        "Accuracy, step by step",
        "Validation and test are different images" + ("; whiskers are 95 % intervals." if data.is_share else "."),
    )
    return _section("trust", "Can the numbers be trusted?", "", _grid(prediction, accuracy))


def _how_to_validate(data: ReportData) -> str:
    command = (
        f"edgenas validate --space {data.space} --device {data.device} --table {data.run_path}/table.csv --json > "
        f"{data.run_path}/{VALIDATION}\nedgenas report {data.run_path}"
    )
    return (
        '<p class="caption">Few whole networks were run here. To run random ones and show them:</p>'
        f"<pre><code>{escape(command)}</code></pre>"
    )


def _quantizations(data: ReportData) -> str:
    tables = "" if data.quantizations is None else quantizations_html(data.quantizations)
    layers = "" if data.sensitivity is None else sensitivity_html(data.sensitivity)
    return _section("quantizations", "Quantizations", "", tables, layers)


def _mistakes(data: ReportData) -> str:
    if data.mistakes is None:
        return ""
    return _section("mistakes", "What it gets wrong", "", mistakes_html(data.mistakes, data.example))


def _training(data: ReportData, placed: list[PlacedFigure]) -> str:
    curves = _place(
        placed,
        "training",
        evidence_figures.training_figure(data),
        "Final training",
        "Per epoch; accuracy on the left axis, loss (dotted) on the right.",
    )
    return _section("training", "Training", "", curves)


def _details(data: ReportData) -> str:
    run = ""
    if data.shipped is not None:
        is_table = data.answers is not None
        run = _panel_code(
            "Run the bundle",
            f"It needs NumPy and a LiteRT or TFLite runtime{'' if is_table else '; Pillow to read picture files'}.",
            f"pip install numpy {'' if is_table else 'pillow '}ai-edge-litert\n"
            f"python {data.run_path}/bundle/run.py {'ROWS.csv' if is_table else 'IMAGE'}",
        )
    commands = "\n".join(
        [f"edgenas run {data.run_path}/recipe.yaml --output {data.run_path}-again", f"edgenas report {data.run_path}"]
        if data.shipped is not None
        else [f"edgenas run {data.run_path}/recipe.yaml --resume"]
    )
    repeat = _panel_code("Repeat it", "The recipe below holds every setting, the seed included.", commands)
    recipe = (
        f'<details class="panel"><summary>recipe.yaml</summary><pre><code>{escape(data.recipe_text)}</code></pre>'
        "</details>"
        if data.recipe_text
        else ""
    )
    tables = _columns(
        _table("Settings", data.settings),
        _table("The latency table that predicts", data.table_facts),
        _table("Where the shipped model's latency comes from", data.measurement_facts),
        _table("Time of each step", tuple((step, duration(s)) for step, s in data.step_seconds.items())),
        _table("Versions", data.versions),
        run,
        repeat,
    )
    return _section("details", "Settings and provenance", "", tables, recipe)


def _table(title: str, rows: Rows) -> str:
    if not rows:
        return ""
    lines = "".join(f'<tr><th scope="row">{escape(key)}</th><td>{escape(value)}</td></tr>' for key, value in rows)
    return f'<div class="panel"><h3>{escape(title)}</h3><table class="facts-table"><tbody>{lines}</tbody></table></div>'


def _panel_code(title: str, caption: str, code: str) -> str:
    return (
        f'<div class="panel"><h3>{escape(title)}</h3><p class="caption">{escape(caption)}</p>'
        f"<pre><code>{escape(code)}</code></pre></div>"
    )


def _footer(data: ReportData) -> str:
    return (
        "<footer><p>Written by EdgeNAS from "
        f"<code>{escape(data.run_path)}</code>. The trials as a table: <code>pareto.csv</code>. "
        "This file loads nothing from the network.</p></footer>"
    )
