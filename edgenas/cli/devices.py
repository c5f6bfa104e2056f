"""``edgenas devices``: where networks can be measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgenas.cli.output import JSON_OPTION, print_json, print_table, remark

if TYPE_CHECKING:
    from edgenas.devices import Device, Measurement
    from edgenas.devices.device import DeviceSpec

app = typer.Typer(help="List, show, check, add and remove devices.", no_args_is_help=True)
_WATTS_SOURCES = {"idle_watts": "given by the user", "active_watts": "given by the user"}
#: What `devices check` measures.
_SHAPE = (32, 32, 3)
_PROGRAMS = {
    "ssh": "boards: apt-get install openssh-client, then `edgenas devices add NAME --ssh USER@HOST`",
    "adb": "phones: apt-get install adb, then `edgenas devices add NAME --adb SERIAL --benchmark-model FILE`",
}


@app.command("list")
def list_devices(as_json: bool = JSON_OPTION) -> None:
    """The devices that are known here: the catalog's and your own."""
    from edgenas.devices.device import device_specs

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
    from edgenas.devices.device import get_device

    facts = _facts(get_device(device).spec)
    if as_json:
        print_json(facts)
        return
    print_table(("key", "value"), [(key, _plain(value)) for key, value in facts.items()])


@app.command("check")
def check_device(
    device: str | None = typer.Argument(None, help="Name of a device; without: all of them, and what to install."),
    as_json: bool = JSON_OPTION,
) -> None:
    """See that a device can be reached and its runtime works, by measuring one small network on it."""
    from edgenas.devices.device import get_device

    if device is None:
        _check_all(as_json)
        return
    target = get_device(device)
    measurement = _try(target, as_json=as_json)
    energy = _energy(target)
    if as_json:
        print_json({"device": device, "ok": True, "problems": [], "meter": energy, **measurement.to_json()})
        return
    print(_verdict(device, measurement))
    print(_energy_verdict(energy, measurement))


@app.command("add")
def add_device(
    name: str = typer.Argument(help="How you are going to call it."),
    ssh: list[str] = typer.Option(
        [], "--ssh", metavar="USER@HOST", help="A board behind ssh. Several times: boards of one kind share the work."
    ),
    python: str = typer.Option(
        "python3", "--python", help="The board's Python that has NumPy and ai-edge-litert, such as ~/venv/bin/python."
    ),
    port: int | None = typer.Option(None, "--port", min=1, max=65535, help="Port of the board's ssh server."),
    ssh_config: Path | None = typer.Option(None, "--ssh-config", help="Instead of your own ssh configuration."),
    local: bool = typer.Option(False, "--local", help="This machine, as a device with watts or a meter of your own."),
    adb: str | None = typer.Option(None, "--adb", metavar="SERIAL", help="An Android phone, from `adb devices`."),
    benchmark_model: Path | None = typer.Option(
        None, "--benchmark-model", help="The runtime's benchmark_model for the phone, on this computer."
    ),
    idle_watts: float | None = typer.Option(None, "--idle-watts", min=0, help="What it draws when idle, in watts."),
    active_watts: float | None = typer.Option(
        None, "--active-watts", min=0, help="What it draws while it runs a network; models energy without a meter."
    ),
    power_command: str | None = typer.Option(
        None, "--power-command", help="A command, run on the device, that prints the watts of a meter line by line."
    ),
    description: str = typer.Option("", "--description", help="A few words for lists."),
    no_check: bool = typer.Option(False, "--no-check", help="Do not try it first."),
) -> None:
    """Add a board, a phone or this machine as a device of your own, after measuring one small network on it."""
    from edgenas.devices import Power
    from edgenas.devices.device import DeviceSpec, device_from_spec
    from edgenas.devices.own import check_new_name, save_device
    from edgenas.spaces.errors import InputError

    if bool(ssh) + bool(adb) + local != 1:
        raise InputError("name boards with --ssh USER@HOST, a phone with --adb SERIAL, or this machine with --local")
    if (idle_watts is None) != (active_watts is None):
        raise InputError("--idle-watts and --active-watts must be given together")
    power = Power(idle_watts, active_watts, command=power_command, sources=_WATTS_SOURCES if active_watts else {})
    options: dict[str, Any]
    if ssh:
        options = {"host": ssh[0]} if len(ssh) == 1 else {"hosts": ssh}
        options["python"] = python
        if port is not None:
            options["port"] = port
        if ssh_config is not None:
            options["ssh_config"] = str(ssh_config.resolve())
        description = description or f"{', '.join(ssh)}, over SSH"
    elif local:
        options = {} if python == "python3" else {"python": str(Path(python).expanduser())}
        description = description or "This machine's CPU, with watts or a meter of its own"
    else:
        options = {"serial": adb}
        if benchmark_model is not None:
            options["benchmark_model"] = str(benchmark_model.resolve())
        description = description or f"Android phone {adb}, over adb (this kind is untested on hardware)"
    path = check_new_name(name)
    kind = "ssh" if ssh else "local" if local else "adb"
    spec = DeviceSpec(name, kind, description, options=options, source=f"device {name}", power=power)
    target = device_from_spec(spec)
    if not no_check:
        measurement = _try(target)
        print(_verdict(name, measurement))
        print(_energy_verdict(_energy(target), measurement))
    save_device(spec)
    print(f"{path} describes it; measure with it by --device {name}")


