"""``edgenas predict``: what any model file would take on a device, without running it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgenas.cli.files import naming, read_model
from edgenas.cli.model_options import SHAPE, SIGNATURE, choose_model, print_notes, refuse_open
from edgenas.cli.output import JSON_OPTION, print_json, remark
from edgenas.cli.predict_space import predict_architectures
from edgenas.cli.space_options import CLASSES, INPUT_SHAPE, load_space, options_as_written
from edgenas.export.figure import KINDS, predicted_figure
from edgenas.spaces.errors import InputError

if TYPE_CHECKING:
    from edgenas.devices import Device
    from edgenas.latency.table.latency_table import LatencyTable

_NO_ERROR = "how wrong the device's model is on real hardware is not stored with the device"
STRICT = typer.Option(False, "--strict", help="Refuse what is not made of measured blocks, instead of interpolating.")


def add_to(app: typer.Typer) -> None:
    """Registers the verb."""
    app.command("predict")(predict)


def predict(
    model: Path | None = typer.Argument(None, metavar="MODEL.tflite", help="The model file: yours or anybody's."),
    device: str = typer.Option("local-cpu", "--device", help="Name of a device."),
    table: Path | None = typer.Option(None, "--table", help="Path of the table; by default the device's own."),
    strict: bool = STRICT,
    signature: str | None = SIGNATURE,
    shape: list[str] = SHAPE,
    space: str | None = typer.Option(None, "--space", help="Instead of a file: the space that --architectures are of."),
    architectures: Path | None = typer.Option(
        None, "--architectures", metavar="FILE.txt", help="Architectures of --space, one a line."
    ),
    input_shape: str | None = INPUT_SHAPE,
    classes: int | None = CLASSES,
    precision: str = typer.Option("int8", "--precision", help="With --space: float32, float16 or int8."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Predict the latency of a .tflite file from a device's table, with the error stated. Nothing is run.

    Operators that form blocks of the table cost what was measured; the rest is interpolated, or refused with --strict.
    A simulated device is asked directly. With --space and --architectures, each architecture is predicted instead.
    """
    if space is not None or architectures is not None:
        if space is None or architectures is None or model is not None:
            raise InputError("give a model file, or --space SPACE together with --architectures FILE.txt")
        loaded = load_space(space, input_shape, classes)
        try:
            predict_architectures(loaded, architectures, device, precision, table, as_json)
        except InputError as error:
            if "edgenas profile" not in str(error):
                raise
            options = options_as_written(input_shape, classes)
            raise InputError(f"{error}. Here: edgenas profile --space {space}{options} --device {device}") from None
        return
    if model is None:
        raise InputError("give a model file, or --space SPACE together with --architectures FILE.txt")
    if input_shape is not None or classes is not None:
        raise InputError(
            "--input-shape and --classes go with --space; open sides of a model's input are given as "
            "--shape NAME=1,96,96,3"
        )
    from edgenas.devices import get_device
    from edgenas.export.tflite.reader import read_operators
    from edgenas.latency.costing.devices import costing_of
    from edgenas.latency.predict.model_prediction import model_precision

    target = get_device(device)
    content = read_model(model)
    with naming(model):
        chosen = choose_model(content, signature=signature, shapes=shape, keep_open=target.needs_known_shapes)
        content = chosen.content
        if chosen.is_open:
            refuse_open(content)
        precision = model_precision(read_operators(content))
    path = costing_of(target).table_path(table, precision)
    found = None if path is None else _table(target, path)
    with naming(model):
        data = _ask(content, target) if found is None else _predict(content, found, strict)
    data |= {"model": chosen.to_json()}
    if as_json:
        print_json(data)
        return
    _print(data, device)
    print_notes(chosen, is_run=False)


def _table(device: Device, path: Path) -> LatencyTable:
    from edgenas.latency.table.checks import warn_about
    from edgenas.latency.table.latency_table import LatencyTable

    table = LatencyTable.load(path, device=device.name)
    for warning in warn_about(table, device, str(path)):
        remark(f"warning: {warning}")
    return table


def _predict(content: bytes, table: LatencyTable, strict: bool) -> dict[str, Any]:
    from edgenas.latency.predict.model_prediction import predict_model
    from edgenas.latency.predict.predictor import Predictor

    found = predict_model(content, table, strict=strict)
    return found.to_json() | {"summary": Predictor(table.for_blocks(found.blocks)).describe_error()}


def _ask(content: bytes, device: Device) -> dict[str, Any]:
    """The device's own model of the whole file: there is no table between, so its error is not one of a table."""
    from edgenas.devices import Measurement, MeasurementError

    outcome = device.measure_many({"model": content})["model"]
    if isinstance(outcome, MeasurementError):
        raise InputError(f"{device.name!r} cannot run it: {outcome}")
    assert isinstance(outcome, Measurement)
    return {
        "latency_ms": outcome.min,
        "energy_mj": outcome.energy_mj,
        "energy_provenance": None if outcome.energy is None else outcome.energy.to_json() | {"statistic": "simulated"},
        "provenance": outcome.provenance.to_json(),
        "statistic": outcome.provenance.kind,
        "error": {"mape": None, "networks": 0, "reason": _NO_ERROR, "reasons": [_NO_ERROR]},
        "measured_share": 0.0,
        "interpolated_share": 0.0,
        "extrapolated_share": 0.0,
        "unknown_share": 0.0,
        "blocks": [],
        "warnings": [f"{device.spec.description}; {_NO_ERROR}"],
        "summary": f"{outcome.provenance.runtime}: {outcome.provenance.protocol}",
    }


def _print(data: dict[str, Any], device: str) -> None:
    origin = data["provenance"] | {"statistic": data["statistic"]}
    energy = ""
    if data["energy_mj"] is not None:
        energy = f", {predicted_figure(data['energy_mj'], 'mJ', data['energy_provenance'] or origin)}"
    print(f"{predicted_figure(data['latency_ms'], 'ms', origin)}{energy} on {device}")
    blocks = "simulated" if data["provenance"]["kind"] == "simulated" else "measured"
    error = data["error"]
    if data["statistic"] not in KINDS or error["networks"]:
        mape = "unknown" if error["mape"] is None else f"{error['mape']:.1%}"
        print(
            f"mean error: {mape}; {data['measured_share']:.1%} of the latency from {len(data['blocks'])} {blocks} "
            f"blocks, {data['interpolated_share']:.1%} interpolated ({data['extrapolated_share']:.1%} outside of what "
            f"was {blocks}), {data['unknown_share']:.1%} of unknown operators"
        )
        for reason in error.get("reasons", ()):
            print(f"the error is not known: {reason}")
    print(data["summary"])
    for warning in data["warnings"]:
        remark(f"warning: {warning}")
