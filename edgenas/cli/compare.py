"""``edgenas compare``: two model files side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from edgenas.cli.output import JSON_OPTION, print_json, print_table


def add_to(app: typer.Typer) -> None:
    """Registers the verb."""
    app.command("compare")(compare)


def compare(
    first: Path = typer.Argument(metavar="A.tflite", help="The model that counts as right, such as the float one."),
    second: Path = typer.Argument(metavar="B.tflite", help="The other one, such as the int8 one."),
    device: str | None = typer.Option(None, "--device", help="Measure both on this device, in the same quiet rounds."),
    threads: int = typer.Option(1, "--threads", min=1, help="Threads of the runtime."),
    inputs: Path | None = typer.Option(
        None, "--inputs", help="A .npy file of float inputs, shape (N, ...); by default random ones."
    ),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of random inputs."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Operators, size, parameters, latency side by side, and layer by layer how far two models are apart."""
    from edgenas.cli.files import naming, read_model
    from edgenas.compare.models import compare_models, read_inputs

    contents = [read_model(path) for path in (first, second)]
    for path, content in zip((first, second), contents, strict=True):
        with naming(path):
            _check(content)
    values = None if inputs is None else read_inputs(inputs)
    data = compare_models(*contents, device=device, threads=threads, inputs=values, seed=seed)
    if as_json:
        print_json(data)
        return
    _print(data, first, second)


def _check(content: bytes) -> None:
    from edgenas.export.tflite.model_figures import model_figures

    model_figures(content)


def _print(data: dict[str, Any], first: Path, second: Path) -> None:
    a, b = data["a"], data["b"]
    rows: list[tuple[object, ...]] = [
        ("size (bytes)", a["size_bytes"], b["size_bytes"]),
        ("parameters", a["params"], b["params"]),
        ("integers only", a["integer"], b["integer"]),
        ("operators", a["operator_count"], b["operator_count"]),
    ]
    for name in sorted(a["operators"] | b["operators"]):
        rows.append((f"  {name}", a["operators"].get(name, 0), b["operators"].get(name, 0)))
    latency = data["latency"]
    if latency is not None:
        cells = [latency[name].get("quiet_ms") or f"not measured: {latency[name]['error']}" for name in ("a", "b")]
        rows.append((f"quiet latency on {latency['device']} (ms)", *cells))
    print_table(("", first.name, second.name), rows)
    if latency is not None and latency["ratio"] is not None:
        spread = max(latency[name]["spread"] for name in ("a", "b"))
        print(
            f"latency: {second.name} takes {latency['ratio']:.3f} times as long as {first.name} "
            f"({latency['a']['kind']} in the same rounds, {latency['threads']} thread(s); quartiles of the visits "
            f"within {spread:.1%})"
        )
    if data["not_compared"]:
        print(f"answers not compared: {data['not_compared']}")
    else:
        print_layers(data["layers"], data["outputs"])


def print_layers(layers: dict[str, Any], outputs: dict[str, float] | None) -> None:
    """The layer-by-layer report: a table, then what it means."""
    from edgenas.export.quantization.sqnr import HIGHEST_DB, short_name

    def ratio(value: float | None) -> object:
        return "equal" if value is not None and value >= HIGHEST_DB else value

    if layers["layers"]:
        print_table(
            ("", "operator", "layer", "SQNR dB", "drop dB", "grid dB", "clipped %", "largest error", "signal RMS"),
            [
                (
                    layer["index"],
                    layer["operator"],
                    short_name(layer["tensor"]),
                    ratio(layer["sqnr_db"]),
                    layer["drop_db"],
                    ratio(layer["grid_db"]),
                    100 * layer["clipped"],
                    layer["max_error"],
                    layer["rms"],
                )
                for layer in layers["layers"]
            ],
        )
        print(
            "SQNR: signal over error (20 dB: an error of a tenth). drop: what the layer loses against what it reads. "
            "grid: what rounding to the tensor's own steps would leave."
        )
    if outputs is None:
        print("the outputs have different shapes")
    else:
        print(
            f"outputs on {layers['inputs']} inputs: largest difference {outputs['max_abs_difference']:.4g}, SQNR "
            f"{outputs['sqnr_db']:.1f} dB, same top class {outputs['same_top1']:.1%}"
        )
    print(layers["meaning"])
