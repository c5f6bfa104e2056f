"""What a device draws: watts for a model of its energy, and which meter to ask. The key ``power`` of its file.

    power:
      idle_watts: 2.7                                          # or {value: 2.7, source: "where the figure is from"}
      active_watts: {value: 6.1, source: "maker's datasheet, one core busy"}
      pj_per_byte: {value: 160, source: "..."}                 # optional, per byte that crosses the memory's bus
      meter: auto                                              # or none, or one of rapl, ina, rpi5-pmic, odpm
      command: usb-meter --watts                               # a meter of your own: prints watts, line by line
      rails: [VDD_IN]                                          # only these rails of the meter

Without a meter, the energy of one inference is modelled:

    energy = (active_watts - idle_watts) * latency + bytes moved * pj_per_byte

It is as good as the watts are: those of a processor change with its load, and published ones are often a peak.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgenas.devices.measurement import Energy, Kind
from edgenas.spaces.errors import InputError

_FIGURES = ("idle_watts", "active_watts", "pj_per_byte")
_KEYS = (*_FIGURES, "meter", "command", "rails")
#: mJ in a pJ.
_MJ_PER_PJ = 1e-9


@dataclass(frozen=True)
class Power:
    """A device's watts, None where nobody published them, and its meter.

    ``sources`` tells where each figure comes from. Raises InputError when only one of the watts is given, or less is
    drawn when active than when idle.
    """

    idle_watts: float | None = None
    active_watts: float | None = None
    pj_per_byte: float = 0.0
    meter: str = "auto"
    command: str | None = None
    rails: tuple[str, ...] = ()
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.idle_watts is None) != (self.active_watts is None):
            raise InputError("power: idle_watts and active_watts must be given together")
        if self.active_watts is not None and self.idle_watts is not None and self.active_watts <= self.idle_watts:
            raise InputError(
                f"power: active_watts ({self.active_watts:g}) must be above idle_watts ({self.idle_watts:g})"
            )

    @property
    def has_watts(self) -> bool:
        """Whether energy can be modelled."""
        return self.active_watts is not None

    def energy(self, latency_ms: float, bytes_moved: int = 0, *, kind: Kind = "modelled") -> Energy | None:
        """Modelled energy of one inference that takes ``latency_ms``; None when the watts are not known.

        >>> Power(2.0, 5.0).energy(10.0).energy_mj
        30.0
        """
        if self.idle_watts is None or self.active_watts is None:
            return None
        moved_mj = bytes_moved * self.pj_per_byte * _MJ_PER_PJ
        return Energy(
            energy_mj=(self.active_watts - self.idle_watts) * latency_ms + moved_mj,
            total_mj=self.active_watts * latency_ms + moved_mj,
            idle_watts=self.idle_watts,
            active_watts=self.active_watts,
            runs=1,
            seconds=latency_ms / 1e3,
            meter=self.model_name,
            kind=kind,
        )

    @property
    def model_name(self) -> str:
        """How modelled energies are made, in place of a meter's name."""
        return "watts x latency" + (f" + {self.pj_per_byte:g} pJ per byte moved" if self.pj_per_byte else "")

    def describe(self, *, sources: bool = True) -> str:
        """The watts in a line, with where they come from.

        >>> Power(0.0, 2.0, sources={"active_watts": "datasheet"}).describe()
        '0 W idle, 2 W active (datasheet)'
        """
        if not self.has_watts:
            return "no watts are known"
        parts = []
        for name, unit in zip(_FIGURES, ("W idle", "W active", "pJ per byte"), strict=True):
            value, source = getattr(self, name), self.sources.get(name) if sources else None
            if value or name != "pj_per_byte":
                parts.append(f"{value:g} {unit}" + (f" ({source})" if source else ""))
        return ", ".join(parts)

    def to_yaml(self) -> dict[str, Any]:
        """Plain data for a device's file; :func:`read_power` reads it back."""
        data: dict[str, Any] = {}
        for name in _FIGURES:
            value = getattr(self, name)
            if value is not None and (value or name != "pj_per_byte"):
                source = self.sources.get(name)
                data[name] = {"value": value, "source": source} if source else value
        if self.meter != "auto":
            data["meter"] = self.meter
        if self.command is not None:
            data["command"] = self.command
        if self.rails:
            data["rails"] = list(self.rails)
        return data


def read_power(raw: Any, source: str) -> Power:
    """The key ``power`` of a device's file. Raises InputError naming the file, the key, and what is expected."""
    if raw is None:
        return Power()
    if not isinstance(raw, Mapping):
        raise InputError(f"{source}: power must be a mapping with the keys {', '.join(_KEYS)}, found {raw!r}")
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for key, given in raw.items():
        if key not in _KEYS:
            raise InputError(f"{source}: unknown key power.{key}: expected one of {', '.join(_KEYS)}")
        if key in _FIGURES:
            values[key], words = _figure(given, f"{source}: power.{key}")
            if words:
                sources[key] = words
        elif key == "rails":
            if not isinstance(given, list) or not given or not all(isinstance(rail, str) for rail in given):
                raise InputError(f"{source}: power.rails must be a list of names of rails, found {given!r}")
            values[key] = tuple(given)
        elif not isinstance(given, str) or not given.strip():
            raise InputError(f"{source}: power.{key} must be a text, found {given!r}")
        else:
            values[key] = given
    try:
        return Power(**values, sources=sources)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def _figure(given: Any, where: str) -> tuple[float, str]:
    words = ""
    if isinstance(given, Mapping):
        if set(given) - {"value", "source"}:
            raise InputError(f"{where}: expected a number, or {{value: NUMBER, source: TEXT}}, found {dict(given)!r}")
        given, words = given.get("value"), str(given.get("source") or "")
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 <= given < float("inf"):
        raise InputError(f"{where} must be a number from 0, found {given!r}")
    return float(given), words
