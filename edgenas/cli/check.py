"""``edgenas check``: what a target would take of a model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgenas.cli.files import naming, read_model
from edgenas.cli.model_options import SHAPE, SIGNATURE, choose_model, print_notes
from edgenas.cli.output import JSON_OPTION, memory_words, print_json, print_table

if TYPE_CHECKING:
    from edgenas.export.compilers.edgetpu.check import EdgeTpuReport
    from edgenas.export.targets.report import TargetReport


def add_to(app: typer.Typer) -> None:
    """Registers the verb."""
    app.command("check")(check)


def check(
    model: Path | None = typer.Argument(None, metavar="MODEL.tflite", help="The model file, compiled or not."),
    target: str | None = typer.Option(
        None,
        "--target",
        help="coral (the default), tflm, cpu, stm32mp2, or the name of a device such as ethos-u55-128.",
    ),
    space: str | None = typer.Option(
        None, "--space", help="Instead of a model: random int8 networks of this space, at each --input-shape."
    ),
    input_shape: list[str] = typer.Option(
        [], "--input-shape", metavar="HxWxC", help="With --space: a size of the input; once for each size."
    ),
    networks: int = typer.Option(5, "--networks", min=1, help="With --space: how many networks of each size."),
    seed: int = typer.Option(0, "--seed", min=0, help="With --space: of the networks."),
    compile_it: bool = typer.Option(True, "--compile/--no-compile", help="Ask edgetpu_compiler too, if installed."),
    signature: str | None = SIGNATURE,
    shape: list[str] = SHAPE,
    as_json: bool = JSON_OPTION,
) -> None:
    """Which operators a target would take, which fall to the CPU, why, and what to change.

    For an Edge TPU a prediction from the maker's rules: no compiler and no device is needed. Where edgetpu_compiler is
    on the PATH, it is run as well, and what it says stands beside the prediction. For an Ethos-U, Arm's own compiler
    answers, for microcontrollers (tflm) their own interpreter.
    """
    from edgenas.export.compilers.edgetpu.check import check_edgetpu
    from edgenas.export.targets.report import compiled_for
    from edgenas.spaces.errors import InputError

    if space is not None:
        from edgenas.cli.check_space import print_coverage

        if model is not None:
            raise InputError(f"--space takes networks of a space; leave {model} out")
        print_coverage(check_target, space, target or "coral", input_shape, networks, seed, as_json)
        return
    if model is None:
        raise InputError("expected a model: edgenas check MODEL.tflite, or networks of a space: --space NAME")
    if input_shape:
        raise InputError("--input-shape belongs to --space; --shape NAME=AxB closes open sides of a model")
    content = read_model(model)
    with naming(model):
        chosen = choose_model(content, signature=signature, shapes=shape, is_fed=False, keep_open=True)
        content = chosen.content
        report = check_edgetpu(content)
    is_coral = target in (None, "coral")
    compiled = compiled_for(content)
    said = None if report.compiled or not compile_it or not is_coral else _ask_compiler(content)
    is_of_another = compiled is not None and not report.compiled
    if target is not None or is_of_another:
        ask = checker_of(target or "coral")
        with naming(model):
            found = ask(content, target or "coral")
        if as_json:
            plain = report.to_json() if target is None else {}
            print_json(plain | found.to_json() | {"compiler": said, "model": chosen.to_json()})
        else:
            _print_target(found, model)
            print_notes(chosen)
        return
    if said is not None:
        said["agrees"] = said.get("mapped", 0) == report.mapped
    if as_json:
        known = {"already_compiled": compiled is not None, "compiled_for": compiled}
        print_json(report.to_json() | known | {"compiler": said, "model": chosen.to_json()})
        return
    _print(report, model)
    print_notes(chosen)
    if said is not None and "error" in said:
        print(said["error"])
    elif said is not None:
        print(
            f"edgetpu_compiler {said['version']} mapped {said['mapped']} operators and left {said['cpu']} to the CPU: "
            f"{'as' if said['agrees'] else 'not as'} predicted"
        )


def _ask_compiler(model: bytes) -> dict[str, Any] | None:
    """What the compiler makes of it, or why it fails; None when it is not installed."""
    from edgenas.export.compilers.edgetpu.compiler import compile_for_edgetpu, find_compiler
    from edgenas.spaces.errors import WorkError

    if find_compiler() is None:
        return None
    try:
        log = compile_for_edgetpu(model).log
    except WorkError as error:
        return {"error": str(error)}
    return log.to_json()


def check_target(model: bytes, target: str) -> TargetReport:
    """The answer of a target: ``coral``, ``tflm``, ``cpu``, ``stm32mp2``, or a device.

    Raises InputError for an unknown one.
    """
    return checker_of(target)(model, target)


def checker_of(target: str) -> Callable[[bytes, str], TargetReport]:
    """What gives the answer of a target. Raises InputError for an unknown one."""
    from edgenas.devices.device import device_files, get_device
    from edgenas.devices.kinds.ethos_u import EthosUDevice
    from edgenas.devices.kinds.microcontroller import MicrocontrollerDevice
    from edgenas.export.targets.check import check_coral, check_cpu, check_ethos_u, check_tflm
    from edgenas.export.targets.per_tensor import check_per_tensor
    from edgenas.spaces.errors import InputError

    by_name = {"coral": check_coral, "tflm": check_tflm, "cpu": check_cpu, "stm32mp2": check_per_tensor}
    if target in by_name:
        return by_name[target]
    if target not in device_files():
        raise InputError(
            f"unknown target {target!r}: expected {', '.join(by_name)}, or a device, one of {', '.join(device_files())}"
        )
    device = get_device(target)
    if isinstance(device, EthosUDevice):
        return functools.partial(check_ethos_u, configuration=device.configuration)
    if isinstance(device, MicrocontrollerDevice):
        return functools.partial(check_tflm, limits=device.memory)
    return check_coral if device.kind in ("edgetpu", "edgetpu-simulation") else check_cpu


def _print_target(report: TargetReport, model: Path) -> None:
    if report.compiled_for is not None:
        size = report.facts.get("accelerator")
        print(f"{model}: compiled already, for {report.compiled_for}{f' ({size})' if size else ''}")
    print_table(
        ("", "operator", "runs on", "reason"),
        [
            (operator.index, operator.op, report.runs_on if operator.mapped else report.otherwise, operator.reason)
            for operator in report.operators
        ],
        title=f"{model} on {report.target}",
    )
    print(f"{report.mapped} of {len(report.operators)} operators on {report.runs_on}")
    if told := {name: count for name, count in report.memory.items() if count is not None}:
        print(f"memory: {memory_words(told)}")
    if estimate := report.facts.get("estimate"):
        facts = report.facts["configuration"]
        print(
            f"{estimate['latency_ms']:.4g} ms (simulated, Arm's estimate) with {facts['system_config']}, "
            f"{facts['memory_mode']}: the firmware must be built for the same"
        )
    for change in report.changes:
        print(f"- {change}")


def _print(report: EdgeTpuReport, model: Path) -> None:
    print_table(
        ("", "operator", "runs on", "reason"),
        [
            (operator.index, operator.op, "Edge TPU" if operator.mapped else "CPU", operator.reason)
            for operator in report.operators
        ],
        title=str(model),
    )
    print(f"{report.mapped} of {len(report.operators)} operators on the Edge TPU, {report.cpu} on the CPU")
    print(
        f"parameters on the Edge TPU: {report.parameter_bytes:,} bytes, {report.cached_bytes:,} in its cache, "
        f"{report.streamed_bytes:,} sent again at every inference"
    )
    if report.compiled:
        print("this file is compiled already: the bytes are the compiler's own")
    elif report.changes:
        print("what to change:")
        for change in report.changes:
            print(f"- {change}")
