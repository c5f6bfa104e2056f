"""``edgenas describe``, ``build``, ``benchmark`` and ``bundle``: single networks and model files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from edgenas.cli.files import naming, read_model
from edgenas.cli.model_options import INPUT, INPUT_RANGE, SHAPE, SIGNATURE, choose_model, print_notes
from edgenas.cli.output import JSON_OPTION, memory_words, print_json, print_table, remark
from edgenas.cli.space_options import CLASSES, INPUT_SHAPE, resolve
from edgenas.export.figure import predicted_figure
from edgenas.spaces.errors import InputError, WorkError

ARCH_HELP = "A reference network's name, SPACE:ARCHITECTURE, or the path of an architecture.yaml."
bundle_app = typer.Typer(help="Check shipped bundles.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Registers the verbs of this file."""
    app.command("describe")(describe)
    app.command("build")(build)
    app.command("benchmark")(benchmark)


def describe(
    arch: str | None = typer.Argument(None, metavar="ARCH", help=ARCH_HELP),
    input_shape: str | None = INPUT_SHAPE,
    classes: int | None = CLASSES,
    device: str | None = typer.Option(None, "--device", help="Predict with the table of this device."),
    precision: str = typer.Option("int8", "--precision", help="float32, float16 or int8."),
    strict: bool = typer.Option(False, "--strict", help="Refuse blocks that were not measured, never interpolate."),
    references: bool = typer.Option(False, "--references", help="The reference networks beside published figures."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Shapes, multiply-accumulates, parameters, predicted latency and energy of a network, node by node."""
    if references:
        from edgenas.cli.references import describe_references

        describe_references(as_json)
        return
    if arch is None:
        raise InputError("describe needs an ARCH (see edgenas describe --help) or --references")
    from edgenas.description import describe_network

    data = describe_network(resolve(arch, input_shape, classes), device=device, precision=precision, strict=strict)
    if as_json:
        print_json(data)
        return
    from edgenas.spaces.ops import format_shape

    print_table(
        ("node", "block", "input", "output", "MACs", "parameters", "ms", "mJ"),
        [
            (
                node["name"],
                node["block"],
                format_shape(tuple(node["input_shape"])),
                format_shape(tuple(node["output_shape"])),
                node["macs"],
                node["params"],
                node["latency_ms"],
                node["energy_mj"],
            )
            for node in data["nodes"]
        ],
        title=data["name"],
    )
    print(
        f"{data['macs']:,} MACs, {data['params']:,} parameters (trainable: weights, biases, batch-norm scales and "
        f"shifts), {data['peak_activation_bytes']:,} bytes of activations at the peak ({precision})"
    )
    grouped = sum(node["group_convolution"] is not None for node in data["nodes"])
    if grouped:
        how = next(node["group_convolution"] for node in data["nodes"] if node["group_convolution"] is not None)
        written = "one operator each" if how == "native" else "SPLIT, one CONV_2D a group, CONCATENATION"
        print(f"{grouped} blocks with group convolutions, written as {how}: {written}")
    if data["latency_ms"] is not None:
        provenance = data["provenance"]
        print(f"{predicted_figure(data['latency_ms'], 'ms', provenance)} on {device}: {provenance['summary']}")
    if memory := data.get("memory"):
        print(f"memory on {device}: {memory_words(memory)}")
    if data["energy_mj"] is not None:
        origin = data["energy_provenance"] | {"statistic": "above idle"}
        print(f"{predicted_figure(data['energy_mj'], 'mJ', origin)}: {origin['summary']}")


def build(
    arch: str = typer.Argument(metavar="ARCH", help=ARCH_HELP),
    output: Path = typer.Option(..., "--output", "-o", help="The .tflite file to write."),
    input_shape: str | None = INPUT_SHAPE,
    classes: int | None = CLASSES,
    quantization: str = typer.Option("int8", "--quantization", help="float32, float16, dynamic, int8 or int16x8."),
    seed: int = typer.Option(0, "--seed", min=0, help="Seed of the random weights."),
    device: str | None = typer.Option(None, "--device", help="Write group convolutions as this device takes them."),
    split_groups: bool = typer.Option(
        False, "--split-groups", help="Group convolutions as SPLIT, CONV_2D and CONCATENATION, as Edge TPUs take them."
    ),
) -> None:
    """Write a network with random weights, to measure its cost before anybody trains it."""
    from edgenas.export.files import write_atomically
    from edgenas.export.quantization.untrained import untrained_model

    network = resolve(arch, input_shape, classes).network
    if device is not None:
        from edgenas.devices import get_device

        split_groups = split_groups or get_device(device).group_convolution == "split"
    model = untrained_model(network, quantization, seed=seed)
    if split_groups:
        from edgenas.export.tflite.group_split import split_group_convolutions

        model = split_group_convolutions(model)
    write_atomically(output, model)
    sizes = ", ".join(str(spec) for _, spec in network.inputs)
    remark(f"{output}: {network.name} on {sizes}, {quantization}, untrained, {len(model):,} bytes")


def benchmark(
    model: Path = typer.Argument(metavar="MODEL.tflite", help="The model file to measure."),
    device: str = typer.Option("local-cpu", "--device", help="Name of a device."),
    threads: int = typer.Option(1, "--threads", min=1, help="Threads of the runtime."),
    signature: str | None = SIGNATURE,
    shape: list[str] = SHAPE,
    input_range: list[str] = INPUT_RANGE,
    input_file: Path | None = INPUT,
    as_json: bool = JSON_OPTION,
) -> None:
    """Measure any .tflite file on a device: latency, and energy where it has a meter or its watts are known."""
    from edgenas.devices.device import DeviceLostError, MeasurementError, MeasureSettings, get_device
    from edgenas.export.figure import origin

    content = read_model(model)
    target = get_device(device)
    with naming(model):
        chosen = choose_model(
            content,
            signature=signature,
            shapes=shape,
            ranges=input_range,
            input_file=input_file,
            keep_open=target.needs_known_shapes,
        )
    fed = tuple(feed.to_runner() for feed in chosen.feeds)
    settings = MeasureSettings(threads=threads, energy=True, inputs=fed)
    try:
        measurement = target.measure(chosen.content, threads=threads, settings=settings)
    except MeasurementError as error:
        if isinstance(error, DeviceLostError) or target.check():
            raise
        # The device works, so it is the model: damaged, of a type that it does not take, or hostile.
        raise InputError(f"{model}: {error}") from None
    data = measurement.to_json() | {"model": chosen.to_json()}
    if as_json:
        print_json(data)
        return
    latency = data["latency_ms"]
    print_table(
        ("statistic", f"ms ({measurement.provenance.kind})"),
        [(name, value) for name, value in latency.items() if name != "runs"],
        title=str(model),
    )
    if measurement.memory:
        print(f"memory: {memory_words(measurement.memory)}")
    if measurement.energy is not None:
        print(f"energy of one inference: {measurement.energy.describe()}")
    elif measurement.energy_problem:
        remark(f"energy is not known: {measurement.energy_problem}")
    provenance = measurement.provenance
    print_notes(chosen, is_run=provenance.was_run)
    if not provenance.was_run:
        print(
            f"{origin(provenance.kind, device)} ({provenance.runtime} {provenance.runtime_version}): "
            f"{provenance.protocol}"
        )
        return
    print(
        f"{origin(provenance.kind, device)}: {latency['runs']} runs after {provenance.warmup_runs} warm-up runs, "
        f"{provenance.threads} thread(s), {provenance.runtime} {provenance.runtime_version}, {provenance.cpu_model}"
    )


@bundle_app.callback()
def _bundle_root() -> None:
    """Check shipped bundles."""


@bundle_app.command("verify")
def verify(
    folder: Path = typer.Argument(metavar="DIR", help="The bundle's folder."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Checks that a bundle is complete, unchanged and loadable. Exit code 1 when it is not."""
    from edgenas.export.bundle.bundle import verify_bundle

    problems = verify_bundle(folder)
    report: dict[str, Any] = {"ok": not problems, "problems": problems}
    if as_json:
        print_json(report)
    elif not problems:
        print(f"{folder}: complete and unchanged")
    if problems:
        hint = ""
        if not (folder / "metrics.json").exists() and (inside := sorted(folder.glob("*/metrics.json"))):
            hint = f"; name a bundle in it, such as {inside[0].parent}"
        raise WorkError(f"{folder} is not a good bundle: " + "; ".join(problems) + hint)
