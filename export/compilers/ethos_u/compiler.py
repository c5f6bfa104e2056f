"""Compiles models with Arm's Vela, one after the other in a process that stays."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import selectors
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from edgenas.export.compilers.ethos_u.compiled import is_compiled
from edgenas.export.compilers.ethos_u.configuration import Configuration, require_vela
from edgenas.export.compilers.ethos_u.report import VelaReport, read_reasons, read_report
from edgenas.export.temporary import temporary_folder
from edgenas.export.tflite.reader import TfliteOperator, read_operators
from edgenas.export.worker import worker_environment
from edgenas.spaces.errors import InputError, WorkError

#: A model of many megabytes takes seconds.
TIMEOUT_SECONDS = 300.0


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
    operators = read_operators(model)
    if is_compiled(model):
        raise InputError("it is compiled for Ethos-U already: give the .tflite file that was compiled")
    _refuse_float(operators)
    with temporary_folder("vela") as folder:
        (folder / "model.tflite").write_bytes(model)
        out = folder / "compiled.tflite"
        answer = _POOL.ask(
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
    report = read_report(answer, names, read_reasons(answer["words"]), outputs, configuration.clock_hz)
    return CompiledForEthosU(content, report)


def _refuse_float(operators: tuple[TfliteOperator, ...]) -> None:
    tensors = [tensor for operator in operators for tensor in operator.outputs]
    if tensors and all(tensor.dtype in ("FLOAT32", "FLOAT16") for tensor in tensors):
        raise InputError(
            "it is a float model, and an Ethos-U computes with 8 or 16 bit integers: quantize it first (int8)"
        )


class _Worker:
    """The process that compiles. One that crashes is an error of the model, and the next model gets a new one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """The answer to a job. Raises WorkError when the compiler crashes or takes too long."""
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            line = self._line(process)
        except (BrokenPipeError, ValueError):
            line = ""
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self._process = None
        with contextlib.suppress(OSError):
            process.kill()
        code = process.wait()
        raise WorkError(
            f"Vela {require_vela()} crashed on this model (exit code {code}): try another version of the compiler, "
            f"or report the file to its authors"
        )

    def _line(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(TIMEOUT_SECONDS):
                process.kill()
                self._process = None
                raise WorkError(f"Vela did not compile the model within {TIMEOUT_SECONDS:g} s")
        return process.stdout.readline()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            require_vela()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "edgenas.export.compilers.ethos_u.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=worker_environment(),
            )
        return self._process


class _Pool:
    """As many workers as jobs come in at once, and no more than the machine has processors."""

    def __init__(self, size: int) -> None:
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(_Worker())

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """The answer of the next worker that is free."""
        worker = self._idle.get()
        try:
            return worker.ask(job)
        finally:
            self._idle.put(worker)


#: Compiling in so many threads at once is of use.
AT_ONCE = max(1, min(os.cpu_count() or 1, 4))
_POOL = _Pool(AT_ONCE)
