"""A meter of the user's: a command that runs until it is stopped and prints watts, one reading a line.

    4.31
    {"watts": 4.29}
    {"volts": 5.1, "amps": 0.84}

For USB power meters, bench supplies, smart sockets. The line's time is that of its arrival, so a program that keeps its
output back in a buffer will not do (``stdbuf -oL``, ``python -u``).
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
from typing import Any

from .meter import Meter, MeterError, Reading, now, register_meter

#: No meter is slower than that.
_PATIENCE_SECONDS = 10.0
_FIRST_READINGS = 3
_SLOWEST_SECONDS = 2.5
_WORDS = 200


def parse_watts(line: str) -> float:
    """The watts of one line. Raises MeterError.

    >>> parse_watts("4.31"), parse_watts('{"volts": 5.0, "amps": 0.5}')
    (4.31, 2.5)
    """
    try:
        value: Any = json.loads(line)
        if isinstance(value, dict):
            value = value["watts"] if "watts" in value else value["volts"] * value["amps"]
        watts = float(value)
    except (ValueError, TypeError, KeyError):
        watts = -1.0
    if not 0 <= watts < float("inf") or isinstance(value, bool):
        raise MeterError(
            f"the power command printed {line.strip()[:_WORDS]!r}: expected watts as a number from 0, or JSON with "
            '"watts" (or "volts" and "amps"), one reading a line'
        )
    return watts


@register_meter("command")
class Command(Meter):
    """Readings of a command, as they come."""

    def __init__(self, command: str) -> None:
        self.rails = (command,)
        self._lines: queue.Queue[tuple[float, str | None]] = queue.Queue()
        self._process = subprocess.Popen(
            command,
            shell=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
            errors="replace",
            start_new_session=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            first = [self._next(wait=True) for _ in range(_FIRST_READINGS)]
        except MeterError:
            self.close()
            raise
        assert first[0] is not None
        assert first[-1] is not None
        # The first line may come late, and others in its wake.
        self.period_seconds = max(0.01, (first[-1].seconds - first[0].seconds) / (_FIRST_READINGS - 1))
        if self.period_seconds > _SLOWEST_SECONDS:
            self.close()
            raise MeterError(
                f"the power command prints a line every {self.period_seconds:.1f} s: {_SLOWEST_SECONDS:g} s is the "
                "slowest that can be waited for"
            )

    @classmethod
    def find(cls, settings: dict[str, Any]) -> Command | None:
        return cls(settings["command"]) if settings.get("command") else None

    def _listen(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        with contextlib.suppress(ValueError):  # closed while it was read
            for line in stream:
                if line.strip():
                    self._lines.put((now(), line))
        self._lines.put((now(), None))

    def _next(self, *, wait: bool) -> Reading | None:
        """The next line's reading; without ``wait``, None when there is none yet."""
        try:
            seconds, line = self._lines.get(timeout=_PATIENCE_SECONDS) if wait else self._lines.get_nowait()
        except queue.Empty:
            if wait:
                raise MeterError(
                    f"the power command said nothing for {_PATIENCE_SECONDS:g} s: {self.rails[0]}"
                ) from None
            return None
        if line is None:
            self._lines.put((seconds, None))
            code = self._process.wait()
            raise MeterError(
                f"the power command ended with exit code {code}, but is to print watts until it is stopped: "
                f"{self.rails[0]}"
            )
        return Reading(seconds, watts=parse_watts(line))

    def read(self) -> Reading:
        """The newest line that was not read yet; waits for one when there is none."""
        newest = self._next(wait=True)
        while True:
            reading = self._next(wait=False)
            if reading is None:
                assert newest is not None
                return newest
            newest = reading

    def close(self) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout:
            with contextlib.suppress(OSError):
                self._process.stdout.close()
