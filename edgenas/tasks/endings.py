"""What a deployed network does behind what was trained: settings that a task turns into a block."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.spaces.errors import InputError

#: How an arg-max is written; ``none``: the file ends in what was trained.
ARG_MAX = ("operator", "chain", "none")


@dataclass(frozen=True)
class EndingSettings:
    """Raises InputError naming the field.

    Attributes:
        share: of the picture's sides, at which the arg-max is taken; 1 is every pixel.
        argmax: one of :data:`ARG_MAX`.
    """

    share: float = 1.0
    argmax: str = "operator"

    def __post_init__(self) -> None:
        if not 1 / 64 <= self.share <= 1:
            raise InputError(
                f"finalize: resize must be a share of the picture's sides from 1/64 to 1, not {self.share!r}"
            )
        if self.argmax not in ARG_MAX:
            raise InputError(f"finalize: argmax must be one of {', '.join(ARG_MAX)}, not {self.argmax!r}")

    def sides(self, height: int, width: int) -> tuple[int, int]:
        """Height and width at which the arg-max is taken.

        >>> EndingSettings(0.25).sides(240, 322)
        (60, 80)
        """
        return max(1, round(self.share * height)), max(1, round(self.share * width))
