"""One board: models go over, the runner measures them there, and whatever breaks in between is mended or said.

A connection that breaks (a reboot, a cable, a radio) is tried again with growing pauses; what was measured stays
measured. A model at which the connection broke twice is given up, since it may be what brings the board down. A full
disk is met with smaller portions.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import shlex
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgenas.devices.device import DeviceLostError, MeasurementError, MeasureSettings, Model
from edgenas.devices.kinds.client import (
    RUNNER_FILES,
    ModelFile,
    Record,
    RunnerError,
    RunnerProcess,
    Strikes,
    energy_settings,
    measure_jobs,
    meters_archive,
    provenance_of,
)
from edgenas.devices.kinds.ssh_connection import (
    CONNECTION_BROKEN,
    BoardError,
    Connection,
    ConnectionBrokenError,
    tar_of,
)
from edgenas.devices.measurement import Provenance
from edgenas.devices.power import Power
from edgenas.spaces.errors import WorkError

_LOG = logging.getLogger("edgenas.devices")
_OLDEST_PYTHON = (3, 7)
# Profiling comes back to each model many times: so many portions stay on the board.
_PORTIONS_KEPT = 4
_LONGEST_PAUSE_SECONDS = 60.0
_FILES_GONE = 97  # exit code


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long to wait for a board: ``retries`` times, after pauses that start at ``first_seconds`` and double."""

    retries: int = 6
    first_seconds: float = 2.0

    def pause(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row.

        >>> [Patience().pause(n) for n in (1, 2, 3, 10)]
        [2.0, 4.0, 8.0, 60.0]
        """
        return float(min(_LONGEST_PAUSE_SECONDS, self.first_seconds * 2 ** (failures - 1)))


@dataclasses.dataclass
class _Remote:
    """What is on the board. ``folder`` and ``pid`` are remembered after the connection broke, to clean up."""

    runner: str = ""
    folder: str = ""
    pid: int | None = None
    #: Bytes of the models that are there, by file name.
    stored: dict[str, int] = dataclasses.field(default_factory=dict)
    is_ready: bool = False


class SshHost:
    """A board that measures. Its temporary folder is removed by :meth:`close`, at the latest when Python ends."""

    def __init__(
        self,
        connection: Connection,
        device: str,
        *,
        patience: Patience | None = None,
        portion_bytes: int = 64_000_000,
        temporary: str | None = None,
        name_host: bool = False,
        power: Power | None = None,
    ) -> None:
        self.connection = connection
        self.host = connection.host
        #: The fastest that the anchor was seen on this board, in ms.
        self.anchor_ms: float | None = None
        self._device = device
        self._named = self.host if name_host else None
        self._patience = patience or Patience()
        self._portion_bytes = portion_bytes
        self._room_bytes = _PORTIONS_KEPT * portion_bytes
        self._temporary = temporary
        self._power = power or Power()
        self._remote = _Remote()
        self._was_reached = False
        self._stop = threading.Event()
        self._runner: RunnerProcess | None = None
        self.close = weakref.finalize(self, _clean_up, connection, self._remote)

    # What it is ----------------------------------------------------------------------------------------------------

    def identity(self, settings: MeasureSettings) -> Provenance:
        """What the board is now. Raises MeasurementError with what to do."""
        return provenance_of(self.facts(settings), {}, settings, self._device, self._named)

    def facts(self, settings: MeasureSettings) -> dict[str, Any]:
        """The runner's facts, with those about the board's meter when ``settings`` ask for energy.

        Raises MeasurementError.
        """
        was_ready = self._remote.is_ready
        self._prepare()
        try:
            with self._open(settings, None) as runner:
                return self._facts(runner)
        except RunnerError as error:
            self._remote.is_ready = False
            if error.code == _FILES_GONE and was_ready:
                return self.facts(settings)
            raise self._as_broken(error) or BoardError(f"{self.host}: {error}") from None

    def _prepare(self) -> None:
        """Sees that the runner and a folder for models are there."""
        if self._remote.is_ready:
            return
        files = {path.name: path.read_bytes() for path in RUNNER_FILES} | {"energy.zip": meters_archive()}
        wanted = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        state = self.connection.call(
            "prepare",
            {
                "runner": wanted,
                "folder": self._remote.folder,
                "stop": self._remote.pid,
                "temporary": self._temporary,
            },
        )
        self._was_reached = True
        if state["folder"] != self._remote.folder:
            self._remote.stored.clear()
        self._remote.folder, self._remote.runner, self._remote.pid = state["folder"], state["runner"], None
        if tuple(state["python"][:2]) < _OLDEST_PYTHON:
            raise BoardError(f"{self.host} has Python {'.'.join(map(str, state['python']))}: 3.7 or newer is needed")
        if not state["numpy"]:
            raise BoardError(
                f"the Python of {self.host} ({self.connection.python}) lacks NumPy: "
                f"{self.connection.python} -m pip install numpy ai-edge-litert"
            )
        if not state["has_runner"]:
            answer = self.connection.call("store", {"folder": state["home"], "keep": None}, tar_of(files))
            if answer["hashes"] != wanted:
                raise ConnectionBrokenError(f"the runner did not arrive whole on {self.host}")
        self._remote.is_ready = True

    # Measuring -----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Ends :meth:`measure` in another thread soon."""
        self._stop.set()
        if self._runner is not None:
            self._runner.kill()

    def measure(self, jobs: Sequence[tuple[str, Model]], settings: MeasureSettings, record: Record) -> None:
        """Measures models in order; ``record`` hears of each outcome.

        Raises DeviceLostError when the board stays away, or cannot be used; what was recorded before holds.
        """
        self._stop.clear()
        pending, strikes, failures = list(jobs), Strikes(), 0
        while pending and not self._stop.is_set():
            done, was_running, trouble = self._measure_portion(pending, settings, record)
            pending, failures = pending[done:], 0 if done else failures
            if trouble is None or self._stop.is_set():
                continue
            self._remote.is_ready = False
            broken = self._as_broken(trouble)
            if was_running and strikes.is_out(pending[0][0], trouble):
                record(pending[0][0], MeasurementError(f"model {pending[0][0]!r}: {broken or trouble}"))
                pending = pending[1:]
            if trouble.code == _FILES_GONE and not failures:
                failures = 1
            elif broken or not was_running:
                failures += 1
                self._wait(broken or trouble, failures, self._patience.retries if broken else 1)

    def _measure_portion(
        self, pending: Sequence[tuple[str, Model]], settings: MeasureSettings, record: Record
    ) -> tuple[int, bool, RunnerError | None]:
        """One runner's life: how many models have an outcome, whether it came to measuring, and what ended it."""
        was_running = False
        try:
            self._prepare()
            portion, anchor = self._send_portion(pending, settings.anchor)
            with self._open(settings, anchor) as runner:
                self._runner = runner
                facts = self._facts(runner)
                was_running = True
                done, trouble = measure_jobs(runner, facts, portion, settings, self._device, record, self._named)
            return done, True, trouble
        except RunnerError as error:
            return 0, was_running, error
        except MeasurementError as error:
            raise DeviceLostError(str(error)) from None
        finally:
            self._runner = None

    def _wait(self, trouble: MeasurementError, failures: int, retries: int) -> None:
        can_wait = self._was_reached and getattr(trouble, "may_come_back", True)
        if not can_wait or failures > retries:
            tried = f" (tried {failures} times)" if failures > 1 else ""
            raise DeviceLostError(f"{trouble}{tried}")
        pause = self._patience.pause(failures)
        _LOG.warning("%s; trying again in %.0f s (%d of %d)", trouble, pause, failures, retries)
        self._stop.wait(pause)

    def _open(self, settings: MeasureSettings, anchor: str | None) -> RunnerProcess:
        if self.anchor_ms is not None and settings.anchor is not None:
            settings = dataclasses.replace(settings, anchor_ms=self.anchor_ms)
        folder, runner = self._remote.folder, self._remote.runner
        # Gone after a reboot, perhaps: then all is sent again.
        script = f"cd {shlex.quote(folder)} && test -f {shlex.quote(runner)} || exit {_FILES_GONE}; "
        script += self.connection.python_command(runner)
        extra = {"energy": energy_settings(self._power)} if settings.energy else {}
        return RunnerProcess(self.connection.command(script), settings, anchor=anchor, extra=extra, greeting=True)

    def _facts(self, runner: RunnerProcess) -> dict[str, Any]:
        try:
            facts = runner.facts()
        except RunnerError:
            raise
        except MeasurementError as error:
            raise BoardError(f"{self.host}: {error}") from None
        self._remote.pid = facts.get("pid")
        return facts

    def _as_broken(self, trouble: MeasurementError) -> ConnectionBrokenError | None:
        """The trouble as one of the connection, where it is one."""
        if isinstance(trouble, ConnectionBrokenError):
            return trouble
        if isinstance(trouble, RunnerError) and trouble.code == CONNECTION_BROKEN:
            return self.connection.broken(str(trouble).partition("last words: ")[2] or "it said nothing")
        return None

    # Models --------------------------------------------------------------------------------------------------------

    def _send_portion(
        self, pending: Sequence[tuple[str, Model]], anchor: bytes | None
    ) -> tuple[list[tuple[str, str]], str | None]:
        """Sends as many of the first models as make a portion; returns these jobs with paths on the board."""
        while True:
            files = {} if anchor is None else {_file_name(anchor): anchor}
            anchor_path = f"{self._remote.folder}/{next(iter(files))}" if files else None
            jobs: list[ModelFile] = []
            size = 0
            for name, model in pending:
                content = _read(model)
                file_name = _file_name(content)
                if file_name not in files:
                    if jobs and size + len(content) > self._portion_bytes:
                        break
                    size += len(content)
                    files[file_name] = content
                jobs.append((name, f"{self._remote.folder}/{file_name}"))
            try:
                self._send(files)
                return jobs, anchor_path
            except BoardError as error:
                if not error.full or len(jobs) == 1:
                    raise
                self._portion_bytes = self._room_bytes = max(1, size // 2)
                _LOG.warning("%s; going on with %d bytes of models at a time", error, self._portion_bytes)

    def _send(self, files: dict[str, bytes]) -> None:
        missing = {name: content for name, content in files.items() if name not in self._remote.stored}
        if not missing:
            return
        kept, self._remote.stored = self._remote.stored, {}  # until it answers nobody knows what is there
        if sum(kept.values()) + sum(map(len, missing.values())) > self._room_bytes:
            kept = {name: size for name, size in kept.items() if name in files}
        answer = self.connection.call("store", {"folder": self._remote.folder, "keep": sorted(kept)}, tar_of(missing))
        for name in missing:
            if answer["hashes"].get(name) != name.partition(".")[0]:
                raise ConnectionBrokenError(f"models did not arrive whole on {self.host}")
        self._remote.stored = kept | {name: len(content) for name, content in missing.items()}


def _read(model: Model) -> bytes:
    try:
        return model.read_bytes() if isinstance(model, Path) else model
    except OSError as error:
        raise WorkError(f"{model!s}: cannot be read ({error.strerror})") from None


def _file_name(content: bytes) -> str:
    return f"{hashlib.sha256(content).hexdigest()}.tflite"


def _clean_up(connection: Connection, remote: _Remote) -> None:
    """Removes the folder on the board; a board that is away keeps it until it is used again two days later."""
    if remote.folder:
        try:
            connection.call("remove", {"folder": remote.folder, "stop": remote.pid})
        except MeasurementError as error:
            _LOG.warning("%s: its folder %s was not removed", error, remote.folder)
