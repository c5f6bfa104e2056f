"""Android phones over ``adb``: the runtime's own ``benchmark_model`` measures, since phones have no Python.

Written from the program's source and published logs, and tested against a program that prints the same. **Not yet
tried on a phone**: the descriptions of such devices say so. What such a number can and cannot tell:

- Times are whole microseconds: fine for whole networks, coarse for blocks below 100 microseconds.
- The program prints min, p5, median, p95, max; quantiles in between are straight lines.
- Energy comes from the phone's ODPM counters where they may be read (:mod:`edgenas.devices.kinds.adb_energy`).
- There is no anchor: every visit counts as quiet. Keep the screen off and the phone cool.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from edgenas.devices.kinds.adb_energy import SECONDS, around, energy_of, find_counters, read_script, without_energy
from edgenas.devices.kinds.adb_phone import Phone, PhoneAwayError
from edgenas.devices.kinds.benchmark_inputs import input_flags
from edgenas.devices.kinds.benchmark_output import BenchmarkSummary, parse_benchmark
from edgenas.devices.kinds.client import Record
from edgenas.devices.kinds.outcomes import Outcomes
from edgenas.devices.kinds.ssh_host import Patience
from edgenas.devices.measurement import Measurement, Provenance
from edgenas.devices.on_device.energy.meter import MeterError
from edgenas.export.temporary import temporary_folder
from edgenas.spaces.errors import InputError

_LOG = logging.getLogger("edgenas.devices")
ON_PHONE = "/data/local/tmp"
_OPTIONS = ("serial", "benchmark_model", "cpus", "adb", "retries", "retry_seconds")
_PORTION = 200  # models that are pushed at once
_BEGIN, _END = "edgenas-begin", "edgenas-end"
_THROTTLED_REPEATS = 3
_COOL_SECONDS = 10.0
_PROPERTIES = ("ro.product.manufacturer", "ro.product.model", "ro.soc.model", "ro.build.version.release")


@register_device("adb")
class AdbDevice(Device):
    """A phone.

    Options: ``serial`` (of ``adb devices``), ``benchmark_model`` (a file of this computer that is pushed; without, the
    phone's ``/data/local/tmp/benchmark_model``), ``cpus`` (numbers to pin to), ``adb`` (the program).
    """

    post_processing: ClassVar[str] = "operator"

    def __init__(self, spec: DeviceSpec) -> None:
        super().__init__(spec)
        for key in spec.options:
            if key not in _OPTIONS:
                raise InputError(f"{spec.source}: unknown option {key!r}: kind adb takes {', '.join(_OPTIONS)}")
        self.phone = Phone(str(spec.options.get("serial") or ""), str(spec.options.get("adb") or "adb"))
        cpus = spec.options.get("cpus") or []
        if not isinstance(cpus, list) or not all(isinstance(cpu, int) and cpu >= 0 for cpu in cpus):
            raise InputError(f"{spec.source}: option 'cpus' must be a list of CPU numbers, found {cpus!r}")
        self.cpus = tuple(cpus)
        program = spec.options.get("benchmark_model")
        self.program = None if program is None else Path(str(program)).expanduser()
        self._was_reached = False
        self._meter: MeterFound | None = None
        self.folder = f"{ON_PHONE}/edgenas-{os.getpid()}"
        self.patience = Patience(
            int(spec.options.get("retries", 6)), float(spec.options.get("retry_seconds", Patience().first_seconds))
        )

    @property
    def lock_names(self) -> tuple[str, ...]:
        """The phone, where its serial number tells which; else there is one."""
        return (f"adb {self.spec.options.get('serial') or ''}".strip(),)

    # What it is ----------------------------------------------------------------------------------------------------

    def identity(self, *, threads: int = 1) -> Provenance:
        program = self._install()
        lines = self.phone.shell("; ".join([*(f"getprop {key}" for key in _PROPERTIES), f"sha256sum {program}"])).split(
            "\n"
        )
        if len(lines) < len(_PROPERTIES):
            raise MeasurementError(f"the phone does not tell what it is: {lines!r}")
        self._was_reached = True
        maker, model, chip, android = (line.strip() for line in lines[:4])
        return Provenance(
            kind="measured",
            device=self.name,
            runtime="benchmark_model",
            runtime_version=f"sha256 {lines[4].split()[0][:12]}" if len(lines) > 4 and lines[4].strip() else "unknown",
            threads=threads,
            affinity=self.cpus or None,
            cpu_model=" ".join(word for word in (maker, model, chip) if word) or None,
            system=f"Android {android}" if android else None,
            time_utc=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )

    def meter(self) -> MeterFound:
        if self._meter is None:
            self._meter = find_counters(self.phone.shell(read_script()), self.spec.power)
        return self._meter

    def _install(self) -> str:
        """Sees that the program is on the phone; returns its path there."""
        if self.program is None:
            path = f"{ON_PHONE}/benchmark_model"
            hint = f"push it there, or name the file with --benchmark-model: {_WHERE}"
        else:
            try:
                content = self.program.read_bytes()
            except OSError as error:
                raise InputError(f"{self.spec.source}: {self.program}: cannot be read ({error.strerror})") from None
            path = f"{ON_PHONE}/edgenas-benchmark-{hashlib.sha256(content).hexdigest()[:16]}"
            hint = "is the phone's storage full?"
            if "yes" not in self.phone.shell(f"test -x {path} && echo yes; true"):
                self.phone.push(str(self.program), f"{path}.part")
                self.phone.shell(f"chmod 755 {path}.part && mv {path}.part {path}")
        if "yes" not in self.phone.shell(f"test -x {path} && echo yes; true"):
            raise MeasurementError(f"the phone has no program {path}: {hint}")
        return path

    # Measuring -----------------------------------------------------------------------------------------------------

    def measure_many(
        self,
        models: Mapping[str, Model],
        settings: MeasureSettings | None = None,
        on_result: Callable[[str, MeasurementOutcome], None] | None = None,
    ) -> dict[str, MeasurementOutcome]:
        settings = settings or MeasureSettings()
        outcomes = Outcomes(on_result)
        pending, failures = list(models.items()), 0
        try:
            while pending:
                before = len(outcomes)
                try:
                    self._measure_portion(pending[:_PORTION], settings, outcomes.record)
                except PhoneAwayError as error:
                    failures = 1 if len(outcomes) > before else failures + 1
                    if not self._was_reached or failures > self.patience.retries:
                        raise DeviceLostError(str(error)) from None
                    _LOG.warning("%s; trying again in %.0f s", error, self.patience.pause(failures))
                    time.sleep(self.patience.pause(failures))
                except MeasurementError as error:
                    raise DeviceLostError(str(error)) from None
                pending = [(name, model) for name, model in pending if name not in outcomes]
        finally:
            with contextlib.suppress(MeasurementError):
                self.phone.shell(f"rm -rf {self.folder}")
        return {name: outcomes[name] for name in models}

    def _measure_portion(self, jobs: Sequence[tuple[str, Model]], settings: MeasureSettings, record: Record) -> None:
        identity = self.identity(threads=settings.threads)
        program = self._install()
        with temporary_folder("adb") as folder:
            for index, (_, model) in enumerate(jobs):
                content = model.read_bytes() if isinstance(model, Path) else model
                (folder / f"{index}.tflite").write_bytes(content)
                flags = input_flags(content, settings.inputs, settings.seed, folder, str(index))
                (folder / f"{index}.flags").write_text(" ".join(flags))
            (folder / "jobs.sh").write_text(self._script(program, len(jobs), settings))
            self.phone.shell(f"rm -rf {self.folder}; mkdir -p {self.folder}")
            self.phone.push(*sorted(str(path) for path in folder.iterdir()), f"{self.folder}/")
        repeats = dict.fromkeys(range(len(jobs)), _THROTTLED_REPEATS)
        todo = list(range(len(jobs)))
        while todo:
            hot = []
            for index, text, state in self._run(todo, settings.timeout_seconds):
                name = jobs[index][0]
                if state.get("throttled") and repeats[index]:
                    repeats[index] -= 1
                    hot.append(index)
                    continue
                try:
                    summary = parse_benchmark(without_energy(text))
                    measurement = _measurement(summary, identity, state, settings)
                    record(name, self._with_energy(measurement, text, summary) if settings.energy else measurement)
                except MeasurementError as error:
                    record(name, MeasurementError(f"model {name!r}: {error}"))
            if hot:
                time.sleep(_COOL_SECONDS)
            todo = hot

    def _with_energy(self, measurement: Measurement, text: str, summary: BenchmarkSummary) -> Measurement:
        found = self.meter()
        if found.name is None:
            return dataclasses.replace(measurement, energy_problem=found.words)
        try:
            energy = energy_of(text, summary.mean_us / 1e3, summary.runs, found.name, self.spec.power)
        except MeterError as error:
            return dataclasses.replace(measurement, energy_problem=str(error))
        return dataclasses.replace(measurement, energy=energy)

    def _script(self, program: str, count: int, settings: MeasureSettings) -> str:
        """Shell for the phone: ``sh jobs.sh NUMBER ...`` runs these models and tells clock and heat after each."""
        quick = settings.anchor is not None
        flags = {
            "num_threads": settings.threads,
            "warmup_min_secs": 0.02 if quick else settings.warmup_seconds,
            "num_runs": 20 if quick else settings.min_runs,
            "min_secs": 0.05 if quick else min(1.0, settings.max_seconds),
            "max_secs": settings.timeout_seconds / 2,
        }
        metered = settings.energy and not quick and self.meter().name is not None
        if metered:
            flags["min_secs"] = SECONDS
        pin = f"taskset {sum(1 << cpu for cpu in self.cpus):x} " if self.cpus else ""
        words = " ".join(f"--{key}={value:g}" for key, value in flags.items())
        clock = f"/sys/devices/system/cpu/cpu{self.cpus[0] if self.cpus else 0}/cpufreq/scaling_cur_freq"
        command = f"{pin}{program} --graph=$job.tflite {words} $(cat $job.flags)"
        run = f"{command} 2>&1 </dev/null &\necho $! $$ > pids\nwait $!\ncode=$?\n"
        return (
            f"# {count} models\ncd {self.folder}\nset -f\nfor job in $*; do\n"
            f"echo {_BEGIN} $job\n"
            f"{around(run) if metered else run}"
            f"echo\necho {_END} $job $code "
            f"clock=$(cat {clock} 2>/dev/null) "
            "heat=$(dumpsys battery 2>/dev/null | grep temperature | tr -dc 0-9) "
            "status=$(dumpsys thermalservice 2>/dev/null | grep 'Thermal Status' | tr -dc 0-9)\n"
            "done\n"
        )

    def _run(self, jobs: Sequence[int], timeout_seconds: float) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Runs models on the phone; yields what each printed, and the phone's state after it, as it comes."""
        waiting = list(jobs)
        with self.phone.lines(f"sh {self.folder}/jobs.sh {' '.join(map(str, waiting))}") as lines:
            while waiting:
                printed: list[str] = []
                deadline = time.monotonic() + timeout_seconds
                while True:
                    line = lines.next(max(0.0, deadline - time.monotonic()))
                    if line is None:
                        self.phone.shell(f"kill -9 $(cat {self.folder}/pids); true")
                        yield waiting.pop(0), f"error: no answer within {timeout_seconds:g} s", {}
                        if waiting:
                            yield from self._run(waiting, timeout_seconds)
                        return
                    if not line:
                        raise self.phone.away("; ".join(printed[-3:]).strip() or "the connection to the phone broke")
                    words = line.split()
                    if words[:2] == [_END, str(waiting[0])]:
                        yield waiting.pop(0), "".join(printed), _state(words[3:])
                        break
                    if words[:1] != [_BEGIN]:
                        printed.append(line)


_WHERE = "https://ai.google.dev/edge/litert/models/measurement has built ones"


def _state(words: Sequence[str]) -> dict[str, Any]:
    """Clock, heat and throttling of the phone from ``clock=kHz heat=tenths-of-degrees status=level``."""
    values = {key: int(value) for key, _, value in (word.partition("=") for word in words) if value.isdigit()}
    state: dict[str, Any] = {}
    if "clock" in values:
        state["frequency_mhz"] = values["clock"] / 1000
    if "heat" in values:
        state["temperature_c"] = values["heat"] / 10
    if values.get("status", 0) > 0:
        state["throttled"] = f"Android's thermal status is {values['status']}"
    return state


def _measurement(
    summary: BenchmarkSummary, identity: Provenance, state: Mapping[str, Any], settings: MeasureSettings
) -> Measurement:
    samples = summary.samples_ms()
    if samples[0] <= 0:
        raise MeasurementError("it takes less than the microsecond that benchmark_model can tell")
    protocol = "benchmark_model: min, p5, median, p95, max in whole us, straight lines between"
    if settings.anchor is not None:
        protocol += "; no anchor"
    return Measurement(
        samples,
        dataclasses.replace(identity, **state, runs=summary.runs, warmup_runs=summary.warmup_runs, protocol=protocol),
    )
