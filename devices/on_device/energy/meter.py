"""The meter interface: what tells how much energy a device draws. One class per kind of meter.

This package runs on the device, beside ``devices/on_device/runner.py``: it needs Python >= 3.7 and nothing else, and
imports
nothing of EdgeNAS. A meter is a *counter* of energy (RAPL, Android's ODPM) or an instrument that tells power (INA
sensors, the Raspberry Pi's PMIC, a USB meter). A meter of your own is a module that the device's Python can import,
named by ``power: {meter: my_module}`` in the device's file:

    from energy import Meter, Reading, register_meter

    @register_meter("my_module")
    class MyMeter(Meter): ...

Every meter passes :class:`edgenas.devices.energy_conformance.MeterConformance`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple


class MeterError(Exception):
    """A meter is there but cannot be read; the message says why and what to do."""


class Reading(NamedTuple):
    """What a meter says at a time: ``joules`` since some start (a counter) or ``watts`` now; the other is None."""

    seconds: float
    joules: float | None = None
    watts: float | None = None


class Meter(ABC):
    """A meter that was found, ready to be read."""

    kind = ""
    #: How often it has something new to say.
    period_seconds = 0.1
    #: What its figure is the sum of.
    rails: tuple[str, ...] = ()

    @classmethod
    @abstractmethod
    def find(cls, settings: dict[str, Any]) -> Meter | None:
        """The meter of this machine, None where there is none. Raises MeterError when it is there but cannot be read.

        ``settings``: ``root`` (the folder that holds ``sys``), ``rails`` (names, empty: the usual ones), ``command``.
        """

    @abstractmethod
    def read(self) -> Reading:
        """What it says now. Raises MeterError."""

    def close(self) -> None:
        """Ends what it started."""
        return

    @property
    def name(self) -> str:
        """The kind and its rails, such as ``rapl: package-0, dram``."""
        return "{}: {}".format(self.kind, ", ".join(self.rails)) if self.rails else self.kind


_METERS: dict[str, type[Meter]] = {}


def register_meter(kind: str) -> Callable[[type[Meter]], type[Meter]]:
    """Class decorator that makes a kind of meter known."""

    def register(cls: type[Meter]) -> type[Meter]:
        cls.kind = kind
        _METERS[kind] = cls
        return cls

    return register


def meter_kinds() -> tuple[str, ...]:
    """Names of all registered kinds."""
    return tuple(_METERS)


def meter_class(kind: str) -> type[Meter] | None:
    """The class of a kind, or None."""
    return _METERS.get(kind)


def chosen(rails: list[str], found: list[str], what: str) -> None:
    """Raises MeterError when a rail that is asked for was not found."""
    missing = [rail for rail in rails if rail not in found]
    if missing:
        raise MeterError(f"{what} has no rail {missing[0]!r}: it has {', '.join(sorted(set(found)))}")


def average_watts(readings: list[Reading]) -> float:
    """Mean power over readings in order: a counter's difference over time, or power integrated by trapezoids.

    >>> average_watts([Reading(0.0, joules=5.0), Reading(2.0, joules=11.0)])
    3.0
    >>> average_watts([Reading(0.0, watts=1.0), Reading(1.0, watts=3.0), Reading(3.0, watts=3.0)])
    2.6666666666666665
    """
    seconds = readings[-1].seconds - readings[0].seconds if readings else 0.0
    if seconds <= 0:
        raise MeterError(f"the meter gave {len(readings)} reading(s): no time passed between them")
    first, last = readings[0], readings[-1]
    if first.joules is not None and last.joules is not None:
        return (last.joules - first.joules) / seconds
    area = 0.0
    for before, after in zip(readings, readings[1:]):  # noqa: B905, RUF007  (Python 3.7)
        area += ((before.watts or 0.0) + (after.watts or 0.0)) / 2 * (after.seconds - before.seconds)
    return area / seconds


def now() -> float:
    """The clock of readings, in seconds."""
    return time.perf_counter()
