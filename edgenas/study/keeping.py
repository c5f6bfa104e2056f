"""Which finished trials' weights are kept, and which of them a new candidate begins with.

Both follow from the trials alone, not from what is on a disk: a search that was interrupted goes on with the same
weights. The trials are gone through by number; after each, while more are kept than may be, the one goes that is worst
and oldest: with the least sum of its rank by reward and its rank by age. The best one stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_BYTES_PER_PARAMETER = 4
KINDS = ("previous", "parent", "best", "uniform_average", "loss_weighted")


@dataclass(frozen=True)
class Finished:
    """A complete trial, as far as this needs it."""

    number: int
    choices: tuple[int, ...]
    reward: float
    params: float

    @property
    def bytes(self) -> float:
        """About what its weights take."""
        return _BYTES_PER_PARAMETER * self.params


@dataclass(frozen=True)
class Bound:
    """At most so many trials' weights, of so many bytes together; ``pinned`` are kept whatever they are like."""

    trials: int
    bytes: float
    pinned: tuple[int, ...] = ()


class Keeping:
    """The trials whose weights are kept, as more and more trials finish."""

    def __init__(self, bound: Bound) -> None:
        self.bound = bound
        self._kept: list[Finished] = []
        self._before = 0

    def before(self, number: int, finished: Sequence[Finished]) -> tuple[Finished, ...]:
        """Those that are kept of the trials below a number; ``finished`` are in the order of their numbers."""
        if number < self._before:  # an interrupted trial is asked about again
            self._kept, self._before = [], 0
        for trial in finished:
            if self._before <= trial.number < number:
                self._kept.append(trial)
                self._shrink()
        self._before = number
        return tuple(self._kept)

    def _shrink(self) -> None:
        while len(self._kept) > self.bound.trials or sum(one.bytes for one in self._kept) > self.bound.bytes:
            best = best_of(self._kept)
            loose = [one for one in self._kept if one.number not in (best.number, *self.bound.pinned)]
            if not loose:
                return
            by_reward = sorted(loose, key=lambda one: (one.reward, one.number))
            rank = {one.number: place for place, one in enumerate(by_reward)}
            age = {one.number: place for place, one in enumerate(loose)}  # oldest first
            going = min(loose, key=lambda one: (rank[one.number] + age[one.number], one.number))
            self._kept.remove(going)


def best_of(trials: Sequence[Finished]) -> Finished:
    """The one with the highest reward, the earlier of two equal ones."""
    return max(trials, key=lambda one: (one.reward, -one.number))


def sources(kind: str, choices: tuple[int, ...], kept: Sequence[Finished]) -> tuple[int, ...]:
    """Numbers of the trials whose weights a candidate with these choices begins with; none while none is kept.

    ``previous`` is the latest one, ``best`` the one with the highest reward, ``parent`` the one that differs in the
    fewest decisions (of equally near ones the best). The averages take all, the best first.

    >>> kept = [Finished(0, (0, 0), 0.5, 1), Finished(1, (1, 1), 0.7, 1), Finished(2, (0, 1), 0.6, 1)]
    >>> [sources(kind, (0, 0), kept) for kind in ("previous", "parent", "best", "uniform_average")]
    [(2,), (0,), (1,), (1, 2, 0)]
    """
    if not kept:
        return ()
    if kind == "previous":
        return (kept[-1].number,)
    if kind == "best":
        return (best_of(kept).number,)
    if kind == "parent":
        return (min(kept, key=lambda one: (_distance(one.choices, choices), -one.reward, one.number)).number,)
    return tuple(one.number for one in sorted(kept, key=lambda one: (-one.reward, one.number)))


def _distance(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    return sum(one != other for one, other in zip(first, second, strict=True))
