"""``edgenas table``: look at latency tables, compare and merge them, and see whether they still hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgenas.cli.output import JSON_OPTION, print_json, print_table, remark
from edgenas.spaces.errors import InputError, WorkError

if TYPE_CHECKING:
    from edgenas.latency.table.latency_table import LatencyTable

app = typer.Typer(help="Show, compare, merge and check latency tables.", no_args_is_help=True)

PATH = typer.Argument(None, metavar="TABLE", help="Path of a table; by default that of --device and --precision.")
DEVICE = typer.Option("local-cpu", "--device", help="Whose table, when no path is given.")
PRECISION = typer.Option("int8", "--precision", help="Of that table: float32, float16 or int8.")


@app.command("show")
def show(
    path: Path | None = PATH,
    device: str = DEVICE,
    precision: str = PRECISION,
    rows: int = typer.Option(5, "--rows", min=0, help="How many of the slowest and of the noisiest rows."),
    as_json: bool = JSON_OPTION,
) -> None:
    """What a table was measured on, how well it predicts, and its slowest and noisiest rows."""
    where, table = _load(path, device, precision)
    data = _facts(where, table, rows)
    if as_json:
        print_json(data)
        return
    for key, value in data["header"].items():
        print(f"{key}: {value}")
    print(f"rows: {data['rows']}")
    if data["in_networks_summary"]:
        print(data["in_networks_summary"])
    print(data["summary"])
    if len(data["calibrations"]) > 1:
        print(f"calibrated for {len(data['calibrations'])} spaces, each of which is predicted with its own calibration")
    if data["deployed_summary"]:
        print(data["deployed_summary"])
    if data["energy"]:
        print(data["energy"]["summary"])
    for title in ("slowest", "noisiest"):
        columns = ("signature", "ms", "spread %", "quiet visits", "visits", "networks", "mJ")
        keys = ("quiet_visits", "visits", "networks", "energy_mj")
        cells = [(r["signature"], r["latency_ms"], 100 * r["spread"], *(r[key] for key in keys)) for r in data[title]]
        print_table(columns, cells, title=f"{title} rows")


def _facts(path: Path, table: LatencyTable, count: int) -> dict[str, Any]:
    from edgenas.latency.predict.predictor import Predictor

    keys = (
        *("device", "precision", "runtime", "runtime_version", "threads", "kind", "statistic", "protocol", "anchor_ms"),
        *("created", "cpu_model", "governor", "frequency_mhz", "temperature_c", "system"),
    )
    rows = [{"signature": signature, **vars(row)} for signature, row in table.rows.items()]
    predictor = Predictor(table)
    provenance = table.provenance.kind
    energy = None
    if table.energy is not None:
        known = sum(row.energy_mj is not None for row in table.rows.values())
        energy = {
            "kind": table.energy.kind,
            "meter": table.energy.meter,
            "rows": known,
            "error": table.energy.error,
            "summary": table.energy.describe(),
        }
    return {
        "table": str(path),
        "header": {key: value for key in keys if (value := getattr(table, key)) is not None} | {"kind": provenance},
        "rows": len(rows),
        "total_visits": sum(row["visits"] for row in rows),
        "not_quiet": sum(row["visits"] > 0 and row["quiet_visits"] == 0 for row in rows),
        "error": predictor.error,
        "calibrations": [
            {"networks_of": of, "networks": each.networks, "mape": each.mape, "created": each.created}
            for of, each in table.calibrations.items()
        ],
        "deployed_median": None if table.calibration is None else table.calibration.deployed_median,
        "energy": energy,
        "slowest": sorted(rows, key=lambda row: -row["latency_ms"])[:count],
        "noisiest": sorted(rows, key=lambda row: -row["spread"])[:count],
        "summary": predictor.describe_error(),
        "in_networks_summary": predictor.describe_in_networks(),
        "deployed_summary": predictor.describe_deployed(),
    }


@app.command("diff")
def diff(
    first: Path = typer.Argument(metavar="A", help="Path of a table."),
    second: Path = typer.Argument(metavar="B", help="Path of another."),
    rows: int = typer.Option(10, "--rows", min=0, help="How many of the largest changes."),
    as_json: bool = JSON_OPTION,
) -> None:
    """What differs between two tables: their headers, their rows, and latencies (B over A)."""
    from edgenas.latency.table.comparison import compare_tables
    from edgenas.latency.table.latency_table import LatencyTable

    found = compare_tables(LatencyTable.load(first), LatencyTable.load(second))
    data = {"first": str(first), "second": str(second), **found.to_json(rows)}
    if as_json:
        print_json(data)
        return
    if found.header:
        print_table(("header", "A", "B"), [(key, mine, theirs) for key, (mine, theirs) in found.header.items()])
    print(f"{data['common']} signatures in both, {len(found.only_first)} only in A, {len(found.only_second)} only in B")
    for name, only in (("A", found.only_first), ("B", found.only_second)):
        for signature in only[:rows]:
            print(f"only in {name}: {signature}")
    if found.changes:
        quantiles = ", ".join(f"{name} {value:.4g}" for name, value in data["ratio"].items())
        print(f"B over A{', at one clock' if found.same_clock else ''}: {quantiles}")
        print_table(
            ("signature", "A ms", "B ms", "ratio"),
            [(c.signature, c.first_ms, c.second_ms, c.ratio) for c in found.changes[:rows]],
            title="largest changes",
        )


@app.command("merge")
def merge(
    first: Path = typer.Argument(metavar="A", help="Path of a table."),
    second: Path = typer.Argument(metavar="B", help="Path of another of the same device, runtime and protocol."),
    output: Path = typer.Option(..., "--output", "-o", help="The table to write; may be A or B."),
    as_json: bool = JSON_OPTION,
) -> None:
    """One table with the rows of both, at one reference clock; the newer table's row wins."""
    from edgenas.latency.table.comparison import merge_tables
    from edgenas.latency.table.latency_table import LatencyTable

    tables = [LatencyTable.load(first), LatencyTable.load(second)]
    merged = merge_tables(*tables)
    merged.save(output)
    data = {
        "table": str(output),
        "rows": len(merged.rows),
        "common": sum(signature in tables[1].rows for signature in tables[0].rows),
        "anchor_ms": merged.anchor_ms,
    }
    if as_json:
        print_json(data)
        return
    print(f"{output}: {data['rows']} signatures, {data['common']} of them in both (the newer row is kept)")


