"""What an object knows of the trials of a study, and what of it is still to be told as news."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping

from edgenas.study.trial import Trial


class KnownTrials(ABC):
    """Keeps trials by number. Subclasses say where news and measured costs come from."""

    def __init__(self) -> None:
        self._known: dict[int, Trial] = {}
        self._open: set[int] = set()
        self._news: set[int] = set()

    @abstractmethod
    def _read_news(self) -> None:
        """Keeps all trials that are new, or were open, as they are now."""

    @abstractmethod
    def _read_measured(self) -> Mapping[int, Mapping[str, float]]:
        """Costs measured on a device, by number."""

    def _note(self, trial: Trial) -> Trial:
        """Keeps a trial as it is now; :meth:`refresh` will tell of it."""
        self._known[trial.number] = trial
        self._news.add(trial.number)
        (self._open.add if trial.is_open else self._open.discard)(trial.number)
        return trial

    def refresh(self) -> tuple[Trial, ...]:
        """Trials that are new or may have changed since the last call, as they are now; by number."""
        self._read_news()
        news, self._news = self._news, set()
        return tuple(self._known[number] for number in sorted(news))

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials by number, as they are now."""
        self._read_news()
        measured = self._read_measured()
        return tuple(
            dataclasses.replace(trial, measured=measured[number]) if number in measured else trial
            for number, trial in sorted(self._known.items())
        )

    @property
    def ranking(self) -> tuple[Trial, ...]:
        """Complete trials, best reward first; the earlier of two equal ones first."""
        complete = [trial for trial in self.trials if trial.state == "complete" and not trial.foreign]
        return tuple(sorted(complete, key=lambda trial: (-(trial.reward or 0.0), trial.number)))
