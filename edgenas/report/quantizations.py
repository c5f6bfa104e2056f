"""The table of quantizations: accuracy, size and latency of one network's files, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgenas.export.figure import common_kind, origin
from edgenas.report.data import QuantizationTable
from edgenas.report.text import escape, metric_title, milliseconds, percent

_HEADER = (
    "quantization",
    "{metric}",
    "to float",
    "size",
    "quiet latency",
    "against float32",
    "output SQNR",
    "worst layer",
)
#: Equal tensors are told by a ratio at or above this.
_EQUAL_DB = 200.0


def quantization_table(document: Mapping[str, Any]) -> QuantizationTable:
    """The cells of ``quantizations.json``. Raises KeyError, TypeError or ValueError when it is something else."""
    kind = common_kind(str(row["latency"]["kind"]) for row in document["rows"] if "kind" in (row.get("latency") or {}))
    metric = str(document.get("metric", "top1"))  # written before there were other tasks
    caption = (
        f"Trial {int(document['trial'])} through the interpreter on {int(document['test_images']):,} test images, "
        f"where the float model has {percent(float(document[f'{metric}_float']), 2)}; all files "
        f"{origin(kind, str(document['device']))} in the same quiet rounds."
    )
    others = [str(name) for name in document.get("devices", ())[1:]]
    header = tuple(title.format(metric=metric_title(metric)) for title in _HEADER)
    header += tuple(f"quiet latency, {_origin_on(document, name)}" for name in others)
    rows = tuple((*_row(row, metric), *(_latency_on(row, name) for name in others)) for row in document["rows"])
    return QuantizationTable(caption, header, rows)


def _origin_on(document: Mapping[str, Any], device: str) -> str:
    found = [row["devices"][device]["latency"] for row in document["rows"] if device in row.get("devices", {})]
    return origin(common_kind(str(latency["kind"]) for latency in found if "kind" in latency), device)


def _latency_on(row: Mapping[str, Any], device: str) -> str:
    """The quiet latency on one of several devices, after the first."""
    if device not in row.get("devices", {}):
        return ""
    latency = row["devices"][device]["latency"]
    return milliseconds(float(latency["quiet_ms"])) if "quiet_ms" in latency else f"none: {latency['error']}"


def _row(row: Mapping[str, Any], metric: str) -> tuple[str, ...]:
    name = str(row["quantization"])
    if "error" in row:
        return (name, f"failed: {row['error']}", *("",) * (len(_HEADER) - 2))
    latency, worst = row["latency"], row["worst_layer"]
    known = "quiet_ms" in latency
    return (
        name,
        percent(float(row[metric]), 2),
        f"{100 * float(row['difference']):+.2f}",
        f"{int(row['size_bytes']):,} bytes",
        milliseconds(float(latency["quiet_ms"])) if known else f"none: {latency['error']}",
        f"{float(row['times_float32']):.2f} x" if row["times_float32"] is not None else "",
        _decibels(row["sqnr_db"]),
        "" if worst is None else f"{str(worst['tensor']).split(';')[0]}, {_decibels(worst['sqnr_db'])}",
    )


def _decibels(value: float | None) -> str:
    if value is None:
        return ""
    return "equal" if value >= _EQUAL_DB else f"{value:.1f} dB"


def quantizations_html(table: QuantizationTable) -> str:
    """A panel with the table."""
    head = "".join(f"<th>{escape(name)}</th>" for name in table.header)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return (
        f'<div class="panel"><h3>One network, every quantization</h3><p class="caption">{escape(table.caption)}</p>'
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></div>'
    )
