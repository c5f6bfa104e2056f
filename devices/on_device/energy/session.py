"""Energy of one inference: a loop of it beside a meter, between two pauses that tell what the idle device draws.

    energy = (watts of the loop - watts of the pauses) * seconds of the loop / runs

The loop lasts as long as the meter needs for 20 readings, half a second at least. A thread reads the meter, away from
the CPU that runs the model. The readings right after a change of load are left out: sensors average over their period.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from .meter import Meter, MeterError, Reading, average_watts, now

READINGS = 20
#: The watts of the two pauses may differ by this share of what running adds; more is worth a note.
STEADY = 0.2
_LONGER = 3


class Sampler:
    """Reads a meter in a thread until it is stopped. A context manager; ``readings`` are complete after it."""

    def __init__(self, meter: Meter, cpus: list[int] | None) -> None:
        self.meter = meter
        self.cpus = cpus
        self.readings: list[Reading] = []
        self.error: Exception | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        if self.cpus and hasattr(os, "sched_setaffinity"):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, self.cpus)  # this thread's, and of programs that it starts
        # A counter needs no many readings, but must not go round twice in between.
        pause = max(self.meter.period_seconds, 0.01)
        try:
            while True:
                self.readings.append(self.meter.read())
                if self._stop.wait(pause):
                    break
            self.readings.append(self.meter.read())
        except Exception as error:
            self.error = error

    @property
    def is_done(self) -> bool:
        """Whether there is no need to go on: readings enough, or none will come."""
        return self.error is not None or len(self.readings) > READINGS

    def watts(self, settle_seconds: float) -> float:
        """Mean power, without what was read in the first seconds. Raises MeterError."""
        if self.error is not None:
            raise self.error if isinstance(self.error, MeterError) else MeterError(f"the meter failed: {self.error}")
        start = self.readings[0].seconds + settle_seconds
        settled = [reading for reading in self.readings if reading.seconds >= start]
        return average_watts(settled if len(settled) > 1 else self.readings)


class EnergySession:
    """Measures models one after the other; the pause after one is the pause before the next when that comes at once."""

    def __init__(
        self,
        meter: Meter,
        *,
        least_seconds: float = 0.5,
        cpus: list[int] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        say: Callable[[str], None] = lambda words: None,
    ) -> None:
        self.meter = meter
        self.seconds = max(least_seconds, READINGS * meter.period_seconds)
        self._cpus = cpus
        self._sleep = sleep
        self._say = say
        self._idle: tuple[float, float] | None = None  # (when, watts)

    def measure(self, invoke: Callable[[], Any], batch: int = 1) -> dict[str, Any]:
        """Energy of one ``invoke``; ``batch`` of them run between two looks at the clock. Raises MeterError."""
        before = self._idle[1] if self._idle and now() - self._idle[0] < self.seconds else self._pause()
        runs = 0
        self._say("measuring energy")
        with Sampler(self.meter, self._cpus) as sampler:
            start = now()
            while True:
                for _ in range(batch):
                    invoke()
                runs += batch
                seconds = now() - start
                if seconds >= self.seconds and (sampler.is_done or seconds >= _LONGER * self.seconds):
                    break
        active = sampler.watts(self.meter.period_seconds)
        after = self._pause()
        idle = (before + after) / 2
        answer = {
            "energy_mj": max(active - idle, 0.0) * seconds / runs * 1e3,
            "total_mj": active * seconds / runs * 1e3,
            "idle_watts": idle,
            "active_watts": active,
            "runs": runs,
            "seconds": seconds,
            "meter": self.meter.name,
        }
        rounded: dict[str, Any] = {
            key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in answer.items()
        }
        if abs(after - before) > STEADY * max(active - idle, 0.0):
            rounded["note"] = f"the idle device drew {before:.3g} W before and {after:.3g} W after: it was not at rest"
        return rounded

    def _pause(self) -> float:
        self._say("measuring the idle device's power")
        with Sampler(self.meter, self._cpus) as sampler:
            start = now()
            while now() - start < _LONGER * self.seconds:
                self._sleep(self.seconds if now() - start < self.seconds else self.meter.period_seconds)
                if sampler.is_done:
                    break
        watts = sampler.watts(self.meter.period_seconds)
        self._idle = (now(), watts)
        return watts
