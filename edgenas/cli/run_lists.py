"""``edgenas runs``: the runs in a folder, one line each."""

from __future__ import annotations

from pathlib import Path

import typer

from edgenas.cli.output import JSON_OPTION, print_json, print_table, remark


def add_to(app: typer.Typer) -> None:
    """Registers the verb."""
    app.command("runs")(runs)


def runs(
    folder: Path = typer.Argument(Path("runs"), metavar="DIR", help="The folder that runs are in, or one run."),
    as_json: bool = JSON_OPTION,
) -> None:
    """List runs: how far each has come, its trials, best, budget, and what it ships. Damaged ones are listed, too."""
    from edgenas.export.figure import Figure
    from edgenas.run.summary import find_runs, summarise

    found = [summarise(path) for path in find_runs(folder)]
    if as_json:
        print_json([run.to_json() for run in found])
        return
    if not found:
        remark(f"{folder}: there is no run in it; `edgenas run RECIPE.yaml` makes one")
        return
    rows = []
    for facts in (run.to_json() for run in found):
        best, shipped = facts["best"], facts["shipped"]
        rows.append(
            (
                str(Path(facts["run"])),
                facts["state"],
                f"{facts['trials'].get('complete', 0)}/{facts['trials']['wanted'] or '?'}",
                best and f"{best['trial']}: {best['metric']} {best['score']:.3f}",
                budget_words(facts["budget"]),
                shipped
                and f"{shipped['trial']}: {shipped['metric']} {shipped['score_tflite']:.4f}, "
                f"{Figure(shipped['latency_ms'], 'ms', str(shipped['latency_kind']))}",
                (facts["last_utc"] or "")[:16].replace("T", " "),
            )
        )
    print_table(("run", "state", "trials", "best (searched)", "budget", "shipped", "last (UTC)"), rows)
    for run in found:
        if run.problem:
            remark(f"{run.path}: {run.problem}")


def budget_words(budget: dict[str, object]) -> str:
    """``latency_ms 0.25``; of several devices, each with its limits."""
    return ", ".join(
        f"{name}: {budget_words(value)}" if isinstance(value, dict) else f"{name} {value:,g}"
        for name, value in budget.items()
    )
