"""INA219, INA226, INA260, INA3221 and their like: current sensors on many boards, among them NVIDIA's Jetsons.

Linux shows them under ``/sys/class/hwmon`` (millivolts, milliamperes, for some microwatts); the kernels of older
Jetsons under ``/sys/bus/i2c/drivers/ina3221x`` (milliwatts). Where a rail is the board's input (``VDD_IN``), it is the
total and the others are parts of it; else the rails are summed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from . import sysfs
from .meter import Meter, MeterError, Reading, chosen, now, register_meter

HWMON = "sys/class/hwmon/hwmon*"
#: Older Jetsons: rail_name_0, in_power0_input.
OLD_JETSON = ("sys/bus/i2c/drivers/ina3221x/*/iio:device*", "sys/bus/i2c/drivers/ina3221x/*/iio_device")
#: Rails that feed all of a board.
TOTALS = ("VDD_IN", "POM_5V_IN")
_SHORTEST_PERIOD_SECONDS = 0.02


class Rail:
    """A rail and how its watts are read."""

    def __init__(self, name: str, watts: Callable[[], float | None], where: str, period_seconds: float = 0.0) -> None:
        self.name = name
        self.where = where
        self.period_seconds = period_seconds
        self._watts = watts

    def watts(self) -> float:
        """Power now. Raises MeterError."""
        value = self._watts()
        if value is None:
            raise MeterError(f"the sensor of rail {self.name!r} does not answer: {self.where} cannot be read")
        return value


@register_meter("ina")
class Ina(Meter):
    """All rails of all such sensors, or the one that is the total."""

    def __init__(self, rails: list[Rail]) -> None:
        self.sensors = rails
        self.rails = tuple(rail.name for rail in rails)
        self.period_seconds = max(_SHORTEST_PERIOD_SECONDS, *(rail.period_seconds for rail in rails))
        self.read()

    @classmethod
    def find(cls, settings: dict[str, Any]) -> Ina | None:
        root = settings["root"]
        rails = [rail for folder in sysfs.paths(root, HWMON) for rail in hwmon_rails(folder)]
        if not rails:
            rails = [rail for pattern in OLD_JETSON for folder in sysfs.paths(root, pattern) for rail in _old(folder)]
        if not rails:
            return None
        wanted = settings.get("rails") or []
        chosen(wanted, [rail.name for rail in rails], "the INA sensor")
        if not wanted:
            wanted = [rail.name for rail in rails if rail.name in TOTALS][:1]
        return cls([rail for rail in rails if not wanted or rail.name in wanted])

    def read(self) -> Reading:
        return Reading(now(), watts=sum(rail.watts() for rail in self.sensors))


def hwmon_rails(folder: str) -> list[Rail]:
    """Rails of one hwmon folder; none when it is no INA sensor, or a channel is switched off."""
    chip = sysfs.text(os.path.join(folder, "name")) or ""
    if not re.match(r"ina\d", chip):
        return []
    period = (sysfs.number(os.path.join(folder, "update_interval")) or 0.0) / 1e3
    rails = []
    for path in sysfs.paths(folder, "curr*_input"):
        channel = os.path.basename(path)[len("curr") : -len("_input")]
        if sysfs.text(os.path.join(folder, f"in{channel}_enable")) == "0":
            continue
        label = sysfs.text(os.path.join(folder, f"in{channel}_label")) or f"{chip}@{os.path.basename(folder)}"
        watts = _watts_of(folder, channel)
        # A channel without anything on it does not answer, or in words.
        if "sum of" not in label and watts() is not None:
            rails.append(Rail(label, watts, path, period))
    return rails


def _watts_of(folder: str, channel: str) -> Callable[[], float | None]:
    power, volts, amperes = (os.path.join(folder, f"{kind}{channel}_input") for kind in ("power", "in", "curr"))
    if os.path.exists(power):
        return lambda: _times(sysfs.number(power), 1e-6)
    return lambda: _times(sysfs.number(volts), (sysfs.number(amperes) or 0.0) * 1e-6)


def _old(folder: str) -> list[Rail]:
    rails = []
    for path in sysfs.paths(folder, "in_power*_input"):
        channel = os.path.basename(path)[len("in_power") : -len("_input")]
        name = sysfs.text(os.path.join(folder, f"rail_name_{channel}")) or f"power{channel}"
        rails.append(Rail(name, lambda path=path: _times(sysfs.number(path), 1e-3), path))  # type: ignore[misc]
    return rails


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
