"""A simulated Edge TPU for people without one: an analytical model instead of a measurement, and labelled so.

The same model gives the same number every time, so it is visited once. What the real compiler would refuse is refused
here too, in its words.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgenas.devices.device import (
    Device,
    DeviceSpec,
    MeasurementError,
    MeasurementOutcome,
    MeasureSettings,
    MeterFound,
    Model,
    register_device,
)
from edgenas.devices.kinds.edgetpu_model import EdgeTpuConstants, work_of
from edgenas.devices.measurement import Measurement, Provenance
from edgenas.export.compilers.edgetpu.check import check_operators
from edgenas.export.compilers.edgetpu.compiled import is_compiled
from edgenas.export.tflite.constants import integer_constants
from edgenas.export.tflite.group_split import groups_of, split_group_convolutions
from edgenas.export.tflite.reader import read_operators
from edgenas.spaces.errors import EdgeNASError, InputError

#: Goes up when the formulas change; the constants are told apart by their checksum.
MODEL_VERSION = 1


@register_device("edgetpu-simulation")
class SimulatedEdgeTpu(Device):
    """Option ``constants``: for every field of :class:`EdgeTpuConstants` a mapping ``{value, source}``."""

    is_exact: ClassVar[bool] = True
    group_convolution: ClassVar[str] = "split"
    needs_known_shapes: ClassVar[bool] = True

    def __init__(self, spec: DeviceSpec) -> None:
        super().__init__(spec)
        self.constants = _read_constants(spec)

    def identity(self, *, threads: int = 1) -> Provenance:
        return self._provenance("")

    def measure_many(
        self,
        models: Mapping[str, Model],
        settings: MeasureSettings | None = None,
        on_result: Callable[[str, MeasurementOutcome], None] | None = None,
    ) -> dict[str, MeasurementOutcome]:
        settings = settings or MeasureSettings()
        outcomes: dict[str, MeasurementOutcome] = {}
        for name, model in models.items():
            try:
                content = model.read_bytes() if isinstance(model, Path) else model
                outcomes[name] = self._simulate(content, inside_network=settings.inside_network)
            except (EdgeNASError, OSError) as error:
                outcomes[name] = MeasurementError(f"model {name!r}: {error}")
            except OverflowError:
                outcomes[name] = MeasurementError(f"model {name!r}: its tensors are larger than any machine's memory")
            if on_result:
                on_result(name, outcomes[name])
        return outcomes

    def meter(self) -> MeterFound:
        return MeterFound(None, "there is nothing to measure on a simulated device")

    def _simulate(self, model: bytes, *, inside_network: bool) -> Measurement:
        if is_compiled(model):
            raise MeasurementError(
                "it is compiled already, and a compiled file does not tell its operators: give the .tflite file that "
                "was compiled"
            )
        grouped = sum(groups_of(operator) > 1 for operator in read_operators(model))
        model = split_group_convolutions(model)
        operators, constants = read_operators(model), integer_constants(model)
        report = check_operators(operators, constants)
        if report.failure is not None:
            raise MeasurementError(
                f"the Edge TPU compiler would refuse the file: {report.failure}; {report.failure_change}"
            )
        if not report.mapped:
            reason = report.operators[0].reason if report.operators else "it has no operators"
            raise MeasurementError(f"no operator maps to the Edge TPU, so there is nothing to simulate: {reason}")
        work = work_of(operators, report)
        latency_ms = self.constants.block_ms(work) if inside_network else self.constants.latency_ms(work)
        latency_ms *= self.spec.calibration.factor
        told = f"{report.mapped} of {len(operators)} operators on the Edge TPU"
        if grouped:
            told += f", {grouped} group convolution(s) as SPLIT, one CONV_2D a group, CONCATENATION"
        if report.cpu:
            told += f", {report.cpu} on the host's CPU"
        if report.streamed_bytes:
            told += f", {report.streamed_bytes:,} bytes of parameters streamed"
        latency_ms = max(latency_ms, 1e-6)  # a model of reshapes alone
        energy = self.spec.power.energy(latency_ms, 0 if inside_network else work.bus_bytes, kind="simulated")
        return Measurement((latency_ms,), self._provenance(told), energy)

    def _provenance(self, told: str) -> Provenance:
        values = json.dumps(dataclasses.asdict(self.constants), sort_keys=True)
        factor = self.spec.calibration
        return Provenance(
            kind="simulated",
            device=self.name,
            runtime="analytical model",
            runtime_version=f"{MODEL_VERSION}-{hashlib.sha256(values.encode()).hexdigest()[:8]}{factor.mark}",
            frequency_mhz=self.constants.clock_mhz,
            runs=1,
            protocol="; ".join(["simulated, not measured", *filter(None, (told, factor.describe()))]),
            time_utc=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )


def _read_constants(spec: DeviceSpec) -> EdgeTpuConstants:
    given: Any = spec.options.get("constants")
    names = [field.name for field in dataclasses.fields(EdgeTpuConstants)]
    unknown = sorted(set(spec.options) - {"constants"})
    if unknown:
        raise InputError(f"{spec.source}: unknown option {unknown[0]!r}: a {spec.kind} device takes constants")
    if not isinstance(given, Mapping) or set(given) != set(names):
        raise InputError(f"{spec.source}: option 'constants' must have exactly the keys {', '.join(names)}")
    values = {}
    for name in names:
        entry = given[name]
        value = entry.get("value") if isinstance(entry, Mapping) else None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
            raise InputError(
                f"{spec.source}: constant {name!r} must be {{value: NUMBER, source: TEXT}}, found {entry!r}"
            )
        if not str(entry.get("source") or ""):
            raise InputError(f"{spec.source}: constant {name!r} lacks its source: say where {value} comes from")
        values[name] = float(value)
    if not values["clock_mhz"]:
        raise InputError(f"{spec.source}: constant 'clock_mhz' must be above 0")
    return EdgeTpuConstants(**values)
