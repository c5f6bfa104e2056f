"""``edgenas profile`` and ``edgenas validate``: building a latency table and testing its promise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgenas.cli.output import JSON_OPTION, print_json, print_table, remark
from edgenas.cli.space_options import CLASSES, INPUT_SHAPE, SPACE_HELP, load_space

if TYPE_CHECKING:
    from edgenas.devices import Device
    from edgenas.latency.profile.profiler import ProfileResult
    from edgenas.latency.table.latency_table import LatencyTable
    from edgenas.spaces.space.search_space import SearchSpace

SPACE = typer.Option(..., "--space", help=SPACE_HELP)
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
    input_shape: str | None = INPUT_SHAPE,
    classes: int | None = CLASSES,
    device: str = DEVICE,
    precision: str = PRECISION,
    threads: int = THREADS,
    table: Path | None = TABLE,
    fresh: bool = typer.Option(False, "--fresh", help="Measure everything again, also what the table has."),
    adapt_from: Path | None = typer.Option(
        None, "--adapt-from", help="Make the table from this one of another device and a few measured networks."
    ),
    networks: int = typer.Option(10, "--networks", min=1, help="With --adapt-from: how many networks to measure."),
    measurements: Path | None = typer.Option(
        None,
        "--measurements",
        metavar="FILE.csv",
        help="Measure nothing: FILE has figures of some networks (architecture, latency_ms and/or energy_mj).",
    ),
    as_json: bool = JSON_OPTION,
) -> None:
    """Build or complete the latency table of a device for all blocks of a space.

    With --adapt-from, no block is measured: a few whole networks are, and the table of another device does the rest.
    With --measurements, the figures of the file stand for those networks, and the device need not be known. The error
    on networks left out is stored with the table and printed wherever it is used.
    """
    loaded = load_space(space, input_shape, classes)
    if measurements is not None:
        _from_figures(loaded, device, precision, threads, table, fresh, adapt_from, measurements, as_json)
        return
    if adapt_from is not None:
        _adapt(loaded, device, precision, threads, table, fresh, adapt_from, networks, as_json)
        return
    result = _profile(loaded, device, precision, threads, table, fresh)[1]
    kind = result.table.provenance.kind
    if as_json:
        print_json(
            {
                "table": str(result.path),
                "signatures": result.signatures,
                "measured": result.measured,
                "provenance": kind,
                "reused": result.reused,
                "failed": {signature: str(error) for signature, error in result.failed.items()},
                "seconds": round(result.seconds, 3),
            }
        )
        return
    print(
        f"{result.path}: {result.signatures} signatures, {result.measured} {kind}, {result.reused} reused, "
        f"{result.seconds:.1f} s"
    )
    for signature, error in result.failed.items():
        remark(f"without a latency: {signature}: {error}")


def _from_figures(
    space: SearchSpace,
    device: str,
    precision: str,
    threads: int,
    table: Path | None,
    fresh: bool,
    source: Path | None,
    measurements: Path,
    as_json: bool,
) -> None:
    from edgenas.latency.predict.predictor import Predictor
    from edgenas.latency.table.latency_table import LatencyTable
    from edgenas.latency.transfer.figures import read_figures
    from edgenas.latency.transfer.from_figures import NOMINAL, profile_from_figures

    figures = read_figures(measurements, space)
    given = None if source is None else LatencyTable.load(source, precision=precision)
    result = profile_from_figures(
        space,
        device,
        figures,
        source=given,
        precision=precision,
        threads=threads,
        table_path=table,
        fresh=fresh,
    )
    remark(Predictor(result.table).describe_error())
    if as_json:
        print_json(result.to_json())
        return
    shape = f"{source} ({given.device})" if given is not None else NOMINAL
    print(
        f"{result.path}: {len(result.table.rows)} signatures modelled from {shape} and the figures of "
        f"{len(figures.architectures)} networks in {measurements}; {result.seconds:.1f} s"
    )
    for name, adaptation in result.by_figure.items():
        print(f"{name}: {adaptation.describe()}")


def _adapt(
    space: SearchSpace,
    device: str,
    precision: str,
    threads: int,
    table: Path | None,
    fresh: bool,
    source: Path,
    networks: int,
    as_json: bool,
) -> None:
    from edgenas.devices import get_device
    from edgenas.latency.predict.predictor import Predictor
    from edgenas.latency.profile.progress import progress_bars
    from edgenas.latency.table.latency_table import LatencyTable
    from edgenas.latency.transfer.adapting import adapt_profile

    given = LatencyTable.load(source, precision=precision)
    with progress_bars() as progress:
        result = adapt_profile(
            space,
            get_device(device),
            given,
            networks=networks,
            table_path=table,
            threads=threads,
            fresh=fresh,
            progress=progress,
        )
    remark(Predictor(result.table).describe_error())
    if as_json:
        print_json(result.to_json())
        return
    print(
        f"{result.path}: {len(result.table.rows)} signatures modelled from {source} ({given.device}) and "
        f"{result.adaptation.networks} networks on {device}, no block {result.table.networks_kind}; "
        f"{result.seconds:.1f} s"
    )
    print(result.adaptation.describe())


def _profile(
    space: SearchSpace, device: str, precision: str, threads: int, table: Path | None, fresh: bool
) -> tuple[Device, ProfileResult]:
    """Loads a device, and measures what its table lacks."""
    from edgenas.devices import get_device
    from edgenas.latency.predict.predictor import Predictor
    from edgenas.latency.profile.profiler import profile_space as profile
    from edgenas.latency.profile.progress import progress_bars

    target = get_device(device)
    with progress_bars() as progress:
        result = profile(
            space,
            target,
            precision=precision,
            table_path=table,
            threads=threads,
            fresh=fresh,
            progress=progress,
        )
    remark(Predictor(result.table).describe_error())
    if result.table.energy is not None:
        remark(result.table.energy.describe())
    return target, result


def _adapted_table(device: str, precision: str, path: Path | None) -> LatencyTable | None:
    """The table, when it was adapted from another device's: then nothing is missing that could be measured."""
    from edgenas.latency.table.latency_table import LatencyTable, default_table_path

    where = path or default_table_path(device, precision)
    if not where.exists():
        return None
    table = LatencyTable.load(where, device=device, precision=precision)
    return table if table.is_adapted else None


