"""Microcontrollers without a board: latency and energy modelled from public measurements of others.

Nothing is measured and nothing is run: the provenance is ``modelled``, and the device's file says how wrong the model
was on networks, and on boards, that it was not fitted on. ``tools/fit_microcontrollers.py`` makes these files.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from edgenas.devices.device import (
    DeviceSpec,
    MeasurementError,
    MeterFound,
    register_device,
)
from edgenas.devices.kinds.computed import ComputedDevice, digest_of, read_constants
from edgenas.devices.kinds.microcontroller_model import MicroConstants, operator_works
from edgenas.devices.measurement import Measurement, OperatorShare, Provenance
from edgenas.export.tflite.reader import read_operators
from edgenas.spaces.errors import InputError

#: Goes up when the formulas change.
MODEL_VERSION = 1
_OPTIONS = ("engine", "board", "memory", "constants", "errors")
_FLOAT = ("FLOAT32", "FLOAT16")
_LEAST_MS = 1e-6


@register_device("microcontroller")
class MicrocontrollerDevice(ComputedDevice):
    """Options: ``board`` and ``engine`` that the figures are of, ``memory`` of the board's chip (``ram_bytes`` and
    ``flash_bytes``, which `edgenas check` holds a model against), ``constants`` (every field of :class:`MicroConstants`
    as ``{value, source}``), and ``errors`` of networks and boards left out (``{median, max, networks}``).
    """

    def __init__(self, spec: DeviceSpec) -> None:
        super().__init__(spec)
        for key in spec.options:
            if key not in _OPTIONS:
                raise InputError(f"{spec.source}: unknown option {key!r}: kind {self.kind} takes {', '.join(_OPTIONS)}")
        self.memory = _read_memory(spec)
        self.constants = _read_constants(spec)
        self.errors = _read_errors(spec)

    def identity(self, *, threads: int = 1) -> Provenance:
        return self._provenance()

    def meter(self) -> MeterFound:
        return MeterFound(None, "there is nothing to measure on a modelled device")

    def compute(self, model: bytes, *, in_network: bool) -> Measurement:
        operators = read_operators(model)
        if not operators:
            raise MeasurementError("it has no operators")
        floats = [operator for operator in operators if any(tensor.dtype in _FLOAT for tensor in operator.outputs)]
        if floats:
            raise MeasurementError(
                f"{len(floats)} of {len(operators)} operators compute in floating point, and the model is of 8-bit "
                f"integers: quantize the whole model first (int8)"
            )
        factor = self.spec.calibration.factor
        shares = [factor * self.constants.block_ms(work) for work in operator_works(operators)]
        fixed = 0.0 if in_network else factor * self.constants.fixed_ms
        latency_ms = max(sum(shares) + fixed, _LEAST_MS)
        energy = self.spec.power.energy(latency_ms, 0, kind="modelled")
        told = tuple(OperatorShare(share) for share in shares)
        return Measurement((latency_ms,), self._provenance(), energy, shares=told)

    def _provenance(self) -> Provenance:
        options = self.spec.options
        words = [
            f"modelled from public measurements of {options['board']} with {options['engine']}, not measured",
            *(
                f"error of {what} left out: median {one['median']:.0%}, largest {one['max']:.0%}"
                for what, one in self.errors.items()
            ),
            *filter(None, [self.spec.calibration.describe()]),
        ]
        return Provenance(
            kind="modelled",
            device=self.name,
            runtime="analytical model",
            runtime_version=f"{MODEL_VERSION}-{digest_of(self.constants)}{self.spec.calibration.mark}",
            frequency_mhz=self.constants.clock_mhz,
            runs=1,
            protocol="; ".join(words),
            time_utc=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )


def _read_memory(spec: DeviceSpec) -> dict[str, int]:
    """The chip's memory by name. Raises InputError naming the key."""
    memory = spec.options.get("memory") or {}
    keys = ("ram_bytes", "flash_bytes")
    if not isinstance(memory, Mapping) or (unknown := set(memory) - {*keys, "source"}):
        told = f"unknown key {sorted(map(str, unknown))[0]!r}" if isinstance(memory, Mapping) else f"found {memory!r}"
        raise InputError(f"{spec.source}: option 'memory': {told}: expected {' and '.join(keys)}")
    for key in set(keys) & set(memory):
        if isinstance(memory[key], bool) or not isinstance(memory[key], int) or memory[key] < 1:
            raise InputError(f"{spec.source}: option 'memory': {key} must be a number of bytes, found {memory[key]!r}")
    return {key: memory[key] for key in keys if key in memory}


def _read_constants(spec: DeviceSpec) -> MicroConstants:
    for key in ("board", "engine"):
        if not isinstance(spec.options.get(key), str):
            raise InputError(f"{spec.source}: option {key!r} must be a text, found {spec.options.get(key)!r}")
    return read_constants(spec, MicroConstants)


def _read_errors(spec: DeviceSpec) -> dict[str, dict[str, float]]:
    given: Any = spec.options.get("errors") or {}
    for what, figures in given.items() if isinstance(given, Mapping) else [("", None)]:
        numbers = figures if isinstance(figures, Mapping) else {}
        if not all(isinstance(numbers.get(key), (int, float)) for key in ("median", "max", "networks")):
            raise InputError(f"{spec.source}: errors.{what} must be {{median, max, networks}}, found {figures!r}")
    return {str(what): dict(figures) for what, figures in given.items()}
