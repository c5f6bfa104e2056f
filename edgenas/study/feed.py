"""What an algorithm hears of a study: each thing once, so that a suggestion costs the same after many trials."""

from __future__ import annotations

from bisect import insort

from edgenas.search.algorithm import Algorithm
from edgenas.search.history import Observation
from edgenas.study.store import StudyStore
from edgenas.study.trial import Trial


class Feed:
    """Keeps an algorithm and some figures up to date with a study.

    Args:
        store: the study.
        algorithm: hears of its trials.
        lag: results of trials that lie so many numbers back are told; later ones are only said to be suggested, so
            that the order in which trials that run at the same time end makes no difference.
        places: of how many trials :attr:`leading` tells.

    Attributes:
        next_number: the number of the next trial.
        ours: how many trials are not of others.
        open: trials that have not ended, by number, those of others not among them.
        best: the complete one with the highest reward, the earlier of two equal ones.
        leading: the complete ones with the highest rewards, the best first.
        curves: accuracies after each epoch, by number of the trial.
        complete: trials that finished with a reward, by number.
    """

    def __init__(self, store: StudyStore, algorithm: Algorithm | None = None, lag: int = 1, places: int = 0) -> None:
        self.store = store
        self.algorithm = algorithm
        self.lag = lag
        self.places = places
        self.next_number = 0
        self.ours = 0
        self.open: dict[int, Trial] = {}
        self.best: Trial | None = None
        self.leading: list[Trial] = []
        self._fallen: list[int] = []
        self.curves: dict[int, tuple[float, ...]] = {}
        self.complete: dict[int, Trial] = {}
        self._untold: dict[int, Trial] = {}
        self._counted: set[int] = set()

    def update(self) -> int:
        """Reads what is new, and tells the algorithm. Returns the next number."""
        for trial in self.store.refresh():
            self._note(trial)
        told = []
        for number, trial in list(self._untold.items()):
            pending = trial.is_open or number > self.next_number - self.lag
            told.append(_observed(trial, pending=pending))
            if not pending:
                del self._untold[number]
        if self.algorithm is not None:
            self.algorithm.update(told)
        return self.next_number

    def _note(self, trial: Trial) -> None:
        self.next_number = max(self.next_number, trial.number + 1)
        if trial.foreign:
            return
        if trial.number not in self._counted:
            self._counted.add(trial.number)
            self.ours += 1
        self._untold[trial.number] = trial
        if trial.is_open:
            self.open[trial.number] = trial
            return
        self.open.pop(trial.number, None)
        if trial.curve:
            self.curves[trial.number] = trial.curve
        if trial.state == "complete":
            self.complete[trial.number] = trial
        if trial.state == "complete" and (self.best is None or _rank(trial) < _rank(self.best)):
            self.best = trial
        if trial.state == "complete" and self.places and trial not in self.leading:
            insort(self.leading, trial, key=_rank)
            self._fallen += [one.number for one in self.leading[self.places :]]
            del self.leading[self.places :]

    def take_fallen(self) -> list[int]:
        """Numbers of the complete trials that are not, or no longer, among the leading ones; each is told once."""
        fallen, self._fallen = self._fallen, []
        return fallen


def _rank(trial: Trial) -> tuple[float, int]:
    return -(trial.reward or 0.0), trial.number


def _observed(trial: Trial, *, pending: bool) -> Observation:
    if pending:
        return Observation(trial.number, trial.choices)
    if trial.state == "stopped":
        return Observation(trial.number, trial.choices, "complete", trial.expected_reward)
    return Observation(trial.number, trial.choices, trial.state, trial.reward)
