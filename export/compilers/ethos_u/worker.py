"""Compiles models for another process, one JSON line in and one out: ``python -m ...ethos_u.worker``.

A process of its own, since the compiler is native code that a damaged file may crash, and since it says to the
terminal, and nowhere else, why it leaves an operator to the CPU. It stays, so that a model costs tens of milliseconds.

In: ``{"path": MODEL, "out": COMPILED or null, "architecture", "system", "options"}``. Out: ``{"cycles", "operators",
...}`` as :func:`edgenas.export.compilers.ethos_u.report.read_report` takes it, with ``"words"``, or ``{"error"}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgenas.export.answering import answer_lines

#: Not memories of the system: tables and blocks inside the NPU.
_INSIDE = ("lutram", "shram")
_SCALE_BYTES, _ALIGNMENT = 10, 16


def main() -> None:
    """Answers until the input ends."""
    from ethosu import regor

    answer_lines(lambda job: _compile(job, regor))


def _compile(job: Mapping[str, Any], regor: Any) -> dict[str, Any]:
    try:
        compiled = regor.compile(
            job["architecture"],
            Path(job["path"]).read_bytes(),
            "TFLITE",
            job["system"],
            options=job["options"],
            verbose=True,
        )
    except Exception as error:
        return {"error": " ".join(str(error).split())[:500] or type(error).__name__}
    if job["out"]:
        Path(job["out"]).write_bytes(bytes(compiled.model))
    report, tables = compiled.perf_report, compiled.opt_database.tables if compiled.opt_database else {}
    memories = {str(name): each for name, each in report.memories.items() if str(name).lower() not in _INSIDE}
    cycles = {"total": report.totalCycles, "npu": report.npuCycles}
    cycles |= {name: each.totalAccessCycles for name, each in memories.items()}
    return {
        "cycles": cycles,
        "memory_bytes": {name: each.peakUsage for name, each in memories.items()},
        "traffic_bytes": {
            name: sum(access.bytesRead + access.bytesWritten for access in each.accesses.values())
            for name, each in memories.items()
        },
        "constant_bytes": report.readOnlyPeakUsage,
        "macs": report.macCount,
        "cpu_operators": report.cpuOps,
        "cascades": report.cascades,
        "operators": _operators(tables),
    }


def _operators(tables: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Costs by the place of the operator in the file (the ``ext_key`` of its source)."""
    if "perf" not in tables or "source" not in tables:
        return {}
    places = {row[0]: row[-1] for row in tables["source"].data}
    constants = _constants(tables.get("perf_debug"))
    of = _columns(tables["perf"].header)
    found: dict[str, dict[str, Any]] = {}
    for row in tables["perf"].data:
        place = places.get(of(row, "source_id"), "")
        cost = found.setdefault(place, {"cycles": 0, "on_cpu": False, "sram_bytes": 0, "constant_bytes": 0})
        cost["cycles"] += _number(of(row, "op_cycles"))
        cost["on_cpu"] |= of(row, "operator") == "Passthrough"
        cost["sram_bytes"] = max(cost["sram_bytes"], _number(of(row, "staging_usage")))
        cost["constant_bytes"] += constants.get(of(row, "id"), 0)
    return found


def _constants(debug: Any) -> dict[str, int]:
    """Bytes that are stored for each row of ``perf``: encoded weights, and 10 bytes of scale and bias a filter."""
    if debug is None or not {"id", "weight_total_bytes", "ofm_depth_slices"} <= set(debug.header):
        return {}
    of = _columns(debug.header)
    found: dict[str, int] = {}
    for row in debug.data:
        weights = _number(of(row, "weight_total_bytes"))
        filters = _number(of(row, "ofm_depth_slices").rpartition("|")[2])
        scales = -(-_SCALE_BYTES * filters // _ALIGNMENT) * _ALIGNMENT
        found[of(row, "id")] = weights + scales if weights else 0
    return found


def _columns(header: list[str]) -> Callable[[list[str], str], str]:
    places = {name: place for place, name in enumerate(header)}
    return lambda row, name: row[places[name]]


def _number(text: str) -> int:
    return int(float(text)) if text else 0


if __name__ == "__main__":
    main()