@app.command("calibrate")
def calibrate_device(
    name: str = typer.Argument(help="Name of a simulated or modelled device."),
    measured: Path = typer.Option(
        ..., "--measured", metavar="FILE.csv", help="Columns model (a .tflite file, from the CSV's folder), latency_ms."
    ),
    as_json: bool = JSON_OPTION,
) -> None:
    """Fit one factor between a device's estimates and a board of your own; later estimates are multiplied with it.

    The device with its factor is kept in the EdgeNAS home. `edgenas devices remove NAME` forgets the factor.
    """
    from edgenas.devices.calibrating import calibrate, read_measured, save_calibrated
    from edgenas.devices.device import get_device

    device = get_device(name)
    found = calibrate(device, read_measured(measured), measured.resolve().parent, measured.name)
    path = save_calibrated(device.spec, found.factor)
    if as_json:
        print_json({"device": name, "file": str(path), **found.to_json()})
        return
    print_table(
        ("model", "estimated ms", "measured ms", "ratio"),
        [(one.model, one.estimated_ms, one.measured_ms, round(one.ratio, 3)) for one in found.networks],
    )
    print(f"{name}: {found.factor.describe()}")
    error = found.to_json()["error"]
    if error["mape"] is not None:
        print(f"error of a network left out: mean {error['mape']:.1%}, largest {error['max']:.1%}")
    else:
        remark("one network tells no error: measure four or more of different kinds")
    print(f"{path} keeps it; tables made before do not hold any more: run `edgenas profile` again")


@app.command("remove")
def remove_device(name: str = typer.Argument(help="Name of a device of your own.")) -> None:
    """Forget a device of your own. Its latency tables stay."""
    from edgenas.devices.own import remove_device as remove

    print(f"removed {remove(name)}")


def _try(target: Device, *, as_json: bool = False) -> Measurement:
    """Measures a small network. Raises WorkError with all that is wrong."""
    from edgenas.export.tflite.flatbuffer import write_tflite
    from edgenas.spaces.blocks import ConvBnAct
    from edgenas.spaces.errors import WorkError

    problems = target.check()
    if problems:
        if as_json:
            print_json({"device": target.name, "ok": False, "problems": problems})
        raise WorkError(f"{target.name} does not work: " + "; ".join(problems))
    return target.measure(write_tflite(ConvBnAct(filters=16, stride=2).lower(_SHAPE), target.precisions[0]))


def _verdict(device: str, measurement: Measurement) -> str:
    from edgenas.spaces.ops import format_shape

    provenance = measurement.provenance
    return (
        f"{device} works: a convolution on {format_shape(_SHAPE)} took a median of "
        f"{measurement.median * 1000:.1f} us ({provenance.kind}, {provenance.runtime} {provenance.runtime_version}, "
        f"{measurement.runs} runs)"
    )


def _energy(target: Device) -> dict[str, Any]:
    """How energy is known on a device: ``{"name", "words", "watts"}``."""
    found = target.meter()
    return {"name": found.name, "words": found.words, "watts": target.spec.power.describe()}


def _energy_verdict(meter: dict[str, Any], measurement: Measurement) -> str:
    """What is known of the device's energy, or what to do."""
    energy = measurement.energy
    if meter["name"]:
        told = f": {energy.describe()}" if energy else f", but it failed: {measurement.energy_problem}"
        return f"energy: measured with {meter['name']}{told}"
    if energy is not None:
        return f"energy: {energy.kind} from {meter['watts']}; no meter: {meter['words']}"
    return (
        f"energy: not known. {meter['words']}. Or say what the device draws (power: idle_watts, active_watts in its "
        "file, or `edgenas devices add NAME --local|--ssh ... --idle-watts W --active-watts W`)"
    )


def _check_all(as_json: bool) -> None:
    """What works here, and what to do about the rest."""
    import shutil

    from edgenas.devices.device import device_names, get_device
    from edgenas.spaces.errors import EdgeNASError

    problems: dict[str, list[str]] = {}
    for name in device_names():
        try:
            problems[name] = get_device(name).check()
        except EdgeNASError as error:
            problems[name] = [str(error)]
    programs = {program: shutil.which(program) for program in _PROGRAMS}
    if as_json:
        rows = [{"device": name, "ok": not wrong, "problems": wrong} for name, wrong in problems.items()]
        print_json({"devices": rows, "programs": programs})
        return
    print_table(
        ("device", "works", "what to do"),
        [(name, "no" if wrong else "yes", "\n".join(wrong)) for name, wrong in problems.items()],
    )
    for program, path in programs.items():
        remark(f"{program}: {path or 'not installed'} ({_PROGRAMS[program]})")


def _facts(spec: DeviceSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "kind": spec.kind,
        "precisions": list(spec.precisions),
        "description": spec.description,
        "options": dict(spec.options),
        "power": spec.power.to_yaml(),
        **({"calibration": factor} if (factor := spec.calibration.to_yaml()) else {}),
        "file": spec.source,
    }


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
