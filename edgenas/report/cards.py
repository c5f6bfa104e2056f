"""The headline of a report: a sentence and cards of numbers, each with where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgenas.export.figure import known, place
from edgenas.report.data import ReportData, ShippedModel
from edgenas.report.text import (
    count,
    duration,
    escape,
    millijoules,
    milliseconds,
    percent,
    signed_percent,
    size,
    wilson_interval,
)

#: How figures are known that are no costs on a device: on images, exactly, by the clock.
_OTHER_KINDS = ("evaluated", "counted", "timed")


@dataclass(frozen=True)
class Card:
    """One number. ``kind`` is how it is known: as :mod:`edgenas.export.figure` has it, or evaluated, counted or
    timed.
    """

    label: str
    value: str
    note: str
    kind: str
    source: str
    share_of_budget: float | None = None
    prominent: bool = False


def headline(data: ReportData) -> str:
    """What the run achieved, in one sentence."""
    shipped, best, limit_ms = data.shipped, data.best, data.budget_ms
    if shipped is not None and shipped.score_tflite is not None:
        latency_ms = shipped.latency_ms.get("median")
        kind = shipped.latency_kind
        score = f"{percent(shipped.score_tflite)} {shipped.quantization} test {_accuracy(data)}"
        if latency_ms is None:
            latency_ms, kind, limit_ms = shipped.predicted_ms, "predicted", data.limit_ms or data.budget_ms
    elif best is not None:
        latency_ms, kind, limit_ms = best.latency_ms, "predicted", data.limit_ms or data.budget_ms
        score = f"{percent(best.score)} validation {_accuracy(data)} {data.judged}"
    elif data.trials:
        return f"{len(data.trials)} trials, none chosen yet."
    else:
        return "No trial has finished yet."
    if latency_ms is None:
        return f"{score}."
    sentence = f"{score} at {milliseconds(latency_ms)} ({known(kind)}) on {data.device}"
    if limit_ms is None:
        return sentence + "."
    verdict = "within" if latency_ms <= limit_ms else "over"
    name = "budget" if limit_ms == data.budget_ms else "search limit"
    return f"{sentence}, {verdict} the {name} of {milliseconds(limit_ms)}."


def _accuracy(data: ReportData) -> str:
    """What a top-1 is called in a sentence, and any other metric."""
    return "accuracy" if data.is_share else data.metric_title


def cards(data: ReportData) -> Iterator[Card]:
    """The cards of a run, the most important first; a number that is not known has no card."""
    if data.shipped is not None:
        yield from _shipped_cards(data, data.shipped)
    elif data.best is not None:
        yield from _search_cards(data)
    network, shipped = data.network, data.shipped
    params = shipped.params if shipped is not None and shipped.params else network.params if network else None
    macs = shipped.macs if shipped is not None and shipped.macs else network.macs if network else None
    if shipped is not None and shipped.size_bytes:
        yield Card("Size", size(shipped.size_bytes), f"model.tflite, {shipped.quantization}", "counted", "file on disk")
    if params:
        yield Card("Parameters", count(params), f"{params:,} trainable", "counted", "from the network")
    if macs:
        yield Card("MACs", count(macs), f"multiply-accumulates per {data.example}", "counted", "from the network")
    if data.trials and not data.is_fixed:
        finished = sum(trial.score is not None for trial in data.trials)
        total = sum(data.step_seconds.values())
        note = f"{finished} of {len(data.trials)} trials finished"
        if total and data.search_seconds and total > data.search_seconds * 1.01:
            note += f" · all steps {duration(total)}"
        value = duration(data.search_seconds) if data.search_seconds is not None else f"{len(data.trials)} trials"
        source = "wall-clock time of this run" + (f"; {data.search_overhead}" if data.search_overhead else "")
        yield Card("Search", value, note, "timed", source)


def _shipped_cards(data: ReportData, shipped: ShippedModel) -> Iterator[Card]:
    if shipped.score_tflite is not None:
        note = f"float {percent(shipped.score_float)}"
        if shipped.test_images and data.is_share:
            low, high = wilson_interval(shipped.score_tflite, shipped.test_images)
            note += f" · 95 % interval {100 * low:.1f} to {percent(high)}"
        images = f"{shipped.test_images:,} test {data.example}s" if shipped.test_images else "the test set"
        label = f"{shipped.quantization} {data.metric_title}"
        yield Card(label, percent(shipped.score_tflite), note, "evaluated", f"exported file, {images}", prominent=True)
    measured = shipped.latency_ms
    if "median" in measured:
        spread = [f"{name} {milliseconds(measured[name])}" for name in ("min", "p90") if name in measured]
        share = measured["median"] / data.budget_ms if data.budget_ms else None
        note = " · ".join(spread)
        if share is not None:
            note += f" · {percent(share, 0)} of {milliseconds(data.budget_ms)}"
        runs = f", {measured['runs']:,.0f} runs" if measured.get("runs") else ""
        source = f"{place(shipped.latency_kind, data.device)}{runs}"
        yield Card("Latency, median", milliseconds(measured["median"]), note, shipped.latency_kind, source, share, True)
    if shipped.energy_mj is not None:
        yield _energy_card(data, shipped.energy_mj, shipped.energy_kind, shipped.energy_meter, data.budget_mj)
    compared = measured.get(data.compared_statistic)
    if shipped.predicted_ms is not None:
        told = f" ({shipped.predicted_note})" if shipped.predicted_note else ""
        note = milliseconds(shipped.predicted_ms) + " predicted" + told
        if compared:
            note += f" · {milliseconds(compared)} {known(shipped.latency_kind)}, {data.compared_statistic}"
            error = shipped.predicted_ms / compared - 1
            yield Card("Prediction error", signed_percent(error), note, "predicted", data.latency_origin, None, True)
        else:
            yield Card("Latency", milliseconds(shipped.predicted_ms), "", "predicted", data.latency_origin, None, True)


def _search_cards(data: ReportData) -> Iterator[Card]:
    best = data.best
    assert best is not None
    if best.score is not None:
        note = f"trial {best.number}"
        yield Card(
            f"Validation {data.metric_title}", percent(best.score), note, "evaluated", data.score_origin, prominent=True
        )
    if best.latency_ms is not None:
        limit_ms = data.limit_ms or data.budget_ms
        share = best.latency_ms / limit_ms if limit_ms else None
        note = f"{percent(share, 0)} of {milliseconds(limit_ms)}" if share is not None else f"on {data.device}"
        yield Card("Latency", milliseconds(best.latency_ms), note, "predicted", data.latency_origin, share, True)

    if best.energy_mj is not None:
        yield _energy_card(data, best.energy_mj, "predicted", data.energy_origin, data.limit_mj or data.budget_mj)


def _energy_card(data: ReportData, energy_mj: float, kind: str, source: str, limit_mj: float | None) -> Card:
    share = energy_mj / limit_mj if limit_mj else None
    note = "of one inference, above idle"
    if share is not None:
        note += f" · {percent(share, 0)} of {millijoules(limit_mj)}"
    return Card("Energy", millijoules(energy_mj), note, kind, source or f"on {data.device}", share, True)


def cards_html(data: ReportData) -> str:
    """The cards in two rows, the prominent ones above."""
    shown = list(cards(data))
    rows = [("cards prominent", [c for c in shown if c.prominent]), ("cards", [c for c in shown if not c.prominent])]
    return "".join(
        f'<div class="{style}">{"".join(_card_html(card) for card in row)}</div>' for style, row in rows if row
    )


def device_cards_html(data: ReportData) -> str:
    """Only the cards of what a device changes, each with its name."""
    shown = [card for card in cards(data) if card.label.startswith(("Latency", "Energy", "Prediction"))]
    return f'<div class="cards prominent">{"".join(map(_card_html, shown))}</div>' if shown else ""


def _card_html(card: Card) -> str:
    kind = card.kind if card.kind in _OTHER_KINDS else known(card.kind)
    meter = ""
    if card.share_of_budget is not None:
        filled = min(1.0, card.share_of_budget)
        over = " over" if card.share_of_budget > 1 else ""
        meter = f'<div class="meter{over}" aria-hidden="true"><i style="width:{100 * filled:.1f}%"></i></div>'
    return (
        f'<article class="card"><h2>{escape(card.label)}</h2><p class="value">{escape(card.value)}</p>{meter}'
        f'<p class="note">{escape(card.note)}</p>'
        f'<p class="source {card.kind}"><b>{escape(kind)}</b> {escape(card.source)}</p></article>'
    )
