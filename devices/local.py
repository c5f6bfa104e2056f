"""The CPU of this machine, measured by the runner in a fresh process.

The runner may crash, hang or print nonsense: that is the outcome of the model it was at, in the runner's own words,
and a new runner goes on with the next model.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar

from devices.device import Device, DeviceSpec, MeasurementError, MeasureSettings, Model, Outcome, register_device
from devices.measurement import Measurement, Provenance
from spaces.errors import InputError

RUNNER = Path(__file__).with_name("runner.py")
# Importing a runtime takes 1 s; TensorFlow on a busy machine may take a minute.
START_TIMEOUT_SECONDS = 120.0
_WORDS = 800  # characters of the runner's standard error that a message quotes
_END = object()
_RUNNER_SETTINGS = (
    *("threads", "affinity", "warmup_seconds", "min_runs", "max_runs", "max_seconds", "confidence", "keep", "seed"),
    *("anchor_ms", "tolerance", "quiet_chunks", "chunk_seconds", "visit_seconds"),
)


@register_device("local")
class LocalDevice(Device):
    """Runs ``devices/runner.py`` with this Python, or with the one that the option ``python`` names."""

    option_names: ClassVar[tuple[str, ...]] = ("python",)

    def __init__(self, spec: DeviceSpec) -> None:
        super().__init__(spec)
        unknown = sorted(set(spec.options) - set(self.option_names))
        if unknown:
            known = ", ".join(self.option_names)
            raise InputError(
                f"{spec.source}: unknown option {unknown[0]!r}: a device of kind {self.kind} takes {known}"
            )
        self.python = str(spec.options.get("python") or sys.executable)

    def command(self) -> list[str]:
        """The command that starts a runner."""
        return [self.python, str(RUNNER)]

    def runner_settings(self) -> dict[str, Any]:
        """Settings of the runner beyond those of a measurement."""
        return {}

    def identity(self, *, threads: int = 1) -> Provenance:
        with _Runner(self.command(), MeasureSettings(threads=threads), extra=self.runner_settings()) as runner:
            return self._provenance(runner.facts(), {}, MeasureSettings(threads=threads))

    def measure_many(
        self,
        models: Mapping[str, Model],
        settings: MeasureSettings | None = None,
        on_result: Callable[[str, Outcome], None] | None = None,
    ) -> dict[str, Outcome]:
        settings = settings or MeasureSettings()
        outcomes: dict[str, Outcome] = {}

        def record(name: str, outcome: Outcome) -> None:
            outcomes[name] = outcome
            if on_result:
                on_result(name, outcome)

        with tempfile.TemporaryDirectory(prefix="edgenas-measure-") as folder:
            pending = [
                (name, _as_file(model, Path(folder), index)) for index, (name, model) in enumerate(models.items())
            ]
            anchor = None if settings.anchor is None else _as_file(settings.anchor, Path(folder), -1)
            while pending:
                pending = self._measure_until_trouble(pending, settings, anchor, record)
        return outcomes

    def _measure_until_trouble(
        self,
        pending: list[tuple[str, Path]],
        settings: MeasureSettings,
        anchor: Path | None,
        record: Callable[[str, Outcome], None],
    ) -> list[tuple[str, Path]]:
        """One runner's life. Returns the models that it did not get to."""
        done = 0
        with _Runner(self.command(), settings, anchor, self.runner_settings()) as runner:
            try:
                facts = runner.facts()
            except MeasurementError as error:
                # Nothing works, whatever the model.
                for name, _ in pending:
                    record(name, error)
                return []
            try:
                runner.send(pending)
                for name, _ in pending:
                    answer = runner.answer(settings.timeout_seconds)
                    record(name, self._outcome(name, answer, facts, settings))
                    done += 1
            except MeasurementError as error:
                record(pending[done][0], MeasurementError(f"model {pending[done][0]!r}: {error}"))
                done += 1
        return pending[done:]

    def _outcome(self, name: str, answer: dict[str, Any], facts: dict[str, Any], settings: MeasureSettings) -> Outcome:
        if answer.get("id") != name:
            raise MeasurementError(f"the runner answered for {answer.get('id')!r} instead")
        if "error" in answer:
            return MeasurementError(f"model {name!r}: the runtime refused it: {answer['error']}")
        try:
            samples = tuple(float(sample) for sample in answer["samples_ms"])
            anchors = tuple((float(before), float(after)) for before, after in answer.get("anchors_ms", ()))
            return Measurement(samples, self._provenance(facts, answer, settings), anchors_ms=anchors)
        except (KeyError, TypeError, ValueError) as error:
            raise MeasurementError(f"the runner's answer makes no sense ({error!r})") from None

    def _provenance(self, facts: dict[str, Any], answer: dict[str, Any], settings: MeasureSettings) -> Provenance:
        affinity = facts.get("affinity")
        stop = "fixed time" if settings.confidence is None else f"until median +-{settings.confidence:.0%}"
        if settings.anchor is not None:
            stop = f"visit of {settings.quiet_chunks} quiet chunks of {settings.chunk_seconds * 1e3:g} ms"
        return Provenance(
            kind="measured",
            device=self.name,
            runtime=str(facts["runtime"]),
            runtime_version=str(facts["runtime_version"]),
            threads=int(facts["threads"]),
            affinity=None if affinity is None else tuple(affinity),
            cpu_model=facts.get("cpu_model"),
            governor=facts.get("governor"),
            frequency_mhz=facts.get("frequency_mhz"),
            temperature_c=facts.get("temperature_c"),
            warmup_runs=int(answer.get("warmup_runs", 0)),
            runs=int(answer.get("runs", 0)),
            protocol=f"runner {facts.get('protocol')}, {stop}",
            system=facts.get("system"),
            time_utc=facts.get("time_utc"),
        )


