"""Processes that stay and answer one JSON line with another: for native code that a file may crash.

Starting one costs a good part of a second, an answer what the work costs. One that crashes is an error of what it was
asked, and the next job gets a new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import selectors
import subprocess
import sys
from typing import Any

from edgenas.export.worker import worker_environment
from edgenas.spaces.errors import WorkError

#: A model of many megabytes takes seconds.
TIMEOUT_SECONDS = 300.0
#: More jobs at once are of no use.
AT_ONCE = max(1, min(os.cpu_count() or 1, 4))


class Residents:
    """As many processes of a module as jobs come in at once, up to :data:`AT_ONCE`; ``name`` is for messages."""

    def __init__(self, module: str, name: str) -> None:
        self._idle: queue.LifoQueue[_Resident] = queue.LifoQueue()
        for _ in range(AT_ONCE):
            self._idle.put(_Resident(module, name))

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """The answer of the next process that is free. Raises WorkError when it crashes or takes too long."""
        resident = self._idle.get()
        try:
            return resident.ask(job)
        finally:
            self._idle.put(resident)


class _Resident:
    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name
        self._process: subprocess.Popen[str] | None = None

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
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
        self._end()
        raise WorkError(
            f"{self._name} crashed on this model (exit code {process.wait()}): try another version of it, or report "
            f"the file to its authors"
        )

    def _line(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(TIMEOUT_SECONDS):
                self._end()
                raise WorkError(f"{self._name} did not answer within {TIMEOUT_SECONDS:g} s")
        return process.stdout.readline()

    def _end(self) -> None:
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.kill()
        self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=worker_environment(),
            )
        return self._process
