"""Settings of mixed precision."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.spaces.errors import InputError

#: What a layer may be kept in: float, or int16 activations with int8 weights.
KEEPS = ("float", "int16")


@dataclass(frozen=True)
class MixedSettings:
    """``limit`` is how far the score may fall below the float model's, ``keep`` what the worst layers stay in
    (``float`` or ``int16``), ``layers`` how many of them at most. Raises InputError naming the field.
    """

    limit: float = 0.005
    keep: str = "float"
    layers: int = 5

    def __post_init__(self) -> None:
        if not 0 <= self.limit <= 1:
            raise InputError(f"limit must be from 0 to 1, not {self.limit!r}")
        if self.keep not in KEEPS:
            raise InputError(f"keep must be one of {', '.join(KEEPS)}, not {self.keep!r}")
        if not self.layers >= 1:
            raise InputError(f"layers must be at least 1, not {self.layers!r}")