def _as_file(model: Model, folder: Path, index: int) -> Path:
    if isinstance(model, Path):
        return model
    path = folder / f"{index}.tflite"
    path.write_bytes(model)
    return path


class _Runner:
    """A runner process: jobs in, answers out, with a time limit on each."""

    def __init__(
        self,
        command: list[str],
        settings: MeasureSettings,
        anchor: Path | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self._settings = settings
        self._extra = dict(extra or {})
        self._anchor = anchor
        self._command = command
        self._answers: queue.Queue[Any] = queue.Queue()

    def __enter__(self) -> _Runner:
        # A file rather than a pipe: nobody has to keep reading it.
        self._errors: IO[bytes] = tempfile.TemporaryFile()
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
        self._kill()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            try:
                if stream:
                    stream.close()
            except OSError:
                pass  # what was not sent has no reader any more

    def _kill(self) -> None:
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
        except OSError:
            pass  # it died: reading its answers tells how

    def facts(self) -> dict[str, Any]:
        """Sends the settings and waits for the facts. Raises MeasurementError when nothing can be measured."""
        settings = {name: getattr(self._settings, name) for name in _RUNNER_SETTINGS}
        self._write([settings | self._extra | {"anchor": None if self._anchor is None else str(self._anchor)}])
        answer = self.answer(START_TIMEOUT_SECONDS)
        if "fatal" in answer:
            raise MeasurementError(str(answer["fatal"]))
        if not {"runtime", "runtime_version", "threads"} <= set(answer.get("facts") or ()):
            raise MeasurementError(f"the runner did not introduce itself: {str(answer)[:_WORDS]}")
        return dict(answer["facts"])

    def send(self, jobs: list[tuple[str, Path]]) -> None:
        """Hands over all jobs without waiting: writing blocks once the pipe is full."""
        lines = [{"id": name, "path": str(path)} for name, path in jobs]

        def feed() -> None:
            self._write(lines)
            try:
                if self._process.stdin:
                    self._process.stdin.close()
            except OSError:
                pass

        threading.Thread(target=feed, daemon=True).start()

    def answer(self, timeout_seconds: float) -> dict[str, Any]:
        """The next answer. Raises MeasurementError when the runner hangs, dies or prints something else."""
        try:
            line = self._answers.get(timeout=timeout_seconds)
        except queue.Empty:
            self._kill()
            raise MeasurementError(
                f"no answer within {timeout_seconds:g} s; the runner was stopped{self._words()}"
            ) from None
        if line is _END:
            code = self._process.wait()
            how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
            raise MeasurementError(f"the runner ended {how}{self._words()}")
        try:
            answer = json.loads(line)
            if not isinstance(answer, dict):
                raise ValueError("not an object")
        except ValueError:
            self._kill()
            raise MeasurementError(f"the runner printed something else than an answer: {line[:_WORDS]!r}") from None
        return answer

    def _words(self) -> str:
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace").strip()
        return f"; its last words: {text[-_WORDS:]}" if text else ""
