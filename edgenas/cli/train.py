"""``edgenas train``: one fixed network through all of a run but the search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from edgenas.cli.models import ARCH_HELP
from edgenas.cli.output import JSON_OPTION, print_json
from edgenas.cli.runs import DATA_DIR, OUTPUT, RESUME
from edgenas.export.files import file_name
from edgenas.spaces.errors import InputError


def add_to(app: typer.Typer) -> None:
    """Registers the verb."""
    app.command("train")(train)


def train(
    arch: str = typer.Argument(metavar="ARCH", help=ARCH_HELP),
    data: str = typer.Option(..., "--data", help="Name of a data set, or the path of an .npz file or a folder."),
    device: list[str] = typer.Option(
        ["local-cpu"], "--device", help="Where the trained file is measured; once for each device."
    ),
    budget: list[str] = typer.Option(
        [],
        "--budget",
        metavar="COST=LIMIT",
        help="What it must not exceed, such as latency_ms=0.3; once for each limit. Without one nothing is refused.",
    ),
    epochs: int | None = typer.Option(None, "--epochs", help="Passes over the training examples."),
    batch_size: int | None = typer.Option(None, "--batch-size", help="Examples per step."),
    max_steps: int | None = typer.Option(None, "--max-steps", help="Ends the training after so many steps."),
    learning_rate: float | None = typer.Option(None, "--learning-rate", help="The peak."),
    quantization: str = typer.Option("int8", "--quantization", help="Of the shipped file, as in a recipe."),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of everything random."),
    resume: bool = RESUME,
    data_dir: Path | None = DATA_DIR,
    output: Path | None = OUTPUT,
    as_json: bool = JSON_OPTION,
) -> None:
    """Train, quantize, export and measure one fixed network; its input shape and classes follow the data."""
    from edgenas.run.pipeline import run

    training = {
        "epochs": epochs,
        "batch_size": batch_size,
        "max_steps": max_steps,
        "learning_rate": learning_rate,
    }
    recipe = _recipe(
        {
            "name": _run_name(arch, data),
            "seed": seed,
            "data": {"path" if _is_path(data) else "name": data},
            "space": {"architecture": arch},
            **_devices(device, _limits(budget)),
            "training": {key: value for key, value in training.items() if value is not None},
            "export": {"quantization": quantization},
        },
        data_dir,
    )
    result = run(recipe, resume=resume, output=output)
    if as_json:
        print_json(result.to_json())
        return
    print(result.summary())


def _recipe(document: dict[str, Any], data_dir: Path | None) -> Any:
    """The recipe; what is wrong is told by the option's name where it has one."""
    from edgenas.recipe.recipe import Recipe
    from edgenas.spaces.yaml_reading import dump_yaml

    recipe = Recipe.parse(dump_yaml(document), "edgenas train").relative_to(Path.cwd())
    return recipe if data_dir is None else recipe.with_data_directory(data_dir)


def _is_path(data: str) -> bool:
    return "/" in data or data.endswith(".npz")


def _devices(devices: list[str], limits: dict[str, float]) -> dict[str, Any]:
    """The part of a recipe about devices; several have the same limits."""
    if len(devices) == 1:
        return {"device": {"name": devices[0]}, **({"budget": limits} if limits else {})}
    return {"devices": [{"name": name, "budget": limits or None} for name in devices]}


def _limits(texts: list[str]) -> dict[str, float]:
    """``["latency_ms=0.3"]`` as a mapping."""
    limits: dict[str, float] = {}
    for text in texts:
        for part in text.split(","):
            name, equals, value = part.strip().partition("=")
            try:
                limit = float(value)
            except ValueError:
                equals = ""
            if not equals or not name:
                raise InputError(f"--budget {text!r}: expected COST=LIMIT, such as latency_ms=0.3")
            if name in limits:
                raise InputError(f"--budget: {name} is there twice")
            limits[name] = int(limit) if limit.is_integer() and not name.endswith(("_ms", "_mj")) else limit
    return limits


def _run_name(arch: str, data: str) -> str:
    """A folder's name: ``mobilenet_v2_1.0-fashion_mnist``."""
    parts = [Path(arch).parent.name + "-" + Path(arch).stem if arch.endswith((".yaml", ".yml")) else arch]
    parts.append(Path(data).stem if _is_path(data) else data)
    plain = file_name("-".join(parts)).strip("-._")
    return plain or "train"
