"""``edgenas compare``: two model files side by side, or runs; what is given decides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgenas.cli.files import naming, read_model
from edgenas.cli.model_options import INPUT, INPUT_RANGE, SHAPE, SIGNATURE, ChosenModel, choose_model, options_of
from edgenas.cli.output import JSON_OPTION, print_json, print_table
from edgenas.export.figure import common_kind, origin
from edgenas.spaces.errors import InputError

if TYPE_CHECKING:
    from edgenas.compare.models import Fed
    from edgenas.export.tflite.entries import Entry


def add_to(app: typer.Typer) -> None:
    """Registers the verb."""
    app.command("compare")(compare)


def compare(
    paths: list[Path] = typer.Argument(
        metavar="A B ...",
        help="Two .tflite files, the first of which counts as right, such as the float one; or folders of runs.",
    ),
    device: str | None = typer.Option(None, "--device", help="Measure both on this device, in the same quiet rounds."),
    threads: int = typer.Option(1, "--threads", min=1, help="Threads of the runtime."),
    inputs: Path | None = typer.Option(
        None, "--inputs", help="A .npy file of float inputs, shape (N, ...); by default random ones."
    ),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of random inputs."),
    signature: str | None = SIGNATURE,
    shape: list[str] = SHAPE,
    input_range: list[str] = INPUT_RANGE,
    input_file: Path | None = INPUT,
    as_json: bool = JSON_OPTION,
) -> None:
    """Two models: operators, size, latency side by side, and layer by layer how far apart they answer.

    Runs, two or more: how their recipes differ, what they found, their fronts, and what they ship.
    """
    if all(path.is_dir() for path in paths):
        if len(paths) < 2:
            raise InputError(f"{paths[0]}: there is nothing to compare it with; give two runs or more")
        if device or inputs or signature or shape or input_range or input_file:
            raise InputError("--device, --inputs and the like are for models; runs are compared as they were measured")
        from edgenas.cli.compared_runs import print_runs

        print_runs(paths, as_json)
        return
    if len(paths) != 2 or any(path.is_dir() for path in paths):
        if missing := [path for path in paths if not path.exists()]:
            raise InputError(f"{missing[0]}: no such file or folder; give two .tflite files, or folders of runs")
        raise InputError(f"give two .tflite files, or folders of runs alone; found {', '.join(map(str, paths))}")
    first, second = paths
    from edgenas.compare.models import compare_models, read_inputs

    if inputs is not None and (input_file is not None or input_range):
        raise InputError("give values with --inputs, or with --input and --input-range")
    contents = [read_model(path) for path in (first, second)]
    entries = []
    for path, content in zip((first, second), contents, strict=True):
        with naming(path):
            entries.append(_entry(content, signature))
    chosen = []
    for path, content, entry in zip((first, second), contents, entries, strict=True):
        with naming(path):
            mine = [options_of(texts, entry, entries) for texts in (shape, input_range)]
            chosen.append(
                choose_model(
                    content, signature=signature, shapes=mine[0], ranges=mine[1], input_file=input_file, shared=entries
                )
            )
    data = compare_models(
        *(model.content for model in chosen),
        device=device,
        threads=threads,
        inputs=None if inputs is None else read_inputs(inputs),
        seed=seed,
        fed=_fed(chosen[0], input_range, input_file),
        runner_inputs=tuple(feed.to_runner() for model in chosen for feed in model.feeds),
    )
    labels = distinct_labels(first, second)
    for name, path, label, model in zip("ab", (first, second), labels, chosen, strict=True):
        data[name] = {"file": str(path), "label": label, **data[name], "model": model.to_json()}
    if as_json:
        print_json(data)
        return
    _print(data, *labels)
    for label, model in zip(labels, chosen, strict=True):
        for note in model.notes:
            print(f"{label}: {note}")


def distinct_labels(first: Path, second: Path) -> tuple[str, str]:
    """What two files are called: by name, and by as much of the path as tells them apart.

    >>> distinct_labels(Path("a/x/m.tflite"), Path("b/x/m.tflite"))
    ('a/x/m.tflite', 'b/x/m.tflite')
    """
    parts = [path.parts for path in (first, second)]
    for count in range(1, max(map(len, parts)) + 1):
        labels = [str(Path(*own[-count:])) for own in parts]
        if labels[0] != labels[1]:
            return labels[0], labels[1]
    return f"{first} (a)", f"{second} (b)"


def _entry(content: bytes, signature: str | None) -> Entry:
    from edgenas.export.tflite.entries import choose_entry, model_entries
    from edgenas.export.tflite.model_figures import model_figures

    model_figures(content)
    return choose_entry(model_entries(content), signature)


def _fed(model: ChosenModel, ranges: list[str], input_file: Path | None) -> Fed:
    """Ranges and values that were given for the first model's inputs, as real numbers."""
    import numpy as np

    from edgenas.export.input_values import read_input_file

    arrays = {} if input_file is None else read_input_file(input_file)
    named = {text.rpartition("=")[0] for text in ranges}
    fed: dict[int, Any] = {}
    for place, feed in enumerate(model.feeds):
        scale = feed.given.tensor.scale[0] if feed.given.tensor.scale else 1.0
        zero_point = feed.given.tensor.zero_point[0] if feed.given.tensor.zero_point else 0
        array = next((arrays[name] for name in feed.given.names if name in arrays), None)
        if array is not None:
            is_stored = feed.given.tensor.is_integer and not np.issubdtype(array.dtype, np.floating)
            fed[place] = (array.astype(np.float64) - zero_point) * scale if is_stored else array
        elif named & set(feed.given.names):
            fed[place] = ((feed.low - zero_point) * scale, (feed.high - zero_point) * scale)
    return fed


def _print(data: dict[str, Any], first: str, second: str) -> None:
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
        cells = [latency[name].get("quiet_ms") or f"none: {latency[name]['error']}" for name in ("a", "b")]
        rows.append((f"quiet latency, {origin(_kind(latency), latency['device'])} (ms)", *cells))
    print_table(("", first, second), rows)
    if latency is not None and latency["ratio"] is not None:
        spread = max(latency[name]["spread"] for name in ("a", "b"))
        print(
            f"latency: {second} takes {latency['ratio']:.3f} times as long as {first} "
            f"({_kind(latency)} in the same rounds, {latency['threads']} thread(s); quartiles of the visits "
            f"within {spread:.1%})"
        )
    if data["not_compared"]:
        print(f"answers not compared: {data['not_compared']}")
    else:
        print_layers(data["layers"], data["outputs"])


def _kind(latency: dict[str, Any]) -> str:
    """How the latencies of a comparison are known."""
    return common_kind(latency[name]["kind"] for name in ("a", "b") if "kind" in latency[name])


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
