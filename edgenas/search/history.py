"""The trials that an algorithm knows of: as objects, and as arrays that grow with them.

Whatever is asked costs what has changed since, not the length of the search.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, KeysView, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgenas.search.models.encoding import row_keys
from edgenas.search.problem import Population

Choices = tuple[int, ...]


@dataclass(frozen=True)
class Observation:
    """A trial as an algorithm sees it.

    Attributes:
        number: place in the study, from 0.
        choices: the architecture, one option index per decision.
        state: ``pending`` (suggested, not finished), ``complete`` or ``failed`` (will not be repeated).
        reward: what is maximised; None unless complete. One that is not finite counts as failed.
    """

    number: int
    choices: Choices
    state: str = "pending"
    reward: float | None = None

    @property
    def score(self) -> float:
        """The reward, or minus infinity where there is none: for sorting."""
        return self.reward if self.reward is not None and math.isfinite(self.reward) else -math.inf


class History:
    """Trials by number. Arrays have one row per trial, in the order of the numbers; do not write to them."""

    def __init__(self, trials: Iterable[Observation] = ()) -> None:
        self._trials: list[Observation] = []
        self._places: dict[int, int] = {}
        self._by_choices: dict[Choices, Observation] = {}
        self._in_order = True
        self._changed: list[int] = []
        self._columns = _Columns(0, 0)
        self._complete: list[Observation] = []
        self.update(trials)

    def __len__(self) -> int:
        return len(self._trials)

    def update(self, trials: Iterable[Observation]) -> None:
        """Adds trials, or what has become of known ones, in any order."""
        for trial in trials:
            place = self._places.get(trial.number)
            if place is None:
                self._in_order &= not self._trials or trial.number > self._trials[-1].number
                place = self._places[trial.number] = len(self._trials)
                self._trials.append(trial)
            elif self._trials[place] == trial:
                continue
            else:
                self._by_choices.pop(self._trials[place].choices, None)
                self._trials[place] = trial
            self._by_choices[trial.choices] = trial
            self._changed.append(place)

    def _synchronised(self) -> _Columns:
        """The columns, after what was heard since the last time is written into them."""
        if not self._in_order:
            self._trials.sort(key=lambda trial: trial.number)
            self._places = {trial.number: place for place, trial in enumerate(self._trials)}
            self._changed = list(range(len(self._trials)))
            self._in_order = True
        if self._changed:
            self._columns = self._columns.with_room(len(self._trials), len(self._trials[0].choices))
            self._columns.write(self._changed, [self._trials[place] for place in self._changed])
            self._changed = []
            has_reward = np.isfinite(self._columns.rewards[: len(self._trials)])
            self._complete = [self._trials[place] for place in np.flatnonzero(has_reward)]
        return self._columns

    @property
    def next_number(self) -> int:
        """One more than the largest number."""
        return self.trials[-1].number + 1 if self._trials else 0

    @property
    def trials(self) -> list[Observation]:
        """All trials."""
        self._synchronised()
        return self._trials

    @property
    def complete(self) -> list[Observation]:
        """Trials that finished with a reward."""
        self._synchronised()
        return self._complete

    def best(self, count: int) -> list[Observation]:
        """The ``count`` complete trials with the largest rewards, best first; of equal ones the earliest first."""
        rewards = self.rewards[self.has_reward]
        return [self._complete[place] for place in np.argsort(-rewards, kind="stable")[:count]]

    @property
    def by_choices(self) -> Mapping[Choices, Observation]:
        """The trial of every architecture that was ever suggested."""
        return self._by_choices

    @property
    def seen(self) -> KeysView[Choices]:
        """Architectures that were ever suggested, whatever became of them: pending and failed ones too."""
        return self._by_choices.keys()

    @property
    def population(self) -> Population:
        """(N, decisions) architectures."""
        return self._synchronised().population[: len(self)]

    @property
    def keys(self) -> npt.NDArray[np.uint64]:
        """(N,) hashes of the architectures (:func:`edgenas.search.models.encoding.row_keys`)."""
        return self._synchronised().keys[: len(self)]

    @property
    def rewards(self) -> npt.NDArray[np.float64]:
        """(N,) rewards; NaN where there is none."""
        return self._synchronised().rewards[: len(self)]

    @property
    def has_reward(self) -> npt.NDArray[np.bool_]:
        """(N,) which trials are complete."""
        return np.isfinite(self.rewards)

    @property
    def pending(self) -> npt.NDArray[np.bool_]:
        """(N,) which trials have not finished."""
        return self._synchronised().pending[: len(self)]

    @property
    def failed(self) -> npt.NDArray[np.bool_]:
        """(N,) which trials ended without a reward."""
        return ~self.pending & ~self.has_reward


class _Columns:
    """Arrays with room for more trials than there are."""

    def __init__(self, room: int, decisions: int) -> None:
        self.population: npt.NDArray[Any] = np.zeros((room, decisions), np.int16)
        self.keys = np.zeros(room, np.uint64)
        self.rewards = np.full(room, np.nan)
        self.pending = np.zeros(room, bool)

    def with_room(self, rows: int, decisions: int) -> _Columns:
        """These columns, or larger ones with the same content."""
        known = len(self.keys)
        if rows <= known:
            return self
        larger = _Columns(max(2 * rows, 64), decisions)
        if known:
            larger.population[:known] = self.population
            larger.keys[:known] = self.keys
            larger.rewards[:known] = self.rewards
            larger.pending[:known] = self.pending
        return larger

    def write(self, places: list[int], trials: list[Observation]) -> None:
        """Writes trials in their places."""
        rows = np.array([trial.choices for trial in trials], np.int16)
        self.population[places] = rows
        self.keys[places] = row_keys(rows)
        scores = np.array([trial.score if trial.state == "complete" else np.nan for trial in trials])
        self.rewards[places] = np.where(np.isfinite(scores), scores, np.nan)
        self.pending[places] = [trial.state == "pending" for trial in trials]
