"""What a search maximises: a candidate's quality and its costs as one number, the reward.

Q is the quality (top-1 accuracy in [0, 1] on held-out data), T a cost (predicted), T0 its target, r = T / T0:

========  ==========================  =============================================================
absolute  Q + beta * abs(r - 1)       TuNAS, arXiv 2008.06120: pulls onto the target from both sides
soft      Q * r ** beta               MnasNet, arXiv 1807.11626: trades cost against quality
hard      Q * min(r ** beta, 1)       MnasNet: no bonus below the target
product   Q * r ** w                  any costs, each with an exponent: EfficientNetV2's A * S^w * P^v
sum       Q + w * r                   any costs, each with a slope
========  ==========================  =============================================================

Several costs give one term (absolute) or one factor (soft, hard) each, and so do several devices (a latency on each):
the product over all of them is MnasNet's, of which Chu et al. search for several devices at once (arXiv 2008.08178).
A cost's weight w multiplies its beta, so its term is w times as large, or its factor raised to w. In a product or a
sum the weights are all there is, and may have any sign; a target is only what a cost is divided by.

A reward only ranks: a candidate over the budget is never a result, whatever its reward, and :func:`within` is what
says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgenas.spaces.errors import InputError
from edgenas.study.cost_names import COSTS

__all__ = ["COSTS", "DEFAULT_BETA", "Objective", "within"]

Floats = npt.NDArray[np.float64]

#: Exponent or slope used where none is given: TuNAS' -0.10 for absolute, MnasNet's -0.07 for the others.
DEFAULT_BETA = {"absolute": -0.10, "soft": -0.07, "hard": -0.07}
#: So many times steeper is the slope of an absolute reward when a one-shot search makes its last choice.
_AT_THE_END = 10.0
#: Rewards over any costs, whether they have a budget or not.
FREE = ("product", "sum")


@dataclass(frozen=True)
class Objective:
    """A reward over some costs.

    >>> objective = Objective("absolute", {"latency_ms": 2.0})
    >>> round(objective.reward(0.9, {"latency_ms": 1.0}), 3)
    0.85
    >>> round(objective.reward(0.9, {"latency_ms": 2.0}), 3)
    0.9

    Args:
        kind: one of ``absolute``, ``soft``, ``hard``, ``product``, ``sum``.
        targets: T0 of every cost that counts, in the unit of its name. Empty: the reward is the quality.
        beta: slope or exponent, at most 0; None takes :data:`DEFAULT_BETA`.
        weights: of costs that count more or less than others, at least 0; 1 where none is given. Of a product or a
            sum, the exponents or slopes.

    Raises InputError for an unknown kind, a target that is not above 0, a positive beta, or a negative weight.
    """

    kind: str
    targets: Mapping[str, float]
    beta: float | None = None
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in _REWARDS:
            raise InputError(f"unknown reward {self.kind!r}: expected one of {', '.join(_REWARDS)}")
        for name, target in self.targets.items():
            if not target > 0:
                raise InputError(f"the target of {name} must be above 0, found {target}")
        if self.slope > 0:
            raise InputError(f"beta must be at most 0 (costs count against a candidate), found {self.slope}")
        for name, weight in self.weights.items():
            if not (weight >= 0 or (self.kind in FREE and math.isfinite(weight))):
                raise InputError(f"the weight of {name} must be at least 0, found {weight}")

    @property
    def slope(self) -> float:
        return DEFAULT_BETA.get(self.kind, 0.0) if self.beta is None else self.beta

    @property
    def at_the_end(self) -> Objective:
        """What the last choice of a one-shot search goes by: an absolute reward that pulls so hard that it hits.

        The published slope is for networks whose quality hardly depends on their cost near the target. With the weights
        of a short training it depends on it more, and the best reward may lie a fifth above the target. Other rewards
        have no target to hit and stay as they are.

        >>> Objective("absolute", {"latency_ms": 2.0}).at_the_end.slope
        -1.0
        """
        if self.kind != "absolute":
            return self
        return replace(self, beta=self.slope * _AT_THE_END)

    def _betas(self) -> list[float]:
        if self.kind in FREE:
            return [self.weights.get(name, 0.0) for name in self.targets]
        return [self.slope * self.weights.get(name, 1.0) for name in self.targets]

    def reward(self, quality: float, costs: Mapping[str, float]) -> float:
        """The reward of a quality in [0, 1] at these costs; NaN when the quality is NaN."""
        ratios = [costs[name] / target for name, target in self.targets.items()]
        return float(_REWARDS[self.kind](quality, ratios, self._betas()))

    def rewards(self, qualities: Floats, costs: Mapping[str, Floats]) -> Floats:
        """(N,) the same of many candidates; see :meth:`reward`."""
        ratios = [np.asarray(costs[name]) / target for name, target in self.targets.items()]
        return np.asarray(_REWARDS[self.kind](qualities, ratios, self._betas()), np.float64)


def _absolute(quality: Any, ratios: Sequence[Any], betas: Sequence[float]) -> Any:
    return quality + sum(beta * abs(ratio - 1) for ratio, beta in zip(ratios, betas, strict=True))


def _soft(quality: Any, ratios: Sequence[Any], betas: Sequence[float]) -> Any:
    return quality * math.prod(ratio**beta for ratio, beta in zip(ratios, betas, strict=True))


def _hard(quality: Any, ratios: Sequence[Any], betas: Sequence[float]) -> Any:
    return quality * math.prod(np.minimum(ratio**beta, 1.0) for ratio, beta in zip(ratios, betas, strict=True))


def _sum(quality: Any, ratios: Sequence[Any], betas: Sequence[float]) -> Any:
    return quality + sum(beta * ratio for ratio, beta in zip(ratios, betas, strict=True))


_REWARDS: dict[str, Callable[[Any, Sequence[Any], Sequence[float]], Any]] = {
    "absolute": _absolute,
    "soft": _soft,
    "hard": _hard,
    "product": _soft,
    "sum": _sum,
}


def within(costs: Mapping[str, float], limits: Mapping[str, float]) -> bool:
    """True when no cost is above its limit; a cost that is missing or NaN is not within."""
    return all(costs.get(name, math.nan) <= limit for name, limit in limits.items())
