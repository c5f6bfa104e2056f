"""The CPU of this machine, measured by the runner in a fresh process.

The runner may crash, hang or print nonsense: a new one tries the model once more (somebody else may have killed it),
then the runner's own words are the model's outcome, and the next model goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from edgenas.devices.device import (
    Device,
    DeviceLostError,
    DeviceSpec,
    MeasurementError,
    MeasurementOutcome,
    MeasureSettings,
    MeterFound,
    Model,
    register_device,
)
from edgenas.devices.kinds.client import (
    RUNNER,
    ModelFile,
    Record,
    RunnerError,
    RunnerProcess,
    Strikes,
    energy_settings,
    measure_jobs,
    meter_of,
    provenance_of,
)
from edgenas.devices.kinds.outcomes import Outcomes
from edgenas.devices.lock import THIS_MACHINE
from edgenas.devices.measurement import Provenance
from edgenas.devices.on_device.engines import ENGINES, LITERT
from edgenas.export.temporary import temporary_folder
from edgenas.spaces.errors import InputError


@register_device("local")
class LocalDevice(Device):
    """Runs ``devices/on_device/runner.py`` with this Python, or with the one that the option ``python`` names.

    ``engine`` is one of :data:`edgenas.devices.on_device.engines.ENGINES`; ``threads``, of the device, stands instead
    of one thread.
    """

    option_names: ClassVar[tuple[str, ...]] = ("python", "engine", "threads")

    def __init__(self, spec: DeviceSpec) -> None:
        super().__init__(spec)
        unknown = sorted(set(spec.options) - set(self.option_names))
        if unknown:
            known = ", ".join(self.option_names)
            raise InputError(
                f"{spec.source}: unknown option {unknown[0]!r}: a device of kind {self.kind} takes {known}"
            )
        self.python = str(spec.options.get("python") or sys.executable)
        self.engine = str(spec.options.get("engine") or LITERT)
        if self.engine not in ENGINES:
            raise InputError(f"{spec.source}: option 'engine' must be one of {', '.join(ENGINES)}, not {self.engine!r}")
        self.threads = spec.options.get("threads", 1)
        if isinstance(self.threads, bool) or not isinstance(self.threads, int) or self.threads < 1:
            raise InputError(f"{spec.source}: option 'threads' must be a whole number from 1, not {self.threads!r}")

    @property
    def lock_names(self) -> tuple[str, ...]:
        """Whatever it is called and runs with: there is one processor."""
        return (THIS_MACHINE,)

    def command(self) -> list[str]:
        """The command that starts a runner."""
        return [self.python, str(RUNNER)]

    def runner_settings(self) -> dict[str, Any]:
        """Settings of the runner beyond those of a measurement."""
        return {"engine": self.engine}

    def _own(self, settings: MeasureSettings) -> MeasureSettings:
        """With the device's threads, unless more are asked for."""
        return replace(settings, threads=max(self.threads, settings.threads))

    def _open(self, settings: MeasureSettings, anchor: str | None = None) -> RunnerProcess:
        extra = self.runner_settings()
        if settings.energy:
            extra = extra | {"energy": energy_settings(self.spec.power)}
        return RunnerProcess(self.command(), settings, anchor=anchor, extra=extra)

    def meter(self) -> MeterFound:
        with self._open(MeasureSettings(energy=True)) as runner:
            return meter_of(runner.facts())

    def identity(self, *, threads: int = 1) -> Provenance:
        settings = self._own(MeasureSettings(threads=threads))
        with self._open(settings) as runner:
            return provenance_of(runner.facts(), {}, settings, self.name)

    def measure_many(
        self,
        models: Mapping[str, Model],
        settings: MeasureSettings | None = None,
        on_result: Callable[[str, MeasurementOutcome], None] | None = None,
    ) -> dict[str, MeasurementOutcome]:
        settings = self._own(settings or MeasureSettings())
        outcomes = Outcomes(on_result)
        with temporary_folder("measure") as folder:
            try:
                jobs = [(name, _as_file(model, folder, index)) for index, (name, model) in enumerate(models.items())]
                anchor = None if settings.anchor is None else _as_file(settings.anchor, folder, -1)
            except OSError as error:
                raise DeviceLostError(
                    f"{folder}: cannot be written ({error.strerror}); nothing was measured: make room, or set "
                    f"TMPDIR to another folder"
                ) from None
            self._measure(jobs, anchor, settings, outcomes.record)
        return outcomes

    def _measure(self, jobs: list[ModelFile], anchor: str | None, settings: MeasureSettings, record: Record) -> None:
        strikes, failed_starts = Strikes(), 0
        while jobs:
            with self._open(settings, anchor) as runner:
                try:
                    facts = runner.facts()
                except MeasurementError as error:
                    failed_starts += 1
                    if failed_starts < 2 and isinstance(error, RunnerError) and not error.hung:
                        continue
                    raise DeviceLostError(str(error)) from None
                done, trouble = measure_jobs(runner, facts, jobs, settings, self.name, record)
            jobs, failed_starts = jobs[done:], 0
            if trouble and strikes.is_out(jobs[0][0], trouble):
                record(jobs[0][0], MeasurementError(f"model {jobs[0][0]!r}: {trouble}"))
                jobs = jobs[1:]


def _as_file(model: Model, folder: Path, index: int) -> str:
    if isinstance(model, Path):
        return str(model)
    path = folder / f"{index}.tflite"
    path.write_bytes(model)
    return str(path)
