"""``edgenas ensemble``: several trials of a run as one network within its budget."""

from __future__ import annotations

from pathlib import Path

import typer

from edgenas.cli.output import JSON_OPTION, print_json
from edgenas.cli.runs import DATA_DIR, RUN


def add_to(app: typer.Typer) -> None:
    """Registers the verb."""
    app.command("ensemble")(ensemble)


def ensemble(
    folder: Path = RUN,
    method: str = typer.Option(
        "adaptive",
        "--method",
        help="non_adaptive: the best set of a pool; adaptive: towers are added where that helps; residual: each learns "
        "what the others leave wrong; intermixed: in turn the next best, and the one that helps most.",
    ),
    towers: int = typer.Option(2, "--towers", help="Networks in it, at most; each gets an equal part of the budget."),
    combine: str = typer.Option("average", "--combine", help="average, or learned weights of the towers' outputs."),
    pool: int | None = typer.Option(None, "--pool", help="Trials that are trained, at most; by default 2 more."),
    distill: bool = typer.Option(False, "--distill", help="Ship one network that has learned from the ensemble."),
    budget: list[str] | None = typer.Option(
        None,
        "--budget",
        metavar="COST=LIMIT",
        help="Of the ensemble, in place of the run's; may be given for several costs. Towers are as small as the run's "
        "trials, so search with a part of it.",
    ),
    data_dir: Path | None = DATA_DIR,
    output: Path | None = typer.Option(
        None, "--output", "-o", help="Folder of the bundle; by default RUN/ensembles/NAME/bundle."
    ),
    as_json: bool = JSON_OPTION,
) -> None:
    """Train several trials of a run, and ship them as one network whose measured cost keeps the run's budget."""
    from edgenas.export.bundle.bundle import check_replaceable
    from edgenas.run.ensemble.settings import EnsembleSettings
    from edgenas.run.ensemble.ship import ship_ensemble
    from edgenas.run.opening import open_searched, working
    from edgenas.run.pipeline import go_on

    settings = EnsembleSettings(method, towers, combine, pool, distill, tuple(budget or ()))
    context = open_searched(folder, data_dir)
    if output is not None:
        check_replaceable(output.absolute())
    with working(context):
        go_on(context)
        shipped = ship_ensemble(context, settings, output)
    if as_json:
        print_json(shipped.to_json())
        return
    print(shipped.words())
