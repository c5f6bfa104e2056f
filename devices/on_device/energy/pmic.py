"""The power chip of the Raspberry Pi 5: ``vcgencmd pmic_read_adc`` tells current and voltage of its rails.

     3V7_WL_SW_A current(0)=0.09466522A
     3V7_WL_SW_V volt(8)=3.62925200V

The sum over rails that have both is what the chip delivers to processor, memory and radio. What hangs on the 5 V input
itself (USB, fan) is not among them: ``EXT5V`` has a voltage only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Any

from .meter import Meter, MeterError, Reading, chosen, now, register_meter

PROGRAM = "vcgencmd"
_LINE = re.compile(r"^\s*(\S+)_([AV])\s+(?:current|volt)\(\d+\)=([0-9.]+)[AV]\s*$")
_SECONDS = 5.0


def parse_rails(output: str) -> dict[str, float]:
    r"""Watts by rail.

    >>> parse_rails(" VDD_CORE_A current(7)=2.0A\n VDD_CORE_V volt(15)=0.75V\n EXT5V_V volt(24)=5.1V\n")
    {'VDD_CORE': 1.5}
    """
    values: dict[str, dict[str, float]] = {"A": {}, "V": {}}
    for line in output.splitlines():
        match = _LINE.match(line)
        if match:
            values[match.group(2)][match.group(1)] = float(match.group(3))
    return {rail: amperes * values["V"][rail] for rail, amperes in values["A"].items() if rail in values["V"]}


@register_meter("rpi5-pmic")
class Pmic(Meter):
    """The sum of the chip's rails. Each reading starts a program, which takes about 10 ms."""

    period_seconds = 0.1

    def __init__(self, program: str, wanted: list[str]) -> None:
        self._program = program
        found = self._rails()
        chosen(wanted, list(found), "the power chip")
        self._wanted = wanted
        self.rails = tuple(wanted) if wanted else (f"{len(found)} rails",)

    @classmethod
    def find(cls, settings: dict[str, Any]) -> Pmic | None:
        root = settings["root"]
        program = shutil.which(PROGRAM) if root == "/" else os.path.join(root, "usr/bin", PROGRAM)
        if program is None or not os.path.exists(program):
            return None
        try:
            return cls(program, settings.get("rails") or [])
        except NoSuchChipError:
            return None

    def _rails(self) -> dict[str, float]:
        try:
            done = subprocess.run(
                [self._program, "pmic_read_adc"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MeterError(f"`{self._program} pmic_read_adc` does not work: {error}") from None
        output = done.stdout.decode(errors="replace")
        rails = parse_rails(output)
        if rails:
            return rails
        if "vcio" in output or "ermission" in output:
            raise MeterError(
                f"`{self._program}` may not ask the firmware ({output.strip()[:200]}): "
                "`sudo usermod -aG video $USER`, then log in again"
            )
        raise NoSuchChipError(f"`{self._program} pmic_read_adc` printed no rails: {output.strip()[:200]!r}")

    def read(self) -> Reading:
        rails = self._rails()
        return Reading(now(), watts=sum(rails[rail] for rail in self._wanted or rails))


class NoSuchChipError(MeterError):
    """An older Raspberry Pi: its firmware does not know the command."""
