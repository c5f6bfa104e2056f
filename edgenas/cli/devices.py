"""``edgenas devices``: where networks can be measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from edgenas.cli.output import JSON_OPTION, print_json, print_table

if TYPE_CHECKING:
    from devices.device import DeviceSpec

app = typer.Typer(help="List, show and check devices.", no_args_is_help=True)


@app.command("list")
def list_devices(as_json: bool = JSON_OPTION) -> None:
    """The devices that are known here: the catalog's and your own."""
    from devices.device import device_specs

    rows = [_facts(spec) for spec in device_specs()]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("device", "kind", "precisions", "description"),
        [(row["name"], row["kind"], " ".join(row["precisions"]), row["description"]) for row in rows],
    )


@app.command("show")
def show_device(
    device: str = typer.Argument(help="Name of a device."),
    as_json: bool = JSON_OPTION,
) -> None:
    """What is known of a device."""
    from devices.device import get_device

    facts = _facts(get_device(device).spec)
    if as_json:
        print_json(facts)
        return
    print_table(("key", "value"), [(key, _plain(value)) for key, value in facts.items()])


@app.command("check")
def check_device(
    device: str = typer.Argument("local-cpu", help="Name of a device."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Measures one small network, to see that the device can be reached and its runtime works."""
    from devices.device import get_device
    from export.flatbuffer import write_tflite
    from spaces.blocks import ConvBnAct
    from spaces.errors import WorkError
    from spaces.ops import format_shape

    target = get_device(device)
    problems = target.check()
    if problems:
        if as_json:
            print_json({"device": device, "ok": False, "problems": problems})
        raise WorkError(f"{device} does not work: " + "; ".join(problems))
    shape, block = (32, 32, 3), ConvBnAct(filters=16, stride=2)
    measurement = target.measure(write_tflite(block.lower(shape), target.precisions[0]))
    if as_json:
        print_json({"device": device, "ok": True, "problems": [], **measurement.to_json()})
        return
    provenance = measurement.provenance
    print(
        f"{device} works: a convolution on {format_shape(shape)} ({target.precisions[0]}) took a median of "
        f"{measurement.median * 1000:.1f} us ({provenance.kind}, {provenance.runtime} {provenance.runtime_version}, "
        f"{measurement.runs} runs)"
    )


def _facts(spec: DeviceSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "kind": spec.kind,
        "precisions": list(spec.precisions),
        "description": spec.description,
        "options": dict(spec.options),
        "file": spec.source,
    }


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
