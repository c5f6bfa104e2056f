"""Arm's Ethos-U NPUs without a board: every model is compiled by Arm's own Vela, whose estimate is the latency.

It is Arm's estimate, never a measurement, and labelled so: boards are known to take 1.3 to 2 times as long. A factor
from a board of one's own (``edgenas devices calibrate``) is applied where there is one. Operators that Vela leaves to
the CPU are not in the estimate: a block with such an operator is refused, a whole network's number says how many.
"""

from __future__ import annotations

import json
import time
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from edgenas.devices.device import (
    DeviceSpec,
    MeasurementError,
    MeterFound,
    Model,
    register_device,
)
from edgenas.devices.kinds.computed import ComputedDevice
from edgenas.devices.measurement import Measurement, OperatorShare, Provenance
from edgenas.export.compilers.ethos_u.compiler import CompiledForEthosU, compile_for_ethos_u
from edgenas.export.compilers.ethos_u.configuration import ARMS_OWN, Configuration, configure
from edgenas.export.compilers.ethos_u.report import VelaReport
from edgenas.export.extra import VELA
from edgenas.export.resident import AT_ONCE
from edgenas.spaces.errors import InputError

_OPTIONS = ("accelerator", "system_config", "memory_mode", "config", "optimise", "arena_cache_size")
_REQUIRED = _OPTIONS[:3]
#: An estimate of nothing at all, of a model of reshapes, say.
_LEAST_MS = 1e-6


@register_device("ethos-u")
class EthosUDevice(ComputedDevice):
    """Options: ``accelerator`` (``ethos-u55-128``), ``system_config`` and ``memory_mode`` (sections of the
    configuration file), ``config`` (an ``.ini`` of your own; without, Arm's), ``optimise`` (performance or size) and
    ``arena_cache_size`` (bytes of SRAM that the memory mode may use).
    """

    at_once: ClassVar[int] = AT_ONCE
    tells_shares: ClassVar[bool] = True
    needs_known_shapes: ClassVar[bool] = True

    def __init__(self, spec: DeviceSpec) -> None:
        super().__init__(spec)
        for key in spec.options:
            if key not in _OPTIONS:
                raise InputError(f"{spec.source}: unknown option {key!r}: kind {self.kind} takes {', '.join(_OPTIONS)}")
        for key in _REQUIRED:
            if not isinstance(spec.options.get(key), str):
                raise InputError(f"{spec.source}: option {key!r} must be a text, found {spec.options.get(key)!r}")
        size = spec.options.get("arena_cache_size")
        if size is not None and (isinstance(size, bool) or not isinstance(size, int)):
            raise InputError(f"{spec.source}: option 'arena_cache_size' must be a number of bytes, found {size!r}")

    @cached_property
    def configuration(self) -> Configuration:
        """What models are compiled for. Raises InputError naming the device's file, or what to install."""
        options = self.spec.options
        VELA.require()
        config = str(options.get("config") or ARMS_OWN)
        if config != ARMS_OWN and not Path(config).is_absolute():
            config = str(Path(self.spec.source).parent / Path(config).expanduser())
        try:
            return configure(
                options["accelerator"],
                options["system_config"],
                options["memory_mode"],
                config=config,
                optimise=str(options.get("optimise") or "performance"),
                arena_cache_size=options.get("arena_cache_size"),
            )
        except InputError as error:
            raise InputError(f"device {self.name!r} ({self.spec.source}): {error}") from None

    def identity(self, *, threads: int = 1) -> Provenance:
        return self._provenance("")

    def meter(self) -> MeterFound:
        return MeterFound(None, "Arm's compiler estimates no energy, and there is no board to measure")

    def compile(self, model: Model) -> CompiledForEthosU:
        """The file as a board runs it, with the compiler's report. Raises InputError, or WorkError when it fails."""
        content = model.read_bytes() if isinstance(model, Path) else model
        return compile_for_ethos_u(content, self.configuration)

    def board_files(self, model: bytes) -> dict[str, bytes]:
        """The compiled file, and what the firmware must agree with."""
        found = self.compile(model)
        assert found.model is not None
        facts = {
            "compiler": f"Arm Vela {VELA.require()}",
            **self.configuration.to_json(),
            "estimate": found.report.to_json(),
            "arena_bytes": found.report.arena_bytes,
            "arena": f"the compiler's plan of {self.configuration.fast_memory}; the firmware's runtime adds its own",
            "operators_on_cpu": [f"{one.index} {one.name}: {one.reason}" for one in found.report.on_cpu],
        }
        return {"_vela.tflite": found.model, "_vela.json": (json.dumps(facts, indent=2) + "\n").encode()}

    def compute(self, model: bytes, *, in_network: bool) -> Measurement:
        report = compile_for_ethos_u(model, self.configuration, keep=False).report
        return self._estimate(report, in_network=in_network)

    def _estimate(self, report: VelaReport, *, in_network: bool) -> Measurement:
        left = report.on_cpu
        words = "; ".join(sorted({f"{operator.name}: {operator.reason}" for operator in left}))[:400]
        if len(left) == len(report.operators):
            raise MeasurementError(
                f"no operator runs on the NPU, so there is nothing to estimate: {words or 'the model has no operators'}"
            )
        if left and in_network:
            raise MeasurementError(f"Vela leaves it to the CPU in part, which the estimate does not count: {words}")
        told = f"{len(report.operators) - len(left)} of {len(report.operators)} operators on the NPU"
        if left:
            told += f"; without the {len(left)} on the CPU ({words})"
        factor = self.spec.calibration.factor
        shares = tuple(
            OperatorShare(factor * latency_ms, operator.sram_bytes, operator.constant_bytes, operator.on_npu)
            for latency_ms, operator in zip(report.operators_ms(), report.operators, strict=True)
        )
        memory: dict[str, int] = {
            "sram_bytes": report.sram_bytes,
            "flash_bytes": report.flash_bytes,
            "off_chip_traffic_bytes": report.off_chip_bytes,
        }
        latency_ms = max(factor * report.latency_ms, _LEAST_MS)
        return Measurement((latency_ms,), self._provenance(told), memory=memory, shares=shares, uncounted=len(left))

    def _provenance(self, told: str) -> Provenance:
        configuration: Any = self.configuration
        setting = f"{configuration.accelerator.name}, {configuration.system}, {configuration.memory_mode}"
        words = [f"Arm's estimate, not measured: {setting}", *filter(None, (told, self.spec.calibration.describe()))]
        return Provenance(
            kind="simulated",
            device=self.name,
            runtime="Arm Vela",
            runtime_version=f"{VELA.require()} ({configuration.digest}{self.spec.calibration.mark})",
            frequency_mhz=configuration.clock_hz / 1e6,
            runs=1,
            protocol="; ".join(words),
            time_utc=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
