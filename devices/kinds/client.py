"""The other end of ``devices/on_device/runner.py``: a runner process, on this machine or behind a command that reaches
one.

The runner may crash, hang or print nonsense. That is a :class:`RunnerError` with the runner's own words; who started
it decides whether the model, the machine or the connection is to blame, and goes on with a new runner.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from edgenas.devices.device import DeviceLostError, MeasurementError, MeasurementOutcome, MeasureSettings, MeterFound
from edgenas.devices.measurement import Energy, Measurement, Provenance
from edgenas.devices.power import Power
from edgenas.spaces.errors import InputError

RUNNER = Path(__file__).parents[1] / "on_device" / "runner.py"
#: The runner and what it imports; on boards they lie side by side.
RUNNER_FILES = tuple(
    RUNNER.with_name(name)
    for name in ("runner.py", "machine.py", "sampling.py", "engines.py", "quiet_visit.py", "operator_times.py")
)
#: The package that the runner imports when energy is asked for; on boards it comes as ``energy.zip``.
METERS = RUNNER.parent / "energy"
# Importing a runtime takes 1 s; TensorFlow on a busy machine may take a minute.
START_TIMEOUT_SECONDS = 120.0
_WORDS = 800  # characters of the runner's standard error that a message quotes
_GREETING_LINES = 200
_END = object()
_RUNNER_SETTINGS = (
    *("threads", "affinity", "warmup_seconds", "min_runs", "max_runs", "max_seconds", "confidence", "keep", "seed"),
    "inputs",
    *("anchor_ms", "tolerance", "quiet_chunks", "chunk_seconds", "visit_seconds", "wait_seconds"),
    *("operators_above", "operator_seconds"),
)

#: (name of a model, its path where the runner runs)
ModelFile = tuple[str, str]
Record = Callable[[str, MeasurementOutcome], None]


class RunnerError(MeasurementError):
    """A runner ended (``code``: its exit code, negative for a signal), hung, or said what makes no sense."""

    def __init__(self, words: str, *, code: int | None = None, hung: bool = False) -> None:
        super().__init__(words)
        self.code = code
        self.hung = hung


class RunnerProcess:
    """A runner: jobs in, answers out, with a time limit on each. A context manager that ends the process.

    ``anchor`` is the path of the anchor model where the runner runs; ``extra`` are settings of the runner beyond
    those of a measurement. With ``greeting``, lines that a remote shell prints before the runner speaks are passed
    over.
    """

    def __init__(
        self,
        command: Sequence[str],
        settings: MeasureSettings,
        *,
        anchor: str | None = None,
        extra: Mapping[str, Any] | None = None,
        greeting: bool = False,
    ) -> None:
        self._settings = settings
        self._extra = dict(extra or {})
        self._anchor = anchor
        self._command = list(command)
        self._greeting_left = _GREETING_LINES if greeting else 0
        self._answers: queue.Queue[Any] = queue.Queue()

    def __enter__(self) -> RunnerProcess:
        # A file rather than a pipe: nobody has to keep reading it.
        try:
            self._errors: IO[bytes] = tempfile.TemporaryFile()
        except OSError as error:
            raise DeviceLostError(
                f"no temporary file can be made ({error.strerror}): make room, or set TMPDIR to another folder"
            ) from None
        try:
            # In its own session: Ctrl-C reaches us alone, and we end it (and what it started) in order.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise MeasurementError(f"cannot start the runner {' '.join(self._command)}: {error}") from None
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            try:
                if stream:
                    stream.close()
            except OSError:
                pass  # what was not sent has no reader any more

    def kill(self) -> None:
        """Ends the process (and what it started) now; who waits for an answer gets a RunnerError."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self._answers.put(line)
        except ValueError:
            pass  # closed while reading: the runner's life is over
        self._answers.put(_END)

    def _write(self, lines: list[dict[str, Any]]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("".join(json.dumps(line) + "\n" for line in lines).encode())
            self._process.stdin.flush()
        except (OSError, ValueError):
            pass  # it died or was ended: reading its answers tells how

    def facts(self) -> dict[str, Any]:
        """Sends the settings and waits for the facts. Raises MeasurementError when nothing can be measured."""
        settings = {name: getattr(self._settings, name) for name in _RUNNER_SETTINGS}
        self._write([settings | self._extra | {"anchor": self._anchor}])
        answer = self.answer(START_TIMEOUT_SECONDS)
        self._greeting_left = 0
        if "fatal" in answer:
            raise MeasurementError(str(answer["fatal"]))
        if not {"runtime", "runtime_version", "threads"} <= set(answer.get("facts") or ()):
            raise RunnerError(f"the runner did not introduce itself: {str(answer)[:_WORDS]}")
        return dict(answer["facts"])

    def send(self, jobs: Sequence[ModelFile]) -> None:
        """Hands over all jobs without waiting: writing blocks once the pipe is full."""
        lines = [{"id": name, "path": path} for name, path in jobs]

        def feed() -> None:
            self._write(lines)
            with contextlib.suppress(OSError):
                if self._process.stdin:
                    self._process.stdin.close()

        threading.Thread(target=feed, daemon=True).start()

    def answer(self, timeout_seconds: float) -> dict[str, Any]:
        """The next answer. Raises RunnerError when the runner hangs, dies or prints something else.

        The runner may say that it waits (for a hot device to cool): then the time starts anew.
        """
        while True:
            try:
                line = self._answers.get(timeout=timeout_seconds)
            except queue.Empty:
                self.kill()
                words = f"no answer within {timeout_seconds:g} s; the runner was stopped{self._words()}"
                raise RunnerError(words, hung=True) from None
            if line is _END:
                code = self._process.wait()
                how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
                raise RunnerError(f"the runner ended {how}{self._words()}", code=code)
            answer = _parse(line)
            if answer is None and self._greeting_left:
                self._greeting_left -= 1
            elif answer is None:
                self.kill()
                raise RunnerError(f"the runner printed something else than an answer: {line[:_WORDS]!r}")
            elif "waiting" not in answer:
                return answer

    def _words(self) -> str:
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace").strip()
        return f"; its last words: {text[-_WORDS:]}" if text else ""


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(line)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def measure_jobs(
    runner: RunnerProcess,
    facts: Mapping[str, Any],
    jobs: Sequence[ModelFile],
    settings: MeasureSettings,
    device: str,
    record: Record,
    host: str | None = None,
) -> tuple[int, RunnerError | None]:
    """Measures jobs in order; ``record`` hears of each. Returns how many have an outcome, and what ended it early."""
    runner.send(jobs)
    for done, (name, _) in enumerate(jobs):
        try:
            outcome = outcome_of(name, runner.answer(settings.timeout_seconds), facts, settings, device, host)
        except RunnerError as error:
            return done, error
        record(name, outcome)
    return len(jobs), None


class Strikes:
    """Whose fault is it: a model is given up when its runner hung, or ended for the second time in a row."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()

    def is_out(self, name: str, trouble: RunnerError) -> bool:
        """Counts a runner that did not survive a model; True when the model is to be given up."""
        self._count[name] += 1
        return trouble.hung or self._count[name] >= 2


def outcome_of(
    name: str,
    answer: Mapping[str, Any],
    facts: Mapping[str, Any],
    settings: MeasureSettings,
    device: str,
    host: str | None = None,
) -> MeasurementOutcome:
    """What a runner's answer says about a model. Raises RunnerError when it makes no sense."""
    if answer.get("id") != name:
        raise RunnerError(f"the runner answered for {answer.get('id')!r} instead of {name!r}")
    if "error" in answer:
        return MeasurementError(f"model {name!r}: the runtime refused it: {answer['error']}")
    try:
        samples = tuple(float(sample) for sample in answer["samples_ms"])
        anchors = tuple((float(before), float(after)) for before, after in answer.get("anchors_ms", ()))
        operators = tuple(tuple(map(int, run)) for run in answer.get("operators_us", ()))
        provenance = provenance_of(facts, answer, settings, device, host)
        energy = Energy(**answer["energy"], kind="measured") if "energy" in answer else None
        problem = answer.get("energy_problem") or facts.get("meter_words") or None
        problem = None if energy else problem
        return Measurement(samples, provenance, energy, problem, anchors_ms=anchors, operators_us=operators)
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise RunnerError(f"the runner's answer makes no sense ({error!r})") from None


def energy_settings(power: Power) -> dict[str, Any]:
    """The runner's setting ``energy`` for a device."""
    return {"meter": power.meter, "command": power.command, "rails": list(power.rails)}


def meters_archive() -> bytes:
    """The package ``energy`` as a zip file that Python can import from; the same bytes every time."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(METERS.glob("*.py")):
            archive.writestr(zipfile.ZipInfo(f"energy/{path.name}"), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def meter_of(facts: Mapping[str, Any]) -> MeterFound:
    """What a runner's facts say about the meter."""
    return MeterFound(facts.get("meter"), str(facts.get("meter_words") or ""))


def provenance_of(
    facts: Mapping[str, Any],
    answer: Mapping[str, Any],
    settings: MeasureSettings,
    device: str,
    host: str | None = None,
) -> Provenance:
    """Where a runner's numbers come from; clock and temperature are those right after the samples where told."""
    affinity = facts.get("affinity")
    stop = "fixed time" if settings.confidence is None else f"until median +-{settings.confidence:.0%}"
    if settings.anchor is not None:
        stop = f"visit of {settings.quiet_chunks} quiet chunks of {settings.chunk_seconds * 1e3:g} ms"
    return Provenance(
        kind="measured",
        device=device,
        runtime=str(facts["runtime"]),
        runtime_version=str(facts["runtime_version"]),
        threads=int(facts["threads"]),
        affinity=None if affinity is None else tuple(affinity),
        cpu_model=facts.get("cpu_model"),
        governor=facts.get("governor"),
        frequency_mhz=answer.get("frequency_mhz", facts.get("frequency_mhz")),
        temperature_c=answer.get("temperature_c", facts.get("temperature_c")),
        throttled=answer.get("throttled"),
        host=host,
        warmup_runs=int(answer.get("warmup_runs", 0)),
        runs=int(answer.get("runs", 0)),
        protocol=f"runner {facts.get('protocol')}, {stop}",
        system=facts.get("system"),
        time_utc=facts.get("time_utc"),
    )
