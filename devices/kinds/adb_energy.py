"""Energy on phones: their ODPM counters, read by the shell before a pause, before the benchmark, and after it.

The counters are refreshed a few times a second and tell their own time, so a pause and a benchmark of five seconds each
are long enough. What the program does besides timed runs (loading, warm-up) is in the interval too. Not yet tried on a
phone.
"""

from __future__ import annotations

from edgenas.devices.device import MeterFound
from edgenas.devices.measurement import Energy
from edgenas.devices.on_device.energy.meter import MeterError
from edgenas.devices.on_device.energy.odpm import HOW_TO_ALLOW, PATTERN, parse_energy_value
from edgenas.devices.power import Power

FILES = f"/{PATTERN}"
#: How long the pause and the benchmark last.
SECONDS = 5
_MARK = "edgenas-energy"


def find_counters(output: str, power: Power) -> MeterFound:
    """What :func:`read_script` printed on a phone, as a meter."""
    if power.meter not in ("auto", "odpm") or power.command is not None:
        words = "switched off (power.meter is none)" if power.meter == "none" else "phones are metered by odpm only"
        return MeterFound(None, words)
    if "ermission denied" in output:
        return MeterFound(None, f"ODPM is there, but {FILES} cannot be read: {HOW_TO_ALLOW}")
    try:
        _, joules = parse_energy_value(output, list(power.rails))
    except MeterError as error:
        return MeterFound(None, f"the phone has no ODPM counters that can be read ({error})")
    return MeterFound(f"odpm: {', '.join(joules)}")


def read_script() -> str:
    """Shell that prints the counters, or why they cannot be read."""
    return f"cat {FILES} 2>&1; true"


def around(program: str) -> str:
    """Shell that runs a program between readings of the counters, after a pause between two."""
    read = f"cat {FILES} 2>/dev/null"
    return (
        f"echo {_MARK}; {read}; sleep {SECONDS}; echo {_MARK}; {read}; echo {_MARK}\n"
        f"{program}\n"
        f"echo; echo {_MARK}; {read}; echo {_MARK}\n"
    )


def without_energy(output: str) -> str:
    """What the program itself printed."""
    parts = output.split(_MARK)
    return parts[3] if len(parts) > 3 else output


def energy_of(output: str, mean_ms: float, runs: int, meter: str, power: Power) -> Energy:
    """The energy of one inference that takes ``mean_ms``. Raises MeterError when the counters did not move."""
    parts = output.split(_MARK)
    if len(parts) < 6:
        raise MeterError("the phone did not print its energy counters")
    readings = [parse_energy_value(parts[place], list(power.rails)) for place in (1, 2, 4)]
    times = [seconds for seconds, _ in readings]
    joules = [sum(values.values()) for _, values in readings]
    if not times[0] < times[1] < times[2]:
        raise MeterError(f"the phone's energy counters did not move: their times are {times}")
    idle = (joules[1] - joules[0]) / (times[1] - times[0])
    active = (joules[2] - joules[1]) / (times[2] - times[1])
    return Energy(
        energy_mj=max(active - idle, 0.0) * mean_ms,
        total_mj=active * mean_ms,
        idle_watts=idle,
        active_watts=active,
        runs=runs,
        seconds=times[2] - times[1],
        meter=meter,
        kind="measured",
    )
