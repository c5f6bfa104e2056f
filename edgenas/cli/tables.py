"""``edgenas profile`` and ``edgenas validate``: building a latency table and testing its promise."""

from __future__ import annotations

from pathlib import Path

import typer

from edgenas.cli.output import JSON_OPTION, print_json, print_table, remark

SPACE = typer.Option(..., "--space", help="Name of a space, or the path of a YAML file.")
DEVICE = typer.Option("local-cpu", "--device", help="Name of a device.")
PRECISION = typer.Option("int8", "--precision", help="float32, float16 or int8.")
THREADS = typer.Option(1, "--threads", min=1, help="Threads of the runtime.")
TABLE = typer.Option(None, "--table", help="Path of the table; by default one per device, in ~/.edgenas/tables.")


def add_to(app: typer.Typer) -> None:
    """Registers the verbs of this file."""
    app.command("profile")(profile_space)
    app.command("validate")(validate_space)


def profile_space(
    space: str = SPACE,
    device: str = DEVICE,
    precision: str = PRECISION,
    threads: int = THREADS,
    table: Path | None = TABLE,
    as_json: bool = JSON_OPTION,
) -> None:
    """Build or complete the latency table of a device for all blocks of a space."""
    from edgenas.progress import profile_with_progress
    from spaces.space import SearchSpace

    result = profile_with_progress(SearchSpace.load(space), device, precision=precision, threads=threads, path=table)
    if as_json:
        print_json(
            {
                "table": str(result.path),
                "signatures": result.signatures,
                "measured": result.measured,
                "reused": result.reused,
                "seconds": round(result.seconds, 3),
            }
        )
        return
    print(f"{result.path}: {result.signatures} signatures, {result.measured} measured, {result.reused} reused")
    remark(result.table.describe_error())


def validate_space(
    space: str = SPACE,
    device: str = DEVICE,
    networks: int = typer.Option(40, "--networks", min=2, help="How many random networks to measure."),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of the random networks."),
    precision: str = PRECISION,
    threads: int = THREADS,
    table: Path | None = TABLE,
    as_json: bool = JSON_OPTION,
) -> None:
    """Predict random networks, measure them whole, and compare. Blocks that the table lacks are measured first."""
    from devices.device import get_device
    from edgenas.progress import profile_with_progress
    from latency.validation import validate
    from spaces.space import SearchSpace

    loaded = SearchSpace.load(space)
    profiled = profile_with_progress(loaded, device, precision=precision, threads=threads, path=table)
    validation = validate(loaded, get_device(device), profiled.table, networks=networks, seed=seed)
    data = validation.to_json()
    if as_json:
        print_json(data)
        return
    print_table(
        ("architecture", "predicted ms", "measured ms", "error %"),
        [
            (
                row["architecture"],
                row["predicted_ms"],
                row["measured_ms"],
                100 * (row["predicted_ms"] / row["measured_ms"] - 1),
            )
            for row in data["rows"]
        ],
    )
    print(
        f"{data['networks']} networks of {loaded.name} on {device} ({precision}, statistic: {data['statistic']}): "
        f"MAPE {data['mape']:.1%}, within 5 %: {data['within_5pct']:.0%}, within 10 %: {data['within_10pct']:.0%}, "
        f"Spearman {data['spearman']:.4f}"
    )
