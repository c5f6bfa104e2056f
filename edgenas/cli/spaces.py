"""``edgenas spaces``: which networks can be built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from edgenas.cli.output import JSON_OPTION, print_json, print_table, remark
from edgenas.cli.space_options import CLASSES, INPUT_SHAPE, SPACE_HELP, load_space, options_as_written
from edgenas.spaces.errors import InputError

app = typer.Typer(help="List, show and sample search spaces.", no_args_is_help=True)


@app.command("list")
def list_spaces(as_json: bool = JSON_OPTION) -> None:
    """The spaces of the catalog, with their exact sizes."""
    from edgenas.spaces.space.outline import SpaceOutline
    from edgenas.spaces.space.spec import space_names

    rows: list[dict[str, Any]] = []
    for name in space_names():
        space = SpaceOutline.load(name)
        rows.append(
            {
                "name": space.name,
                "task": space.task,
                "input_shape": list(space.input_shape),
                "decisions": len(space.decisions),
                "size": str(space.size),
                "description": space.description,
            }
        )
    if as_json:
        print_json(rows)
        return
    from edgenas.spaces.ops import format_shape

    print_table(
        ("space", "task", "input", "decisions", "networks", "what for"),
        [
            (
                row["name"],
                row["task"],
                format_shape(tuple(row["input_shape"])),
                row["decisions"],
                _size(row["size"]),
                row["description"],
            )
            for row in rows
        ],
    )
    remark("Another size: --input-shape. One of these as a file to edit: edgenas spaces copy SPACE FILE.yaml")


def _size(digits: str) -> str:
    return f"{int(digits):,}" if len(digits) <= 9 else f"{float(digits):.3g}"


@app.command("show")
def show_space(
    space: str = typer.Argument(help=SPACE_HELP),
    as_json: bool = JSON_OPTION,
) -> None:
    """The decisions of a space and their options."""
    loaded = load_space(space)
    decisions = [{"name": decision.name, "options": list(decision.options)} for decision in loaded.decisions]
    if as_json:
        print_json(
            {
                "name": loaded.name,
                "task": loaded.task,
                "input_shape": list(loaded.input_shape),
                "size": str(loaded.size),
                "description": loaded.description,
                "decisions": decisions,
            }
        )
        return
    print_table(("decision", "options"), [(d["name"], "  ".join(d["options"])) for d in decisions])
    print(f"{loaded.size:,} networks")


@app.command("sample")
def sample_space(
    space: str = typer.Argument(help=SPACE_HELP),
    count: int = typer.Option(5, "--count", min=1, help="How many networks."),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed; the same seed gives the same networks."),
    input_shape: str | None = INPUT_SHAPE,
    classes: int | None = CLASSES,
    as_json: bool = JSON_OPTION,
) -> None:
    """Random networks of a space: every active decision takes each of its valid options with equal chance."""
    import numpy as np

    loaded = load_space(space, input_shape, classes)
    rows = []
    for row in loaded.sample(np.random.default_rng(seed), count):
        architecture = loaded.architecture(row)
        network = loaded.decode(architecture)
        rows.append({"architecture": str(architecture), "macs": network.macs, "params": network.params})
    if as_json:
        print_json(rows)
        return
    print_table(("architecture", "MACs", "parameters"), [tuple(row.values()) for row in rows])
    options = options_as_written(input_shape, classes)
    remark(f"Look at one with: edgenas describe {space}:{rows[0]['architecture']}{options}")


@app.command("copy")
def copy_space(
    space: str = typer.Argument(help=SPACE_HELP),
    file: Path = typer.Argument(metavar="FILE.yaml", help="The file to write; it must not exist yet."),
) -> None:
    """Write a space as a commented YAML file of your own, to edit: the same networks, under the file's name."""
    from edgenas.export.files import write_atomically
    from edgenas.spaces.paths import check_path
    from edgenas.spaces.space.copying import copied_space, own_name

    file = check_path(file, "FILE.yaml")
    if file.suffix not in (".yaml", ".yml"):
        raise InputError(f"{file}: the name of a space's file ends in .yaml; name it {file}.yaml")
    if file.exists():
        raise InputError(f"{file} exists already; name another file")
    write_atomically(file, copied_space(space, file))
    remark(
        f"{file}: the space {own_name(file)!r}, with the networks of {space}. Edit it, then: edgenas spaces show {file}"
    )
