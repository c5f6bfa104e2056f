"""A simulated Edge TPU for people without one: an analytical model instead of a measurement, and labelled so.

The same model gives the same number every time, so it is visited once. What the real compiler would refuse is refused
here too, in its words.
"""

from __future__ import annotations

import time
from typing import ClassVar

from edgenas.devices.device import (
    DeviceSpec,
    MeasurementError,
    MeterFound,
    register_device,
)
from edgenas.devices.kinds.computed import ComputedDevice, digest_of, read_constants
from edgenas.devices.kinds.edgetpu_model import EdgeTpuConstants, work_of
from edgenas.devices.measurement import Measurement, Provenance
from edgenas.export.compilers.edgetpu.check import check_operators
from edgenas.export.compilers.edgetpu.compiled import is_compiled
from edgenas.export.tflite.constants import integer_constants
from edgenas.export.tflite.group_split import groups_of, split_group_convolutions
from edgenas.export.tflite.reader import read_operators
from edgenas.spaces.errors import InputError

#: Goes up when the formulas change; the constants are told apart by their checksum.
MODEL_VERSION = 1


@register_device("edgetpu-simulation")
class SimulatedEdgeTpu(ComputedDevice):
    """Option ``constants``: for every field of :class:`EdgeTpuConstants` a mapping ``{value, source}``."""

    group_convolution: ClassVar[str] = "split"
    arg_max: ClassVar[str] = "chain"
    needs_known_shapes: ClassVar[bool] = True

    def __init__(self, spec: DeviceSpec) -> None:
        super().__init__(spec)
        unknown = sorted(set(spec.options) - {"constants"})
        if unknown:
            raise InputError(f"{spec.source}: unknown option {unknown[0]!r}: a {spec.kind} device takes constants")
        self.constants = read_constants(spec, EdgeTpuConstants)

    def identity(self, *, threads: int = 1) -> Provenance:
        return self._provenance("")

    def meter(self) -> MeterFound:
        return MeterFound(None, "there is nothing to measure on a simulated device")

    def compute(self, model: bytes, *, in_network: bool) -> Measurement:
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
        latency_ms = self.constants.block_ms(work) if in_network else self.constants.latency_ms(work)
        latency_ms *= self.spec.calibration.factor
        told = f"{report.mapped} of {len(operators)} operators on the Edge TPU"
        if grouped:
            told += f", {grouped} group convolution(s) as SPLIT, one CONV_2D a group, CONCATENATION"
        if report.cpu:
            told += f", {report.cpu} on the host's CPU"
        if report.streamed_bytes:
            told += f", {report.streamed_bytes:,} bytes of parameters streamed"
        latency_ms = max(latency_ms, 1e-6)  # a model of reshapes alone
        energy = self.spec.power.energy(latency_ms, 0 if in_network else work.bus_bytes, kind="simulated")
        return Measurement((latency_ms,), self._provenance(told), energy)

    def _provenance(self, told: str) -> Provenance:
        factor = self.spec.calibration
        return Provenance(
            kind="simulated",
            device=self.name,
            runtime="analytical model",
            runtime_version=f"{MODEL_VERSION}-{digest_of(self.constants)}{factor.mark}",
            frequency_mhz=self.constants.clock_mhz,
            runs=1,
            protocol="; ".join(["simulated, not measured", *filter(None, (told, factor.describe()))]),
            time_utc=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
