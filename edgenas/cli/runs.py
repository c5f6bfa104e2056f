"""``edgenas run``, ``search``, ``export``, ``report`` and ``recipe``: the main job, whole or step by step."""

from __future__ import annotations

from pathlib import Path

import typer

from edgenas.cli.output import JSON_OPTION, print_json, remark
from edgenas.cli.summary import print_summary
from edgenas.run.changes import may_change
from edgenas.spaces.errors import InputError

RECIPE = typer.Argument(
    None,
    metavar="RECIPE.yaml",
    help="The recipe, or the folder of a run to --resume; `edgenas recipe` writes one with comments.",
)
RUN = typer.Argument(metavar="RUN", help="A run's folder.")
RESUME = typer.Option(
    False,
    "--resume",
    help="Continue an earlier run; finished work is never repeated. These keys of its recipe may have changed, and "
    f"only what follows from them is done again: {may_change()}. Others are refused, with the reason and what to do "
    "instead.",
)
DATA_DIR = typer.Option(
    None, "--data-dir", envvar="EDGENAS_DATA_DIR", help="Folder with full data sets as NAME.npz files."
)
STUDY = typer.Option(
    None, "--study", help="URL of the study, to share it: postgresql://, mysql://, grpc://HOST:PORT (search.study)."
)
RAY = typer.Option(
    None, "--ray", metavar="ADDRESS|local", help="Evaluate in Ray actors, of a cluster or here; needs edgenas[ray]."
)
RAY_WORKERS = typer.Option(
    None, "--workers", min=1, help="Ray actors, each with one candidate at a time; 1 by default."
)
RAY_GPUS = typer.Option(None, "--gpus-per-worker", min=0.0, help="GPUs that Ray keeps for each; 0 by default.")
OUTPUT = typer.Option(None, "--output", "-o", help="The run's folder; by default runs/NAME of the recipe.")
FROM_SUPERNET = typer.Option(
    None,
    "--from-supernet",
    metavar="RUN",
    help="Instead of a recipe: a run whose trained supernet is searched for another --budget, in a run of its own.",
)
BUDGET = typer.Option(
    None,
    "--budget",
    metavar="COST=LIMIT[,LIMIT]",
    help="With --from-supernet: a budget, such as latency_ms=0.3; may be given several times. Several limits of one "
    "cost, such as latency_ms=0.1,0.2,0.4, get a bundle each. COST@DEVICE=LIMIT is for one of several devices.",
)


def add_to(app: typer.Typer) -> None:
    """Registers the verbs of this file."""
    app.command("run")(run)
    app.command("search")(search)
    app.command("export")(export)
    app.command("report")(report)
    app.command("recipe")(recipe)


def run(
    path: Path | None = RECIPE,
    resume: bool = RESUME,
    data_dir: Path | None = DATA_DIR,
    output: Path | None = OUTPUT,
    from_supernet: Path | None = FROM_SUPERNET,
    budget: list[str] | None = BUDGET,
    as_json: bool = JSON_OPTION,
) -> None:
    """Profile, search, train, quantize, export, measure and report: everything that a recipe asks for."""
    from edgenas.run.pipeline import run_from_supernet, run_recipe

    path, lender = _source(path, from_supernet, budget)
    if lender is not None:
        result = run_from_supernet(lender, budget or (), resume=resume, data_dir=data_dir, output=output)
    else:
        assert path is not None
        result = run_recipe(path, resume=resume, data_dir=data_dir, output=output)
    if as_json:
        print_json(result.to_json())
        return
    print_summary(result)


def search(
    path: Path | None = RECIPE,
    resume: bool = RESUME,
    data_dir: Path | None = DATA_DIR,
    output: Path | None = OUTPUT,
    study: str | None = STUDY,
    ray: str | None = RAY,
    workers: int | None = RAY_WORKERS,
    gpus_per_worker: float | None = RAY_GPUS,
    from_supernet: Path | None = FROM_SUPERNET,
    budget: list[str] | None = BUDGET,
    as_json: bool = JSON_OPTION,
) -> None:
    """Profile and search only; train and export later with `edgenas export`."""
    from edgenas.run.pipeline import run_from_supernet, search_recipe
    from edgenas.run.ray_workers import crew_of

    path, lender = _source(path, from_supernet, budget)
    crew = crew_of(ray, workers, gpus_per_worker)
    if lender is not None:
        if study is not None or crew is not None:
            raise InputError("--from-supernet searches a supernet here; --study and --ray share a search of a recipe")
        result = run_from_supernet(lender, budget or (), resume=resume, data_dir=data_dir, output=output, ship=False)
    else:
        assert path is not None
        result = search_recipe(path, resume=resume, data_dir=data_dir, output=output, study=study, crew=crew)
    if as_json:
        print_json(result.to_json())
        return
    print_summary(result)


