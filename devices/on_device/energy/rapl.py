"""RAPL: energy counters inside Intel and AMD processors, through Linux' powercap tree.

Each zone has ``energy_uj``, a counter in microjoules that starts again from 0 beyond ``max_energy_range_uj`` (after
about a minute of full load on a server), updated about every millisecond. Packages and their DRAM are summed; cores and
uncore are parts of a package, ``psys`` contains it. The counters see all that runs on the processor, not one process.
"""

from __future__ import annotations

import os
from typing import Any

from . import sysfs
from .meter import Meter, MeterError, Reading, chosen, now, register_meter

FOLDER = "sys/class/powercap"
HOW_TO_ALLOW = (
    "only root may read it (CVE-2020-8694): `sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj` allows it until "
    "the next boot; a udev rule or tmpfiles.d line does so for good"
)


class Zone:
    """One counter, made monotonic."""

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, "energy_uj")
        self.name = sysfs.text(os.path.join(folder, "name")) or os.path.basename(folder)
        self.range_uj = sysfs.number(os.path.join(folder, "max_energy_range_uj")) or 0.0
        self._last: float | None = None
        self._total = 0.0

    def joules(self) -> float:
        """Energy since the first call."""
        try:
            with open(self.path) as file:
                value = float(file.read())
        except PermissionError:
            raise MeterError(f"RAPL is there, but {self.path} cannot be read: {HOW_TO_ALLOW}") from None
        except (OSError, ValueError) as error:
            raise MeterError(f"RAPL is there, but {self.path} cannot be read: {error}") from None
        if self._last is not None:
            step = value - self._last
            if step < 0:
                if not self.range_uj:
                    raise MeterError(f"{self.path} went backwards and max_energy_range_uj is not known")
                step += self.range_uj
            self._total += step
        self._last = value
        return self._total / 1e6


@register_meter("rapl")
class Rapl(Meter):
    """Packages and DRAM."""

    period_seconds = 0.001

    def __init__(self, zones: list[Zone]) -> None:
        self.zones = zones
        self.rails = tuple(zone.name for zone in zones)
        self.read()

    @classmethod
    def find(cls, settings: dict[str, Any]) -> Rapl | None:
        folders = sysfs.paths(settings["root"], FOLDER + "/intel-rapl:*")
        zones = [Zone(folder) for folder in folders if os.path.exists(os.path.join(folder, "energy_uj"))]
        if not zones:
            return None
        wanted = settings.get("rails") or []
        chosen(wanted, [zone.name for zone in zones], "RAPL")
        used = [zone for zone in zones if zone.name in wanted] if wanted else _usual(zones)
        return cls(used)

    def read(self) -> Reading:
        joules = sum(zone.joules() for zone in self.zones)
        return Reading(now(), joules=joules)


def _usual(zones: list[Zone]) -> list[Zone]:
    used = [zone for zone in zones if zone.name.startswith("package") or zone.name == "dram"]
    return used or zones[:1]
