"""What a session's minutes did to all long models alike, as the models themselves tell it.

Neighbours leave more or less of the memory's bandwidth and of a shared cache, for minutes at a time. The reference
model is too small to feel that; networks of some megabytes took 8 % less at the end of half an hour than at its
beginning, all together. They are visited again and again in shuffled order, so their own visits show it: by how much
those of some minutes exceed what is usual for their models. In logarithms that is one figure for each model and one
for each minute, found in turns (median polish; Tukey, Exploratory Data Analysis, 1977), with lower quantiles instead of
medians over minutes, since what disturbs single visits can only add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: So many visits before and after one tell of its minutes, nearer ones more. They are looked at in such steps.
_SPAN, _STEP = 100, 20
#: This share of a minute's visits exceeds the usual by less than the minute does.
_LOWER = 0.3
#: Visits further from the usual, in logarithms, were disturbed, or another program.
_ALIKE = 0.1
#: One of so many visits may have been faster than it can be: its clock was misjudged.
_VISITS_PER_MISJUDGED = 5
_BELOW = 0.04
#: Minutes are taken for usual ones with the weight of so many visits.
_PRIOR = 3.0
_TURNS = 5


@dataclass(frozen=True)
class Look:
    """A visit: its place among all of the session, the model, and the least that this took, brought to one clock."""

    place: int
    model: str
    latency_ms: float


def minute_factors(looks: Sequence[Look], visits: int) -> NDArray[np.float64]:
    """(visits,) what a long model's time on each visit is to be multiplied with, to be that of usual minutes.

    ``looks`` are those of the ``visits`` that tell. The usual is the session's median.
    """
    looks = sorted(looks, key=lambda look: look.place)
    _, owners, counts = np.unique([look.model for look in looks], return_inverse=True, return_counts=True)
    models = np.split(np.argsort(owners, kind="stable"), np.cumsum(counts)[:-1])
    if len(models) < 2:  # nobody else tells a model from its minutes
        return np.ones(visits)
    places = np.array([look.place for look in looks])
    taken = np.log([look.latency_ms for look in looks])
    effects = np.zeros(visits)
    for _ in range(_TURNS):
        adjusted = taken - effects[places]
        usual = np.array([_usual(adjusted[members]) for members in models])
        excess = taken - usual[owners]
        alike = np.abs(excess - effects[places]) < _ALIKE
        effects = _smoothed(places[alike], excess[alike], visits)
    return np.exp(-effects)


def _usual(taken: NDArray[np.float64]) -> float:
    """What a model takes when it is not disturbed, from what it took."""
    low = np.sort(taken)[len(taken) // _VISITS_PER_MISJUDGED]
    return float(np.median(taken[(taken >= low - _BELOW) & (taken <= low + _ALIKE)]))


def _smoothed(places: NDArray[np.intp], excess: NDArray[np.float64], visits: int) -> NDArray[np.float64]:
    """(visits,) what minutes exceed the usual by, which is 0 in the median."""
    centres = np.arange(0, visits, _STEP)
    effects = np.zeros(len(centres))
    for index, centre in enumerate(centres):
        near = slice(*np.searchsorted(places, (centre - _SPAN, centre + _SPAN + 1)))
        weights = 1 - np.abs(places[near] - centre) / (_SPAN + 1)
        if total := float(weights.sum()):
            lower = float(np.quantile(excess[near], _LOWER, weights=weights, method="inverted_cdf"))
            effects[index] = lower * total / (total + _PRIOR)
    smoothed = np.interp(np.arange(visits), centres, effects)
    return np.asarray(smoothed - np.median(smoothed))
