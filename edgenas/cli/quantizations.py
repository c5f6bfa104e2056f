"""``edgenas export RUN --compare`` and ``--layers``: what quantization costs a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgenas.cli.compare import print_layers
from edgenas.cli.output import print_json, print_table, remark
from edgenas.spaces.errors import InputError


def print_comparison(
    folder: Path, trial: int | None, names: tuple[str, ...], data_dir: Path | None, as_json: bool
) -> None:
    """Prints one row per quantization."""
    from edgenas.compare.quantizations import compare_quantizations
    from edgenas.export.figure import common_kind
    from edgenas.export.quantization.sqnr import HIGHEST_DB, short_name
    from edgenas.report.text import metric_title

    data = compare_quantizations(folder, trial, names, data_dir=data_dir)
    if as_json:
        print_json(data)
        return
    metric = data["metric"]
    failed = [row for row in data["rows"] if "error" in row]
    rows = []
    for row in (row for row in data["rows"] if "error" not in row):
        latency, worst = row["latency"], row["worst_layer"]
        exact = worst is None or worst["sqnr_db"] >= HIGHEST_DB
        rows.append(
            (
                row["quantization"],
                round(100 * row[metric], 2),
                round(100 * row["difference"], 2),
                row["size_bytes"],
                latency.get("quiet_ms"),
                row["times_float32"],
                None if row["sqnr_db"] is None or row["sqnr_db"] >= HIGHEST_DB else row["sqnr_db"],
                "-" if exact else f"{short_name(worst['tensor'])} {worst['sqnr_db']:.1f} dB",
            )
        )
    kind = common_kind(row["latency"]["kind"] for row in data["rows"] if "kind" in row.get("latency", {}))
    header = (
        "quantization",
        f"{metric_title(metric)} %",
        "to float",
        "bytes",
        f"quiet ms ({kind})",
        "x float32",
        "output dB",
        "worst layer",
    )
    print_table(header, rows, title=f"trial {data['trial']} on {data['device']}")
    for device in data.get("devices", ())[1:]:
        _print_device(data, device)
    print(
        f"float model: {100 * data[f'{metric}_float']:.2f} % of {data['test_images']:,} test examples; files through "
        "the interpreter on the same examples, latencies side by side in the same quiet rounds"
    )
    for row in data["rows"]:
        if "error" in row.get("latency", {}):
            remark(f"{row['quantization']} has no latency: {row['latency']['error']}")
    for row in failed:
        remark(f"{row['quantization']} failed: {row['error']}")


def _print_device(data: dict[str, Any], device: str) -> None:
    """The latencies on one of several devices, after the first."""
    from edgenas.export.figure import common_kind

    rows = [(row["quantization"], row["devices"][device]) for row in data["rows"] if device in row.get("devices", {})]
    kind = common_kind(found["latency"]["kind"] for _, found in rows if "kind" in found["latency"])
    print_table(
        ("quantization", f"quiet ms ({kind})", "x float32"),
        [(name, found["latency"].get("quiet_ms"), found["times_float32"]) for name, found in rows],
        title=f"the same on {device}",
    )
    for name, found in rows:
        if "error" in found["latency"]:
            remark(f"{name} has no latency on {device}: {found['latency']['error']}")


def print_layer_report(
    folder: Path, trial: int | None, names: tuple[str, ...], data_dir: Path | None, as_json: bool
) -> None:
    """Prints the layer-by-layer report of one quantization."""
    from edgenas.compare.quantizations import layer_report

    if len(names) > 1:
        raise InputError(f"--layers takes one of --quantizations, found {', '.join(names)}")
    data = layer_report(folder, trial, names[0] if names else None, data_dir=data_dir)
    if as_json:
        print_json(data)
        return
    print(f"trial {data['trial']}: float32 against {data['quantization']}, on test examples")
    print_layers(data, data["outputs"])
