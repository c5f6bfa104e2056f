"""Runs the maker's `edgetpu_compiler` where it is installed, and reads what it prints.

The compiler is not in the package registries: users install it from the maker's Debian repository (x86-64 only). Its
log tells the memory used and, per operator, how many were mapped or why not. It is known to fail now and then on files
that compile a moment later (google-coral/edgetpu #211), so such failures are tried once more.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgenas.export.compilers.edgetpu.rules import MAPPED
from edgenas.export.temporary import temporary_folder
from edgenas.spaces.errors import WorkError

COMPILER = "edgetpu_compiler"
HOW_TO_INSTALL = (
    "install it on an x86-64 Debian or Ubuntu machine as https://coral.ai/docs/edgetpu/compiler tells "
    "(package edgetpu-compiler of the maker's repository), or give a file that is already compiled"
)
#: The compiler gives up by itself after 180 seconds.
TIMEOUT_SECONDS = 240.0
_FLAKY = re.compile(r"Internal compiler error|Compilation failed!\s*$", re.MULTILINE)
#: Failures with a reason: trying again changes nothing.
_FINAL = re.compile(r"Invalid model|Registration failed|Compilation failed: |Compilation timeout|not quantized")
_CHATTER = re.compile(r"^(Edge TPU Compiler version|Started a compilation|Compilation child process|$)")
_UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_SIZE = r"([0-9.]+)(B|KiB|MiB|GiB)"


@dataclass(frozen=True)
class StatusLine:
    """One line of the compiler's table: ``count`` operators of a kind met the same fate."""

    op: str
    count: int
    status: str

    @property
    def mapped(self) -> bool:
        return self.status == MAPPED


@dataclass(frozen=True)
class CompilerLog:
    """What the compiler printed. Sizes in bytes are as coarse as its own (two decimals of KiB or MiB)."""

    version: str
    cached_bytes: int | None = None
    remaining_bytes: int | None = None
    streamed_bytes: int | None = None
    subgraphs: int | None = None
    statuses: tuple[StatusLine, ...] = ()

    @property
    def mapped(self) -> int:
        return sum(line.count for line in self.statuses if line.mapped)

    @property
    def cpu(self) -> int:
        return sum(line.count for line in self.statuses if not line.mapped)

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON documents."""
        return {
            "version": self.version,
            "mapped": self.mapped,
            "cpu": self.cpu,
            "subgraphs": self.subgraphs,
            "cached_bytes": self.cached_bytes,
            "remaining_bytes": self.remaining_bytes,
            "streamed_bytes": self.streamed_bytes,
            "operators": [vars(line) for line in self.statuses],
        }


@dataclass(frozen=True)
class Compiled:
    """A compiled model and the compiler's log."""

    model: bytes
    log: CompilerLog


def find_compiler(name: str = COMPILER) -> str | None:
    """The path of the compiler, or None when it is not on the PATH."""
    return shutil.which(name)


def compile_for_edgetpu(
    model: bytes, *, compiler: str = COMPILER, timeout_seconds: float = TIMEOUT_SECONDS, attempts: int = 2
) -> Compiled:
    """Compiles a model. Raises WorkError, in the compiler's words, when that fails or there is no compiler."""
    path = find_compiler(compiler)
    if path is None:
        raise WorkError(f"{compiler} is not on the PATH: {HOW_TO_INSTALL}")
    for attempt in range(attempts):
        with temporary_folder("compile") as folder:
            output = _run(path, model, folder, timeout_seconds)
            result = folder / "model_edgetpu.tflite"
            if result.is_file():
                return Compiled(result.read_bytes(), parse_log(output))
        last_try = attempt + 1 == attempts
        if last_try or _FINAL.search(output) or not (_FLAKY.search(output) or not _words(output)):
            break
    tried = f" ({attempt + 1} attempts)" if attempt else ""
    raise WorkError(f"{COMPILER} did not compile the model{tried}: {_words(output) or 'it gave no reason'}")


def _run(path: str, model: bytes, folder: Path, timeout_seconds: float) -> str:
    source = folder / "model.tflite"
    source.write_bytes(model)
    command = [path, "-s", "-o", str(folder), str(source)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=timeout_seconds, cwd=folder
        )
    except subprocess.TimeoutExpired:
        raise WorkError(f"{COMPILER} did not end within {timeout_seconds:g} s") from None
    except OSError as error:
        raise WorkError(f"{path} cannot be run: {error}") from None
    return f"{done.stdout}\n{done.stderr}"


def _words(output: str) -> str:
    """What the compiler said, without its chatter, on one line."""
    lines = [line.strip() for line in output.splitlines() if not _CHATTER.match(line.strip())]
    return "; ".join(line for line in lines if line)[:800]


def parse_log(text: str) -> CompilerLog:
    """Reads the output of `edgetpu_compiler -s`. What it does not print stays None."""
    version = re.search(r"Edge TPU Compiler version (\S+)", text)
    subgraphs = re.search(r"Number of Edge TPU subgraphs: (\d+)", text)
    lines = []
    in_table = False
    for line in text.splitlines():
        if re.match(r"\s*Operator\s+Count\s+Status", line):
            in_table = True
        elif in_table and (row := re.match(r"\s*(\S+)\s+(\d+)\s+(\S.*?)\s*$", line)):
            lines.append(StatusLine(row[1], int(row[2]), row[3]))
    return CompilerLog(
        version=version[1] if version else "unknown",
        cached_bytes=_size(text, "On-chip memory used for caching model parameters"),
        remaining_bytes=_size(text, "On-chip memory remaining for caching model parameters"),
        streamed_bytes=_size(text, "Off-chip memory used for streaming uncached model parameters"),
        subgraphs=int(subgraphs[1]) if subgraphs else None,
        statuses=tuple(lines),
    )


def _size(text: str, label: str) -> int | None:
    found = re.search(re.escape(label) + r":\s*" + _SIZE, text)
    return round(float(found[1]) * _UNITS[found[2]]) if found else None
