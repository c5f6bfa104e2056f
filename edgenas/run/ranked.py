"""The study of a run whose budget or reward was changed: its trials are ranked by the present ones.

What a trial was found to be does not change, so its reward follows from its metric and its predicted costs. The study
itself keeps the rewards that it was written with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from edgenas.run.records import RewardRecord, SearchRecord
from edgenas.search.models.learning_curves import extrapolate
from edgenas.study.objectives import Objective, within
from edgenas.study.patience import say_on_stderr
from edgenas.study.store import StudyStore, open_study
from edgenas.study.study import Trial

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.run.folder import RunFolder


def open_ranked(folder: RunFolder, say: Callable[[str], None] = say_on_stderr) -> StudyStore:
    """The study of a run, with the rewards of its present recipe. Raises InputError as ``open_study`` does."""
    study = open_study(folder.study_path, say)
    record = folder.read(SearchRecord)
    if record.ranking is None:
        return study
    return cast(StudyStore, _Ranked(study, record.ranking, record.limits))


class _Ranked:
    """A :class:`StudyStore` whose rewards, ranking and limits are those of a :class:`RewardRecord`."""

    def __init__(self, study: StudyStore, ranking: RewardRecord, limits: Mapping[str, float]) -> None:
        self._study, self._epochs, self._limits = study, ranking.epochs or 1, limits
        self._objective = Objective(ranking.reward, ranking.targets, ranking.beta, ranking.weights)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    @property
    def facts(self) -> dict[str, Any]:
        return self._study.facts | {"limits": dict(self._limits)}

    @property
    def trials(self) -> tuple[Trial, ...]:
        return tuple(self._again(trial) for trial in self._study.trials)

    def refresh(self) -> tuple[Trial, ...]:
        return tuple(self._again(trial) for trial in self._study.refresh())

    def trial(self, number: int) -> Trial:
        return self._again(self._study.trial(number))

    @property
    def ranking(self) -> tuple[Trial, ...]:
        """Complete trials within the limits, best reward first; the earlier of two equal ones first."""
        found = [trial for trial in self.trials if trial.state == "complete" and self._keeps(trial)]
        return tuple(sorted(found, key=lambda trial: (-(trial.reward or 0.0), trial.number)))

    def _keeps(self, trial: Trial) -> bool:
        """Whether it is ours and keeps the limits on what is predicted; others are held against what is measured."""
        return not trial.foreign and within(
            trial.predicted, {name: limit for name, limit in self._limits.items() if name in trial.predicted}
        )

    def _again(self, trial: Trial) -> Trial:
        if trial.state == "complete" and trial.score is not None:
            return replace(trial, reward=self._objective.reward(trial.score, trial.predicted))
        if trial.state == "stopped" and trial.curve:
            expected = extrapolate(trial.curve, max(self._epochs, len(trial.curve))).mean
            return replace(trial, expected_reward=self._objective.reward(expected, trial.predicted))
        return trial


def rank_again(context: RunContext) -> None:
    """Where the budget or the reward has changed, everybody who opens the study from now on ranks by the new ones."""
    record, recipe = context.folder.read(SearchRecord), context.recipe
    if not record.rank_again:
        return
    objective = recipe.objective_within(context.limits)
    ranking = RewardRecord(
        reward=objective.kind,
        targets=dict(objective.targets),
        beta=objective.beta,
        weights=dict(objective.weights),
        epochs=recipe.search.training.epochs,
    )
    context.folder.write(replace(record, rank_again=False, ranking=ranking, limits=context.limits))