@app.command("drift")
def drift(
    path: Path | None = PATH,
    device: str | None = typer.Option(None, "--device", help="Name of a device; by default the table's own."),
    precision: str = PRECISION,
    sample: int = typer.Option(30, "--sample", min=2, help="How many random blocks to measure again."),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of the sample."),
    threshold: float = typer.Option(0.05, "--threshold", min=0.0, help="How far off the typical block may be."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Measure a random sample of a table again. Exit code 0: it still holds; 1: it does not, or nobody can tell."""
    from edgenas.devices import get_device
    from edgenas.latency.check.drift import measure_drift

    where, table = _load(path, device or "local-cpu", precision)
    target = get_device(device or table.device)
    remark(f"measuring {min(sample, len(table.rows))} of {len(table.rows)} blocks of {where} again")
    found = measure_drift(table, target, sample=sample, seed=seed, threshold=threshold)
    if as_json:
        print_json({"table": str(where), **found.to_json()})
    else:
        print_table(
            ("signature", "table ms", "now ms", "ratio"),
            [(row.signature, row.table_ms, row.now_ms, row.ratio) for row in found.rows[:10]],
            title="largest differences",
        )
        for signature, error in found.failed.items():
            remark(f"without a latency: {signature}: {error}")
    if found.holds is None:
        raise WorkError(f"{where}: {found.describe()}. Give the same command again when less runs")
    if not found.holds:
        raise WorkError(f"{where}: {found.describe()}. Measure again with `edgenas profile --fresh`")
    remark(f"{where}: {found.describe()}")


def _load(path: Path | None, device: str, precision: str) -> tuple[Path, LatencyTable]:
    from edgenas.latency.table.latency_table import LatencyTable, default_table_path
    from edgenas.spaces.block import PRECISIONS

    if precision not in PRECISIONS:
        raise InputError(f"--precision: unknown precision {precision!r}: expected one of {', '.join(PRECISIONS)}")
    where = path or default_table_path(device, precision)
    return where, LatencyTable.load(where, device=None if path else device)
