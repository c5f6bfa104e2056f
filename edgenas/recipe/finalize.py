"""The part of a recipe that says what the shipped file does with a map of logits."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from edgenas.recipe.section import Section
from edgenas.spaces.errors import InputError
from edgenas.tasks.endings import EndingSettings


class FinalizeRecipe(Section):
    """Of segmentation: from logits to the labels of the picture's pixels."""

    resize: float = Field(
        default=1.0,
        description="Where the arg-max is taken, as a share of the picture's sides: 1, or less (1/4) for the fused "
        "arg-max, whose labels are then enlarged (nearest) to the picture.",
    )
    argmax: Literal["auto", "operator", "chain", "none"] = Field(
        default="auto",
        description="operator: ARG_MAX; chain: maxima, differences, products and sums, for accelerators without it; "
        "auto: what the devices take; none: the file ends in logits.",
    )

    @field_validator("resize", mode="before")
    @classmethod
    def _share(cls, value: Any) -> Any:
        if isinstance(value, str):
            try:
                return float(Fraction(value.strip()))
            except (ValueError, ZeroDivisionError):
                raise ValueError("expected a share such as 1/4 or 0.25") from None
        return value

    @model_validator(mode="after")
    def _valid_settings(self) -> FinalizeRecipe:
        try:
            self.settings(())
        except InputError as error:
            raise ValueError(str(error)) from None
        return self

    def settings(self, wanted: Iterable[str]) -> EndingSettings:
        """The same as plain settings; ``wanted`` is how each device takes an arg-max, for ``auto``."""
        argmax = ("chain" if "chain" in wanted else "operator") if self.argmax == "auto" else self.argmax
        return EndingSettings(self.resize, argmax)
