"""Energy meters. Runs on the device beside the runner: Python >= 3.7, standard library, nothing of EdgeNAS."""

from __future__ import annotations

import importlib
from typing import Any

from . import command, ina, odpm, pmic, rapl  # noqa: F401  (register themselves)
from .meter import Meter, MeterError, Reading, average_watts, meter_class, meter_kinds, register_meter
from .session import EnergySession

__all__ = [
    "DEFAULTS",
    "EnergySession",
    "Meter",
    "MeterError",
    "Reading",
    "average_watts",
    "find_meter",
    "meter_class",
    "meter_kinds",
    "register_meter",
]

DEFAULTS: dict[str, Any] = {"meter": "auto", "command": None, "rails": [], "root": "/", "seconds": 0.5}
#: Tried in this order when nothing is asked for: closest to the processor first.
AUTOMATIC = ("rapl", "ina", "rpi5-pmic", "odpm")
_NONE = (
    "no energy meter was found: no RAPL counters (/sys/class/powercap), INA sensors (/sys/class/hwmon), Raspberry Pi 5 "
    "power chip (vcgencmd) or ODPM counters. A USB power meter can be used through a command that prints its watts"
)


def find_meter(settings: dict[str, Any]) -> tuple[Meter | None, str]:
    """The meter that the settings ask for, ready to be read, or None and why there is none."""
    settings = dict(DEFAULTS, **settings)
    if settings["command"]:
        return _find("command", settings)
    kind = settings["meter"]
    if kind == "none":
        return None, "switched off (power.meter is none)"
    if kind != "auto":
        return _find(kind, settings)
    problems = []
    for automatic in AUTOMATIC:
        meter, words = _find(automatic, settings)
        if meter is not None:
            return meter, ""
        if words:
            problems.append(words)
    return None, "; ".join(problems) or _NONE


def _find(kind: str, settings: dict[str, Any]) -> tuple[Meter | None, str]:
    if meter_class(kind) is None:
        try:
            importlib.import_module(kind)
        except ImportError as error:
            return (
                None,
                f"no meter {kind!r}: expected auto, none, one of {', '.join(meter_kinds())}, or a module ({error})",
            )
    found = meter_class(kind)
    if found is None:
        return None, f"the module {kind!r} registers no meter {kind!r}"
    try:
        meter = found.find(settings)
    except MeterError as error:
        return None, str(error)
    except OSError as error:
        return None, f"the meter {kind} cannot be used: {error}"
    if meter is None and settings["meter"] != "auto":
        return None, f"no meter {kind!r} was found on this device"
    return meter, ""
