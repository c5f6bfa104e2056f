"""Which towers make the ensemble: the four ways of Model Search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from edgenas.run.ensemble.settings import EnsembleSettings
from edgenas.run.ensemble.shares import Outputs, equal_shares, learned_shares, summed
from edgenas.run.ensemble.towers import Tower, Towers
from edgenas.spaces.errors import WorkError
from edgenas.study.trial import Trial
from edgenas.tasks.files import in_memory


@dataclass(frozen=True)
class Ensemble:
    """Towers, how much each counts, and the score of them together on the validation examples."""

    towers: tuple[Tower, ...]
    shares: tuple[float, ...]
    score: float

    @property
    def numbers(self) -> list[int]:
        """The trials."""
        return [one.trial.number for one in self.towers]


class Growing:
    """Makes ensembles of towers.

    Args:
        towers: trains them.
        settings: of the ensemble.
    """

    def __init__(self, towers: Towers, settings: EnsembleSettings) -> None:
        self.towers, self.settings = towers, settings

    def grown(self) -> Ensemble:
        """The ensemble. Raises WorkError when fewer than two towers could be trained."""
        ways: dict[str, Callable[[list[Trial]], Ensemble | None]] = {
            "non_adaptive": self._best_set,
            "adaptive": lambda trials: self._one_by_one(trials, self.towers.train),
            "residual": self._on_top,
            "intermixed": self._in_turn,
        }
        found = ways[self.settings.method](self.towers.candidates())
        if found is None:
            reason = next(reversed(self.towers.infeasible.values()), "no trial could be trained")
            raise WorkError(f"no ensemble: {reason}")
        return found

    def together(self, towers: Sequence[Tower]) -> Ensemble:
        """These towers with the shares that they have together."""
        outputs = [one.outputs for one in towers]
        shares = self._shares(outputs)
        return Ensemble(tuple(towers), shares, self.towers.score(summed(outputs, shares)))

    def _shares(self, outputs: Sequence[Outputs]) -> tuple[float, ...]:
        if self.settings.method == "residual":
            return (1.0,) * len(outputs)
        if self.settings.combine == "average":
            return equal_shares(len(outputs))
        return learned_shares(self.towers.context.task, in_memory(self.towers.validation.targets), outputs)

    def _trained(self, trials: Sequence[Trial]) -> list[Tower]:
        return [tower for trial in trials if (tower := self.towers.train(trial)) is not None]

    def _best_set(self, trials: list[Trial]) -> Ensemble | None:
        """The set of trained trials that scores best together."""
        pool = self._trained(trials)
        sizes = range(min(2, len(pool)), min(self.settings.towers, len(pool)) + 1)
        sets = [self.together(chosen) for size in sizes for chosen in combinations(pool, size) if chosen]
        return max(sets, key=lambda one: one.score, default=None)

    def _one_by_one(self, trials: list[Trial], train: Callable[[Trial], Tower | None]) -> Ensemble | None:
        """Trials in their order, each kept where the ensemble is better with it."""
        found: Ensemble | None = None
        for trial in trials:
            tower = train(trial)
            if tower is None:
                continue
            larger = self.together([*(found.towers if found else ()), tower])
            if found is None or larger.score > found.score:
                found = larger
            if len(found.towers) == self.settings.towers:
                break
        return found

    def _on_top(self, trials: list[Trial]) -> Ensemble | None:
        chosen: list[Tower] = []

        def train(trial: Trial) -> Tower | None:
            tower = self.towers.train_on_top(trial, chosen) if chosen else self.towers.train(trial)
            if tower is not None and (
                not chosen or self.together([*chosen, tower]).score > self.together(chosen).score
            ):
                chosen.append(tower)
            return tower

        return self._one_by_one(trials, train)

    def _in_turn(self, trials: list[Trial]) -> Ensemble | None:
        """In turn the next best trial, and of the next two the one with which the ensemble is better."""
        left, chosen = list(trials), list[Tower]()
        while left and len(chosen) < self.settings.towers:
            count = 1 + len(chosen) % 2
            found = self._trained(left[:count])
            if found:
                best = max(found, key=lambda one: self.together([*chosen, one]).score)
                chosen.append(best)
                left = [trial for trial in left if trial.number != best.trial.number]
            left = [trial for trial in left if trial.number not in self.towers.infeasible]
        return self.together(chosen) if chosen else None
