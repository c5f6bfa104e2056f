"""``edgenas compare RUN RUN ...``: runs as the columns of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgenas.cli.output import print_json, print_table, remark


def print_runs(folders: Sequence[Path], as_json: bool) -> None:
    """Prints what the runs found and ship, how their recipes differ, and their fronts."""
    from edgenas.compare.runs import compare_runs, labels_of

    data = compare_runs(folders)
    if as_json:
        print_json(data)
        return
    runs, labels = data["runs"], labels_of(data["runs"])
    print_table(("", *labels), [(name, *(_shown(cell(run)) for run in runs)) for name, cell in _rows(runs)])
    if data["differences"]:
        print_table(
            ("recipe", *labels),
            [(one["key"], *(_value(value) for value in one["values"])) for one in data["differences"]],
            title="where the recipes differ",
        )
    else:
        print("the recipes are the same")
    points = [
        (label, point["trial"], point["latency_ms"], point["score"], point["architecture"])
        for label, run in zip(labels, runs, strict=True)
        for point in run["front"]
    ]
    if points:
        print_table(
            ("run", "trial", "ms (predicted)", "score (searched)", "architecture"),
            points,
            title="fronts of the searches",
        )
    for what, same in data["same"].items():
        if same is False:
            remark(f"the runs differ in their {what}: figures that depend on it cannot be compared")
    for run in runs:
        if run["problem"]:
            remark(f"{run['run']}: {run['problem']}")


def _rows(runs: Sequence[dict[str, Any]]) -> list[tuple[str, Callable[[dict[str, Any]], Any]]]:
    from edgenas.cli.run_lists import budget_words
    from edgenas.export.figure import origin
    from edgenas.report.text import duration, metric_title

    metric = next((run[key]["metric"] for run in runs for key in ("shipped", "best") if run[key]), "score")
    title = metric_title(metric)

    def shipped(key: str, words: Callable[[Any], str] = str) -> Callable[[dict[str, Any]], Any]:
        def cell(run: dict[str, Any]) -> Any:
            value = (run["shipped"] or {}).get(key)
            return None if value is None else words(value)

        return cell

    def latency(key: str) -> Callable[[dict[str, Any]], Any]:
        def cell(run: dict[str, Any]) -> Any:
            facts = run["shipped"] or {}
            if facts.get(key) is None:
                return None
            kind = "predicted" if key == "predicted_ms" else facts["latency_kind"]
            return f"{facts[key]:.4g} ({origin(kind, run['devices'][0] if run['devices'] else '?')})"

        return cell

    return [
        ("state", lambda run: run["state"]),
        ("trials", lambda run: f"{run['trials'].get('complete', 0)} of {run['trials']['wanted']}"),
        ("budget", lambda run: budget_words(run["budget"])),
        ("time", lambda run: duration(run["seconds"])),
        (
            f"best {title}, searched",
            lambda run: run["best"] and f"{run['best']['score']:.4f} (trial {run['best']['trial']})",
        ),
        ("shipped trial", shipped("trial")),
        (f"{title} of the file", shipped("score_tflite", "{:.4f}".format)),
        (f"{title} of the float model", shipped("score_float", "{:.4f}".format)),
        ("test examples", shipped("test_examples", "{:,}".format)),
        ("median ms", latency("latency_ms")),
        ("quiet ms", latency("latency_quiet_ms")),
        ("predicted ms", latency("predicted_ms")),
        ("bytes", shipped("size_bytes", "{:,.0f}".format)),
        ("parameters", shipped("params", "{:,}".format)),
        ("MACs", shipped("macs", "{:,}".format)),
        ("quantization", shipped("quantization")),
    ]


def _shown(value: Any) -> str:
    return "-" if value in (None, "") else str(value)


def _value(value: Any) -> str:
    return "-" if value is None else str(value)