def validate_space(
    space: str = SPACE,
    input_shape: str | None = INPUT_SHAPE,
    classes: int | None = CLASSES,
    device: str = DEVICE,
    networks: int = typer.Option(40, "--networks", min=2, help="How many random networks to measure."),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of the random networks."),
    fast: bool = typer.Option(False, "--fast", help="Random ones among the fastest: where small budgets lead."),
    precision: str = PRECISION,
    threads: int = THREADS,
    table: Path | None = TABLE,
    as_json: bool = JSON_OPTION,
) -> None:
    """Predict random networks, measure them whole, and compare. Blocks that the table lacks are measured first."""
    from edgenas.devices import get_device
    from edgenas.export.figure import origin
    from edgenas.latency.check.validation import validate
    from edgenas.latency.predict.predictor import Predictor
    from edgenas.latency.profile.progress import progress_bars

    loaded = load_space(space, input_shape, classes)
    adapted = _adapted_table(device, precision, table)
    if adapted is None:
        target, profiled = _profile(loaded, device, precision, threads, table, fresh=False)
        found = profiled.table
    else:
        target, found = get_device(device), adapted
        remark(Predictor(found).describe_error())
    with progress_bars() as progress:
        data = validate(loaded, target, found, networks=networks, seed=seed, fast=fast, progress=progress).to_json()
    if as_json:
        print_json(data)
        return
    print_table(
        ("architecture", "predicted ms", f"{data['provenance']['measured_ms']} ms", "error %"),
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
        f"{data['networks']} networks of {loaded.name}, {origin(data['provenance']['measured_ms'], device)} "
        f"({precision}, statistic: {data['statistic']}): "
        f"{_accuracy(data)}"
    )
    if data["drift"] is None:
        remark("how the device changed since the table was made is not known: the table is of other networks")
    elif not data["holds"]:
        remark(
            f"the networks that the table was calibrated with take {data['drift']:.3f} of what they took then: the "
            f"table does not hold any more. Measure again: edgenas profile --fresh"
        )
    elif data["drift"] != 1:
        print(
            f"as the device is now (the networks that the table was calibrated with take {data['drift']:.3f} of what "
            f"they took then): {_accuracy(data['now'])}"
        )
    if data["unadjusted"] != data["now"]:
        print(f"as timed, with how fast the processor's clock ran at that moment: {_accuracy(data['unadjusted'])}")
    if data.get("quiet_networks", data["networks"]) < data["networks"]:
        remark(
            f"only {data['quiet_networks']} of {data['networks']} networks were seen in a quiet moment: the others ran "
            f"beside something else on the processor, and were slower than they are"
        )


def _accuracy(figures: dict[str, Any]) -> str:
    return (
        f"MAPE {figures['mape']:.1%}, within 5 %: {figures['within_5pct']:.0%}, within 10 %: "
        f"{figures['within_10pct']:.0%}, Spearman {figures['spearman']:.4f}"
    )
