"""Exact answers about a whole search space without listing it: how many architectures, and which is the cheapest.

Dynamic programming over the decisions in order. What later steps need to know of the choices so far is only the
options of the decisions that later conditions (or costs) still refer to: the frontier. Partial architectures that
agree on the frontier are merged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgenas.spaces.errors import InputError
from edgenas.spaces.space.decision import Architecture, Decision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

State = tuple[int, ...]
_INACTIVE = -1


@dataclass(frozen=True)
class AdditiveCost:
    """A cost that depends on a few decisions: ``values[sum of option * stride]``. Must not be negative infinity."""

    decisions: tuple[int, ...]
    strides: tuple[int, ...]
    values: NDArray[np.float64]


class _Frontier:
    """Which decisions a state holds after each step; ``last_use`` maps a decision to the last step that needs it."""

    def __init__(self, decisions: Sequence[Decision], costs: Sequence[AdditiveCost] = ()) -> None:
        last_use = list(range(len(decisions)))
        for index, decision in enumerate(decisions):
            for condition in decision.conditions():
                last_use[condition.decision] = max(last_use[condition.decision], index)
        for cost in costs:
            for index in cost.decisions:
                last_use[index] = max(last_use[index], max(cost.decisions))
        self._decisions = decisions
        self.held: list[tuple[int, ...]] = [()]
        for index in range(len(decisions)):
            self.held.append(tuple(d for d in (*self.held[-1], index) if last_use[d] > index))

    def steps(self, index: int, state: State) -> tuple[int, ...]:
        """Options of decision ``index`` in this state; -1 alone when it is inactive."""
        options = self._decisions[index].allowed(dict(zip(self.held[index], state, strict=True)))
        return options or (_INACTIVE,)

    def projection(self, index: int) -> tuple[int, ...]:
        """Positions in (state before, option of ``index``) that make up the state after it."""
        before = (*self.held[index], index)
        return tuple(before.index(d) for d in self.held[index + 1])


def count_architectures(decisions: Sequence[Decision]) -> int:
    """The exact number of architectures."""
    frontier = _Frontier(decisions)
    states: dict[State, int] = {(): 1}
    for index in range(len(decisions)):
        kept = frontier.projection(index)
        following: dict[State, int] = {}
        for state, count in states.items():
            for option in frontier.steps(index, state):
                full = (*state, option)
                target = tuple(full[k] for k in kept)
                following[target] = following.get(target, 0) + count
        states = following
    return sum(states.values())


def cheapest_architecture(decisions: Sequence[Decision], costs: Sequence[AdditiveCost]) -> tuple[Architecture, float]:
    """The architecture with the least sum of costs, and that sum. The first in order wins a tie.

    Entries that are NaN (unknown cost) are never chosen. Raises InputError when no architecture has a known cost.
    """
    frontier = _Frontier(decisions, costs)
    total = sum(float(cost.values[0]) for cost in costs if not cost.decisions)
    states: dict[State, float] = {(): total}
    trails: list[dict[State, tuple[State, int]]] = []
    for index in range(len(decisions)):
        due = _due(costs, index, (*frontier.held[index], index))
        kept = frontier.projection(index)
        following: dict[State, float] = {}
        trail: dict[State, tuple[State, int]] = {}
        for state, so_far in states.items():
            for option in frontier.steps(index, state):
                full = (*state, option)
                value = so_far
                for values, terms in due:
                    value += values[sum(full[k] * stride for k, stride in terms if full[k] > 0)]
                target = tuple(full[k] for k in kept)
                if value < following.get(target, math.inf):
                    following[target] = value
                    trail[target] = (state, option)
        states = following
        trails.append(trail)
    if not states or not total < math.inf:
        raise InputError("no architecture of this space has a known, finite cost")
    (state, cost_sum), *_ = states.items()
    choices: list[int] = []
    for trail in reversed(trails):
        state, option = trail[state]
        choices.append(max(option, 0))
    return Architecture(tuple(reversed(choices))), float(cost_sum)


def _due(
    costs: Sequence[AdditiveCost], index: int, places: tuple[int, ...]
) -> list[tuple[list[float], list[tuple[int, int]]]]:
    """Costs whose last decision is ``index``: their values, and (position in the state, stride) of each decision."""
    return [
        (cost.values.tolist(), [(places.index(d), s) for d, s in zip(cost.decisions, cost.strides, strict=True)])
        for cost in costs
        if cost.decisions and max(cost.decisions) == index
    ]
