"""What a machine tells of itself: its processor, clock and temperature, and whether its clock is held down.

Goes to boards beside :mod:`edgenas.devices.on_device.runner`. Python >= 3.7, nothing else.
"""

from __future__ import annotations

import os
import platform
import time
from typing import Any, Callable  # noqa: UP035  (Python 3.7)

REPEATS_WHEN_THROTTLED = 3
# The clock under load is below this share of the highest one: held down.
THROTTLED_SHARE = 0.9
# Where the Raspberry Pi's firmware tells; bits 1 to 3: frequency capped, throttled, soft temperature limit.
FIRMWARE_FLAGS = "/sys/devices/platform/soc/soc:firmware/get_throttled"


def read_text(path: str) -> str | None:
    """The stripped content of a small file, or None when it cannot be read."""
    try:
        with open(path) as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return None


def cpu_model() -> str:
    """The processor's name as the system tells it."""
    text = read_text("/proc/cpuinfo") or ""
    for key in ("model name", "Model", "Hardware", "cpu model"):
        for line in text.splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def number(path: str, scale: float = 1.0) -> float | None:
    """The number in a small file times ``scale``, or None."""
    try:
        return round(float(read_text(path) or "") * scale, 1)
    except ValueError:
        return None


def frequency_mhz(cpu: int) -> float | None:
    """Current clock of one CPU in MHz, or None."""
    return number(f"/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", 1e-3)


def thermal_files(prefix: str, name: str) -> list[str]:
    """Files of this name of all thermal zones or cooling devices."""
    folder = "/sys/class/thermal"
    try:
        return [f"{folder}/{entry}/{name}" for entry in sorted(os.listdir(folder)) if entry.startswith(prefix)]
    except OSError:
        return []


def hottest_c(zones: list[str]) -> float | None:
    """The hottest thermal zone in degrees Celsius, or None."""
    degrees = [number(zone, 1e-3) for zone in zones]
    return max((value for value in degrees if value is not None and 0 < value < 150), default=None)


class Watch:
    """Clock and temperature of the device, whether its clock is held down, and how long to wait for it to cool."""

    def __init__(self, cpu: int, cooldown_seconds: float) -> None:
        self.cpu = cpu
        self.cooldown_seconds = self.seconds_left = cooldown_seconds
        self.zones = [zone for zone in thermal_files("thermal_zone", "temp") if read_text(zone) is not None]
        self.coolers = [
            path[: -len("type")] + "cur_state"
            for path in thermal_files("cooling_device", "type")
            if "cpufreq" in (read_text(path) or "") or read_text(path) == "Processor"
        ]
        folder = f"/sys/devices/system/cpu/cpu{cpu}/cpufreq"
        # Other governors lower the clock of an idle processor on purpose.
        fixed = read_text(f"{folder}/scaling_governor") == "performance"
        self.highest_mhz = number(f"{folder}/scaling_max_freq", 1e-3) if fixed else None

    def state(self) -> dict[str, Any]:
        """Clock and temperature where known."""
        state = {"frequency_mhz": frequency_mhz(self.cpu), "temperature_c": hottest_c(self.zones)}
        return {key: value for key, value in state.items() if value is not None}

    def throttled(self) -> str | None:
        """Why the clock is held down just now, or None."""
        flags = read_text(FIRMWARE_FLAGS)
        try:
            if flags and int(flags, 16) & 0b1110:
                return f"the firmware holds the clock down (get_throttled {flags})"
        except ValueError:
            pass
        for path in self.coolers:
            if (number(path) or 0) > 0:
                return f"the system holds the clock down ({path} is {read_text(path)})"
        clock = frequency_mhz(self.cpu) if self.highest_mhz else None
        if clock and self.highest_mhz and clock < THROTTLED_SHARE * self.highest_mhz:
            return f"the clock is {clock:g} of {self.highest_mhz:g} MHz"
        return None


def unthrottled(
    run: Callable[[], dict[str, Any]],
    watch: Watch,
    say: Callable[[dict[str, Any]], None],
    pause: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """The answer of ``run``, repeated while the clock was held down at its end, with clock and temperature."""
    for repeats_left in range(REPEATS_WHEN_THROTTLED, -1, -1):
        answer = run()
        if "error" in answer:
            return answer
        reason = watch.throttled()
        answer.update(watch.state())
        if reason is None:
            watch.seconds_left = watch.cooldown_seconds
            return answer
        answer["throttled"] = reason
        while repeats_left and watch.seconds_left > 0 and watch.throttled():
            say({"waiting": reason})
            pause(min(2.0, watch.seconds_left))
            watch.seconds_left -= 2.0
        if watch.seconds_left <= 0:
            break
    return answer
