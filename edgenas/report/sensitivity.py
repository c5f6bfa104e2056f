"""The tables of mixed precision: what each layer loses in int8, and what keeping the worst ones finer costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgenas.export.figure import common_kind, origin
from edgenas.export.quantization.selective.sensitivity import layer_name
from edgenas.report.data import QuantizationTable, SensitivityTables
from edgenas.report.text import escape, metric_title, milliseconds, percent

#: Layers below these lose little; the page need not list hundreds.
_MOST_LAYERS = 20


def sensitivity_tables(document: Mapping[str, Any]) -> SensitivityTables:
    """The cells of ``sensitivity.json``. Raises KeyError, TypeError or ValueError when it is something else."""
    metric = metric_title(str(document["metric"]))
    names = {int(layer["index"]): layer_name(str(layer["tensor"])) for layer in document["layers"]}
    return SensitivityTables(
        _layers(document, metric, names),
        _choices(document, metric, names),
        tuple(str(words) for words in document["words"]),
    )


def _layers(document: Mapping[str, Any], metric: str, names: Mapping[int, str]) -> QuantizationTable:
    layers = document["layers"]
    shown = layers[:_MOST_LAYERS]
    left = "" if len(shown) == len(layers) else f" The {len(shown)} most sensitive of {len(layers)} layers."
    caption = (
        f"Trial {int(document['trial'])} on {int(document['examples']):,} validation examples, where the float model "
        f"has {percent(float(document['float_score']), 2)} and int8 "
        f"{percent(float(document['int8']['score']), 2)}. Each layer alone in int8, and all layers but it.{left}"
    )
    header = ("layer", "operator", "alone: SQNR", f"alone: {metric} lost", "all but it: SQNR", f"{metric} gained")
    rows = tuple(
        (
            names[int(layer["index"])],
            str(layer["operator"]),
            f"{float(layer['alone']['sqnr_db']):.1f} dB",
            f"{100 * float(layer['alone']['loss']):.2f}",
            f"{float(layer['without']['sqnr_db']):.1f} dB",
            f"{100 * float(layer['without']['gain']):+.2f}",
        )
        for layer in shown
    )
    return QuantizationTable(caption, header, rows)


def _choices(document: Mapping[str, Any], metric: str, names: Mapping[int, str]) -> QuantizationTable:
    devices = [str(name) for name in document.get("devices", (document["device"],))]
    choices = document["choices"]
    header = (
        "kept finer",
        metric,
        "lost",
        "size",
        *(f"quiet latency, {_origin(choices, name)}" for name in devices),
        "",
    )
    rows = [
        (
            _kept(choice, names),
            percent(float(choice["score"]), 2),
            f"{100 * float(choice['loss']):.2f}",
            f"{int(choice['size_bytes']):,} bytes",
            *(_latency(choice, name) for name in devices),
            "taken" if choice["taken"] else "",
        )
        for choice in choices
    ]
    reference = document["float32"]
    score, size = percent(float(document["float_score"]), 2), f"{int(reference['size_bytes']):,} bytes"
    rows.append(("everything: float32", score, "0.00", size, *(_latency(reference, name) for name in devices), ""))
    limit = 100 * float(document["limit"])
    return QuantizationTable(
        f"Files with the most sensitive layers kept finer than int8, one more each; {limit:g} points may be lost.",
        header,
        tuple(rows),
    )


def _origin(choices: Any, device: str) -> str:
    found = [choice["devices"][device]["latency"] for choice in choices]
    return origin(common_kind(str(latency["kind"]) for latency in found if "kind" in latency), device)


def _kept(choice: Mapping[str, Any], names: Mapping[int, str]) -> str:
    kept = [names[int(index)] for index in choice["kept"]]
    if not kept:
        return "none: int8"
    return f"{'+ ' if len(kept) > 1 else ''}{kept[-1]} in {choice['keep']}"


def _latency(row: Mapping[str, Any], device: str) -> str:
    latency = row["devices"][device]["latency"]
    if "quiet_ms" not in latency:
        return f"none: {latency['error']}"
    left = latency.get("uncounted")
    return milliseconds(float(latency["quiet_ms"])) + (f", without {int(left)} operators on the CPU" if left else "")


def sensitivity_html(tables: SensitivityTables) -> str:
    """Two panels, and in words what follows from them."""
    words = "".join(f"<li>{escape(words)}</li>" for words in tables.words)
    return _panel("Layers in int8", tables.layers) + _panel(
        "Mixed precision", tables.choices, f'<ul class="facts">{words}</ul>'
    )


def _panel(title: str, table: QuantizationTable, below: str = "") -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.header)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return (
        f'<div class="panel"><h3>{escape(title)}</h3><p class="caption">{escape(table.caption)}</p>'
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{below}</div>'
    )
