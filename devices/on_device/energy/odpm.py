"""ODPM: the energy counters of recent Android phones (Pixel 6 and later), through Linux' industrial I/O tree.

    t=349894
    CH0(T=349894)[S10M_VDD_TPU], 5578756
    CH1(T=349894)[VSYS_PWR_MODEM], 29110940

Milliseconds since the phone's start, and microwatt-seconds by rail. Only root may read them on most phones.
"""

from __future__ import annotations

import re
from typing import Any

from . import sysfs
from .meter import Meter, MeterError, Reading, chosen, register_meter

PATTERN = "sys/bus/iio/devices/iio:device*/energy_value"
_TIME = re.compile(r"^t=(\d+)\s*$", re.MULTILINE)
_CHANNEL = re.compile(r"^CH\d+\(T=(\d+)\)\[([^\]]+)\],\s*(\d+)\s*$", re.MULTILINE)
HOW_TO_ALLOW = "only root may read it on most phones: `adb root` on a development build"


def parse_energy_value(output: str, rails: list[str] | None = None) -> tuple[float, dict[str, float]]:
    r"""Seconds and joules by rail (all, or those of ``rails``) of one or several such files, one after the other.

    Raises MeterError when there is no counter in it.

    >>> parse_energy_value("t=349894\nCH0(T=349894)[S10M_VDD_TPU], 5578756\n")
    (349.894, {'S10M_VDD_TPU': 5.578756})
    """
    times = [int(value) for value in _TIME.findall(output)]
    joules = {rail: int(value) / 1e6 for _, rail, value in _CHANNEL.findall(output)}
    if not times or not joules:
        raise MeterError(f"energy_value has no counters: {output.strip()[:200]!r}")
    chosen(rails or [], list(joules), "ODPM")
    return times[0] / 1e3, {rail: value for rail, value in joules.items() if not rails or rail in rails}


@register_meter("odpm")
class Odpm(Meter):
    """The sum of all rails of all counters. Times are the counter's own."""

    # The counters are refreshed a few times a second.
    period_seconds = 0.25

    def __init__(self, files: list[str], wanted: list[str]) -> None:
        self._files = files
        self._wanted = wanted
        self.rails = tuple(self._parsed()[1])

    @classmethod
    def find(cls, settings: dict[str, Any]) -> Odpm | None:
        files = sysfs.paths(settings["root"], PATTERN)
        return cls(files, settings.get("rails") or []) if files else None

    def _parsed(self) -> tuple[float, dict[str, float]]:
        contents = []
        for path in self._files:
            content = sysfs.text(path)
            if content is None:
                raise MeterError(f"ODPM is there, but {path} cannot be read: {HOW_TO_ALLOW}")
            contents.append(content)
        return parse_energy_value("\n".join(contents), self._wanted)

    def read(self) -> Reading:
        seconds, joules = self._parsed()
        return Reading(seconds, joules=sum(joules.values()))
