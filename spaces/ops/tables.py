"""Ops at the ends of networks of table rows: raw numbers in, answers in their own unit out.

No part of what is trained. They compute on real numbers in every precision: a column of 0 to 100,000 beside one of 0 to
1 cannot share the scale of an 8-bit tensor before both are standardised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.ops.op import Op, Traits, register_op
from edgenas.spaces.tensor import Shape


@register_op
@dataclass(frozen=True)
class ColumnFeatures(Op):
    """A row of raw numbers as features: ``numeric`` columns standardised, then each categorical one as one-hot.

    The row holds the numeric columns first, then for each categorical one the place of its value, from 0 to its
    number of values - 1. A number that is no such place gives no 1.
    """

    numeric: int
    categories: tuple[int, ...] = ()

    traits: ClassVar[Traits] = Traits(only_deployed=True, takes_real=True)

    def __post_init__(self) -> None:
        if self.numeric < 0 or any(count < 1 for count in self.categories) or not self.numeric + len(self.categories):
            raise InputError(f"ColumnFeatures: at least one column, each with at least one value, not {self}")

    @property
    def columns(self) -> int:
        """Length of a row."""
        return self.numeric + len(self.categories)

    def output_shape(self, *inputs: Shape) -> Shape:
        if tuple(inputs[0]) != (self.columns,):
            raise InputError(f"ColumnFeatures of {self.columns} columns does not fit {tuple(inputs[0])}")
        return (self.numeric + sum(self.categories),)

    def biases(self, *inputs: Shape) -> int:
        return 0

    def weight_bytes(self, precision: str, *inputs: Shape) -> int:
        """Mean and deviation of each numeric column, the column and place of each slot; 32 bits each."""
        return 4 * 2 * (self.numeric + sum(self.categories))


@register_op
@dataclass(frozen=True)
class RestoreUnit(Op):
    """Standardised answers in their own unit: times a deviation, plus a mean."""

    traits: ClassVar[Traits] = Traits(only_deployed=True, gives_real=True)

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def weight_bytes(self, precision: str, *inputs: Shape) -> int:
        return 4 * 2 * inputs[0][-1]
