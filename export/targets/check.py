"""One function for every target."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from edgenas.export.compilers.edgetpu.check import check_edgetpu
from edgenas.export.compilers.ethos_u.compiler import compile_for_ethos_u
from edgenas.export.compilers.ethos_u.configuration import Configuration
from edgenas.export.extra import MICRO
from edgenas.export.micro.interpreter import NotTakenError, allocate, not_taken
from edgenas.export.targets.report import Placed, TargetReport, compiled_for, compiled_report
from edgenas.export.tflite.arena import estimate_arena
from edgenas.export.tflite.reader import TfliteOperator, read_operators
from edgenas.spaces.errors import InputError

#: Custom operators that LiteRT brings along.
_LITERT_CUSTOM = ("TFLite_Detection_PostProcess",)
_FLOAT = ("FLOAT32", "FLOAT16")
_INTEGER = "quantize the whole model to int8 (full integer, with a representative dataset)"


def check_coral(model: bytes, target: str) -> TargetReport:
    """What an Edge TPU takes, by its maker's rules. Raises InputError on anything but a whole model."""
    report = check_edgetpu(model)
    memory = {
        "parameter_bytes": report.parameter_bytes,
        "cached_bytes": report.cached_bytes,
        "streamed_bytes": report.streamed_bytes,
    }
    placed = tuple(Placed(one.index, one.op, one.mapped, one.reason) for one in report.operators)
    facts = {**memory, "compiled": report.compiled, "failure": report.failure}
    compiled = compiled_for(model)
    if compiled is not None and not report.compiled:
        return compiled_report(target, model, compiled, "Edge TPU")
    return TargetReport(target, placed, "Edge TPU", "CPU", memory, report.changes, compiled, facts)


def check_ethos_u(model: bytes, target: str, configuration: Configuration) -> TargetReport:
    """What Arm's compiler makes of a model. Raises InputError, or WorkError in the compiler's words."""
    if (compiled := compiled_for(model)) is not None:
        return compiled_report(target, model, compiled, "Ethos-U", configuration.accelerator.name)
    report = compile_for_ethos_u(model, configuration, keep=False).report
    memory: dict[str, int | None] = {
        "sram_bytes": report.sram_bytes,
        "sram_limit_bytes": configuration.sram_limit_bytes if configuration.sram_limit_bytes < 2**32 else None,
        "flash_bytes": report.flash_bytes,
        "off_chip_traffic_bytes": report.off_chip_bytes,
        "arena_bytes": report.arena_bytes,
    }
    placed = tuple(
        Placed(one.index, one.name, one.on_npu, one.reason or f"runs on the NPU, {one.cycles:,} cycles")
        for one in report.operators
    )
    changes = [_operators_words(report.on_cpu, placed)] if report.on_cpu else []
    cycles = {str(one.index): one.cycles for one in report.operators if one.on_npu}
    facts = {"configuration": configuration.to_json(), "estimate": report.to_json(), "operator_cycles": cycles}
    return TargetReport(target, placed, "Ethos-U", "CPU", memory, tuple(changes), None, facts)


def check_tflm(model: bytes, target: str, limits: Mapping[str, int] | None = None) -> TargetReport:
    """What the microcontrollers' interpreter takes, and whether a chip of ``limits`` has room for it.

    Raises InputError for what is no model, or without the interpreter.
    """
    version = MICRO.require()
    if (compiled := compiled_for(model)) == "Edge TPU":
        return compiled_report(target, model, compiled, "microcontroller")
    operators = read_operators(model)
    reasons = not_taken(model)
    memory: dict[str, int | None] = {"file_bytes": len(model), "arena_bytes": None}
    with contextlib.suppress(NotTakenError):
        memory |= allocate(model).to_json()
    placed = tuple(
        Placed(one.index, one.name, one.index not in reasons, reasons.get(one.index, "taken")) for one in operators
    )
    changes = []
    if reasons and any(tensor.dtype in (*_FLOAT, "UINT8") for one in operators for tensor in one.outputs):
        changes.append(_INTEGER)
    if reasons:
        changes.append(f"replace what the interpreter lacks: {_names(operators, reasons)}")
    memory |= {f"chip_{name}": size for name, size in (limits or {}).items()}
    changes += _too_large(memory)
    if compiled:
        changes = ["compiled for Ethos-U: it runs where the firmware registers the operator ethos-u"]
    facts = {"runtime": f"tflite-micro {version}"}
    return TargetReport(target, placed, "microcontroller", "not taken", memory, tuple(changes), compiled, facts)


def check_cpu(model: bytes, target: str) -> TargetReport:
    """What LiteRT takes on a CPU: all but custom operators that it does not bring along."""
    if (compiled := compiled_for(model)) is not None:
        return compiled_report(target, model, compiled, "CPU")
    operators = read_operators(model)
    placed = tuple(
        Placed(one.index, one.name, False, f"custom operator {one.name}, which LiteRT does not bring along")
        if one.is_custom and one.name not in _LITERT_CUSTOM
        else Placed(one.index, one.name, True, "LiteRT has it")
        for one in operators
    )
    lacking = [one for one in placed if not one.mapped]
    changes = [_operators_words(lacking, placed)] if lacking else []
    memory: dict[str, int | None] = {"file_bytes": len(model), "activation_bytes": None}
    with contextlib.suppress(InputError):
        memory["activation_bytes"] = estimate_arena(model).activation_bytes
    return TargetReport(target, placed, "CPU", "not taken", memory, tuple(changes))


def _too_large(memory: Mapping[str, int | None]) -> list[str]:
    """What does not fit into a chip, in words."""
    pairs = (
        ("arena_bytes", "chip_ram_bytes", "a smaller input or fewer channels"),
        ("file_bytes", "chip_flash_bytes", "fewer weights"),
    )
    return [
        f"{needed.removesuffix('_bytes')} {need:,} bytes, of {room:,} bytes of {there[5:-6]}: {change}"
        for needed, there, change in pairs
        if (need := memory.get(needed)) is not None and (room := memory.get(there)) is not None and need > room
    ]


def _names(operators: Sequence[TfliteOperator], reasons: dict[int, str]) -> str:
    return ", ".join(dict.fromkeys(one.name for one in operators if one.index in reasons))


def _operators_words(left: Sequence[object], placed: Sequence[Placed]) -> str:
    names = ", ".join(f"{one.index} {one.op}" for one in placed if not one.mapped)
    return f"replace these {len(left)} operators, or leave them to the application: {names}"
