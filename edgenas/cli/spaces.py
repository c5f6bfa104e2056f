"""``edgenas spaces``: which networks can be built."""

from __future__ import annotations

from typing import Any

import typer

from edgenas.cli.output import JSON_OPTION, print_json, print_table, remark

app = typer.Typer(help="List, show and sample search spaces.", no_args_is_help=True)


@app.command("list")
def list_spaces(as_json: bool = JSON_OPTION) -> None:
    """The spaces of the catalog, with their exact sizes."""
    from edgenas.spaces.space.search_space import SearchSpace
    from edgenas.spaces.space.spec import space_names

    rows: list[dict[str, Any]] = []
    for name in space_names():
        space = SearchSpace.load(name)
        rows.append(
            {
                "name": space.name,
                "task": space.task,
                "input_shape": list(space.input_shape),
                "decisions": len(space.decisions),
                "size": str(space.size),
            }
        )
    if as_json:
        print_json(rows)
        return
    from edgenas.spaces.ops import format_shape

    print_table(
        ("space", "task", "input", "decisions", "networks"),
        [
            (row["name"], row["task"], format_shape(tuple(row["input_shape"])), row["decisions"], _size(row["size"]))
            for row in rows
        ],
    )


def _size(digits: str) -> str:
    return f"{int(digits):,}" if len(digits) <= 9 else f"{float(digits):.3g}"


@app.command("show")
def show_space(
    space: str = typer.Argument(help="Name of a space of the catalog, or the path of a YAML file."),
    as_json: bool = JSON_OPTION,
) -> None:
    """The decisions of a space and their options."""
    from edgenas.spaces.space.search_space import SearchSpace

    loaded = SearchSpace.load(space)
    decisions = [{"name": decision.name, "options": list(decision.options)} for decision in loaded.decisions]
    if as_json:
        print_json(
            {
                "name": loaded.name,
                "task": loaded.task,
                "input_shape": list(loaded.input_shape),
                "size": str(loaded.size),
                "decisions": decisions,
            }
        )
        return
    print_table(("decision", "options"), [(d["name"], "  ".join(d["options"])) for d in decisions])
    print(f"{loaded.size:,} networks")


@app.command("sample")
def sample_space(
    space: str = typer.Argument(help="Name of a space of the catalog, or the path of a YAML file."),
    count: int = typer.Option(5, "--count", min=1, help="How many networks."),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed; the same seed gives the same networks."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Random networks of a space: every active decision takes each of its valid options with equal chance."""
    import numpy as np

    from edgenas.spaces.space.search_space import SearchSpace

    loaded = SearchSpace.load(space)
    rows = []
    for row in loaded.sample(np.random.default_rng(seed), count):
        architecture = loaded.architecture(row)
        network = loaded.decode(architecture)
        rows.append({"architecture": str(architecture), "macs": network.macs, "params": network.params})
    if as_json:
        print_json(rows)
        return
    print_table(("architecture", "MACs", "parameters"), [tuple(row.values()) for row in rows])
    remark(f"Look at one with: edgenas describe {loaded.name}:{rows[0]['architecture']}")
