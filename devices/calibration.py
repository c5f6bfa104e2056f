"""One factor between what a simulated or modelled device says and what a user's own board took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgenas.spaces.errors import InputError

_KEYS = ("factor", "spread", "networks", "source")


@dataclass(frozen=True)
class BoardFactor:
    """Measured over estimated latency: the geometric mean over ``networks``; ``spread`` is the largest over the
    smallest of their ratios. Without networks there was no calibration, and the factor is 1.
    """

    factor: float = 1.0
    spread: float = 1.0
    networks: int = 0
    source: str = ""

    @property
    def mark(self) -> str:
        """Tells versions of a device apart: a table that was made with another factor does not hold."""
        return f", x{self.factor:.4g}" if self.networks else ""

    def describe(self) -> str:
        """For people; empty without a calibration.

        >>> BoardFactor(1.5, 1.2, 4, "board.csv").describe()
        'times 1.5, fitted on 4 networks measured on a board (board.csv), whose own factors differ by up to 1.2 times'
        """
        if not self.networks:
            return ""
        many = f"{self.networks} networks" if self.networks > 1 else "1 network"
        differ = f", whose own factors differ by up to {self.spread:.3g} times" if self.networks > 1 else ""
        return f"times {self.factor:.4g}, fitted on {many} measured on a board ({self.source}){differ}"

    def to_yaml(self) -> dict[str, Any]:
        """As a device's file has it; empty without a calibration."""
        return {key: getattr(self, key) for key in _KEYS} if self.networks else {}


def read_board_factor(raw: object, source: str) -> BoardFactor:
    """The key ``calibration`` of a device's file. Raises InputError."""
    if raw is None:
        return BoardFactor()
    if not isinstance(raw, Mapping) or set(raw) != set(_KEYS):
        raise InputError(f"{source}: calibration must have exactly the keys {', '.join(_KEYS)}, found {raw!r}")
    for key, least in (("factor", 0.0), ("spread", 1.0), ("networks", 1)):
        value = raw[key]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < float("inf"):
            raise InputError(f"{source}: calibration.{key} must be a number from {least:g}, found {value!r}")
    if not raw["factor"]:
        raise InputError(f"{source}: calibration.factor must be above 0")
    return BoardFactor(float(raw["factor"]), float(raw["spread"]), int(raw["networks"]), str(raw["source"]))
