"""Compiles models with Arm's Vela, one after the other in a process that stays."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.export.compilers.ethos_u.compiled import is_compiled
from edgenas.export.compilers.ethos_u.configuration import Configuration
from edgenas.export.compilers.ethos_u.report import VelaReport, read_report
from edgenas.export.extra import VELA
from edgenas.export.resident import Residents
from edgenas.export.temporary import temporary_folder
from edgenas.export.tflite.reader import TfliteOperator, read_operators
from edgenas.spaces.errors import InputError, WorkError

_VELA = Residents("edgenas.export.compilers.ethos_u.worker", "Vela")


@dataclass(frozen=True)
class CompiledForEthosU:
    """A compiled file (None when it was not asked for) and the compiler's report."""

    model: bytes | None
    report: VelaReport


def compile_for_ethos_u(model: bytes, configuration: Configuration, *, keep: bool = True) -> CompiledForEthosU:
    """Compiles a model.

    ``keep`` asks for the compiled file beside the report. Raises InputError for what is no model, is compiled already
    or has float operators only; WorkError in the compiler's words when it fails or crashes.
    """
    VELA.require()
    operators = read_operators(model)
    if is_compiled(model):
        raise InputError("it is compiled for Ethos-U already: give the .tflite file that was compiled")
    _refuse_float(operators)
    with temporary_folder("vela") as folder:
        (folder / "model.tflite").write_bytes(model)
        out = folder / "compiled.tflite"
        answer = _VELA.ask(
            {
                "path": str(folder / "model.tflite"),
                "out": str(out) if keep else None,
                "architecture": configuration.accelerator.architecture,
                "system": configuration.compiler_system,
                "options": configuration.compiler_options,
            }
        )
        if "error" in answer:
            raise WorkError(f"Vela did not compile the model: {answer['error']}")
        content = out.read_bytes() if keep else None
    outputs = [operator.outputs[0].name if operator.outputs else "" for operator in operators]
    names = [operator.name for operator in operators]
    in_sram = configuration.constant_memory == "Sram"
    report = read_report(answer, names, outputs, clock_hz=configuration.clock_hz, constants_in_sram=in_sram)
    return CompiledForEthosU(content, report)


def _refuse_float(operators: tuple[TfliteOperator, ...]) -> None:
    tensors = [tensor for operator in operators for tensor in operator.outputs]
    if tensors and all(tensor.dtype in ("FLOAT32", "FLOAT16") for tensor in tensors):
        raise InputError(
            "it is a float model, and an Ethos-U computes with 8 or 16 bit integers: quantize it first (int8)"
        )