def _source(
    recipe: Path | None, from_supernet: Path | None, budget: list[str] | None
) -> tuple[Path | None, Path | None]:
    """(recipe, run with a supernet): one of them. Raises InputError when both or none were given."""
    if from_supernet is None:
        if budget:
            raise InputError("--budget belongs to --from-supernet; a recipe has its budget in itself")
        if recipe is None:
            raise InputError("expected a recipe: edgenas run RECIPE.yaml; `edgenas recipe` writes one with comments")
    elif recipe is not None:
        raise InputError(f"--from-supernet takes all but the budget from that run; leave {recipe} away")
    elif not budget:
        raise InputError("--from-supernet: expected a budget to search for, such as --budget latency_ms=0.3")
    return recipe, from_supernet


def export(
    folder: Path = RUN,
    trial: str = typer.Option("best", "--trial", help="Number of the trial to ship, or 'best'."),
    data_dir: Path | None = DATA_DIR,
    compare: bool = typer.Option(
        False, "--compare", help="Instead: a table of quantizations of the trained network, measured side by side."
    ),
    layers: bool = typer.Option(
        False, "--layers", help="Instead: layer by layer, what quantization leaves of the float model's signal."
    ),
    sensitivity: bool = typer.Option(
        False,
        "--sensitivity",
        help="Instead: which layers cost accuracy in int8, and size and latency with the worst kept in float or int16; "
        "needs edgenas[selective].",
    ),
    quantizations: str | None = typer.Option(
        None, "--quantizations", help="Names for --compare or --layers, with commas; by default those without training."
    ),
    quantization: str | None = typer.Option(
        None,
        "--quantization",
        help="Another quantization than the run's, such as float32, for a bundle in --output; the run's own stays.",
    ),
    profile: bool = typer.Option(
        False, "--profile", help="With --quantization: measure what the device's table of that precision lacks."
    ),
    front: bool = typer.Option(
        False,
        "--front",
        help="Instead: every trial on the Pareto front, one bundle each, with an index page. Finished ones are kept.",
    ),
    output: Path | None = typer.Option(
        None,
        "--output",
        "-o",
        help="Folder of the bundle; by default RUN/bundle, with a number RUN/bundles/trial-N, with --front RUN/front.",
    ),
    as_json: bool = JSON_OPTION,
) -> None:
    """Train, quantize, verify and measure one architecture of a run, and write its bundle."""
    from edgenas.run.pipeline import export_trial

    if trial != "best" and not (trial.isdecimal() and len(trial) <= 18):
        raise InputError(f"--trial: expected 'best' or a trial's number, not {trial[:40]!r}")
    number = None if trial == "best" else int(trial)
    if sum((compare, layers, sensitivity, front, quantization is not None)) > 1:
        raise InputError(
            "--compare, --layers, --sensitivity, --front and --quantization are one thing each; give one of them"
        )
    if front:
        from edgenas.cli.fronts import print_front

        if number is not None:
            raise InputError("--front exports every trial on the front; leave --trial out")
        print_front(folder, output, data_dir, as_json)
        return
    if (compare or layers or sensitivity) and output is not None:
        raise InputError(
            "--output names the folder of a bundle, which --compare, --layers and --sensitivity do not write"
        )
    if sensitivity:
        from edgenas.cli.sensitivity import print_sensitivity

        if quantizations is not None:
            raise InputError("--quantizations belongs to --compare or --layers; --sensitivity is about int8")
        print_sensitivity(folder, number, data_dir, as_json)
        return
    if compare or layers:
        from edgenas.cli.quantizations import print_comparison, print_layer_report

        names = tuple(filter(None, (quantizations or "").replace(" ", "").split(",")))
        (print_comparison if compare else print_layer_report)(folder, number, names, data_dir, as_json)
        return
    if quantizations is not None:
        raise InputError("--quantizations belongs to --compare or --layers; --quantization NAME -o DIR exports one")
    if quantization is not None and output is None:
        raise InputError("--quantization needs a folder for its bundle, --output DIR; the run's own bundle stays")
    if profile and quantization is None:
        raise InputError("--profile belongs to --quantization; a run's own table is complete")
    result = export_trial(folder, number, data_dir=data_dir, output=output, quantization=quantization, measure=profile)
    if as_json:
        print_json(result.to_json())
        return
    print_summary(result)


def report(folder: Path = RUN) -> None:
    """Write report.html and pareto.csv of a run again."""
    from edgenas.report import build_report

    print(build_report(folder))


def recipe(
    output: Path | None = typer.Option(None, "--output", "-o", help="The file to write; standard output otherwise."),
) -> None:
    """Write a recipe with every key, its default and what it means."""
    from edgenas.export.files import write_atomically
    from edgenas.recipe.recipe import recipe_template

    text = recipe_template()
    if output is None:
        print(text, end="")
        return
    if output.exists():
        raise InputError(f"{output} exists already; name another file")
    write_atomically(output, text)
    remark(f"{output}: edit it, then start with: edgenas run {output}")
