"""What became of a candidate is written down: complete, stopped, failed, or to be evaluated again."""

from __future__ import annotations

import json
import math
from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING

from edgenas.export.files import write_atomically
from edgenas.run.disk import is_full, no_space
from edgenas.search.models.learning_curves import extrapolate
from edgenas.search.per_budget import ObjectiveOfBudgets
from edgenas.spaces.errors import WorkError
from edgenas.study.candidates import Outcome
from edgenas.study.desk import Desk
from edgenas.study.objectives import Objective
from edgenas.study.trial import Trial

if TYPE_CHECKING:
    from edgenas.run.context import RunContext

#: Workers shield the run from crashes of a candidate. If the run still ended this often during one, it is the cause.
MAX_ATTEMPTS = 10
#: A worker that was killed says nothing about its candidate, unless it happens to the same one this often.
MAX_KILLS = 3


class Outcomes:
    """Records outcomes in the study and in ``trials/<n>/``."""

    def __init__(self, context: RunContext, desk: Desk, objective: Objective | ObjectiveOfBudgets) -> None:
        self.context = context
        self.desk = desk
        self.study = desk.store
        self.objective = objective
        self.at_work: set[int] = set()
        """Numbers of the trials that are being evaluated."""
        self.again: deque[Trial] = deque()
        """Trials that are to be evaluated again."""
        self._kills: Counter[int] = Counter()

    def retry(self, number: int) -> Trial:
        """An interrupted trial again, or failed when that happened too often."""
        trial = self.study.trial(number)
        if trial.attempts >= MAX_ATTEMPTS:
            return self.fail(
                Outcome(number, 0.0, error=f"the run ended {trial.attempts} times while this was evaluated")
            )
        self.context.log.event("trial_retried", trial=trial.number, attempt=trial.attempts + 1)
        return self.study.retry(trial.number)

    def record(self, outcome: Outcome) -> Trial:
        """Writes down what became of a candidate; one whose worker was killed stays running and comes again."""
        trial = self.study.trial(outcome.number)
        self.at_work.discard(outcome.number)
        if outcome.killed:
            return self._killed(trial, outcome)
        if outcome.score is None:
            return self.fail(outcome)
        if outcome.stopped:
            return self._stop(trial, outcome)
        metric = self.context.task.metric
        reward = self.objective.reward(outcome.score, trial.predicted)
        if not (math.isfinite(outcome.score) and math.isfinite(reward)):
            return self.fail(
                replace(outcome, error=f"{metric} {outcome.score} gives the reward {reward}, not a number")
            )
        ended = self.desk.end(
            outcome.number,
            self.study.complete,
            metric=metric,
            metrics={metric: outcome.score, **outcome.metrics},
            reward=reward,
            seconds=outcome.seconds,
            curve=outcome.curve,
        )
        if ended is None:
            return trial
        trial = ended
        self.context.log.event(
            "trial_complete",
            trial=trial.number,
            metrics=dict(trial.metrics),
            reward=trial.reward,
            seconds=trial.seconds,
        )
        return self._write(trial)

    def _killed(self, trial: Trial, outcome: Outcome) -> Trial:
        self._kills[trial.number] += 1
        if self._kills[trial.number] >= MAX_KILLS:
            return self.fail(replace(outcome, error=f"{outcome.error}, {MAX_KILLS} times"))
        self.context.progress.say(f"  trial {trial.number}: {outcome.error}; it is evaluated again")
        trial = self.retry(trial.number)
        self.again.append(trial)
        return trial

    def _stop(self, trial: Trial, outcome: Outcome) -> Trial:
        settings = self.context.recipe.search
        epochs = max(settings.training.epochs, len(outcome.curve))
        expected = extrapolate(outcome.curve, epochs).mean
        ended = self.desk.end(
            trial.number,
            self.study.stop,
            curve=outcome.curve,
            expected_reward=self.objective.reward(expected, trial.predicted),
            error=f"stopped after {len(outcome.curve)} of {epochs} epochs ({settings.early_stopping})",
            seconds=outcome.seconds,
        )
        if ended is None:
            return trial
        trial = ended
        self.context.log.event("trial_stopped", trial=trial.number, curve=list(trial.curve))
        return self._write(trial)

    def fail(self, outcome: Outcome) -> Trial:
        if is_full(outcome.reason):  # it says nothing about the candidate, which is evaluated again on --resume
            raise WorkError(f"trial {outcome.number}: {outcome.reason}; {no_space(self.context.folder.path)}")
        self.at_work.discard(outcome.number)
        trial = self.desk.end(outcome.number, self.study.fail, error=outcome.reason, seconds=outcome.seconds)
        if trial is None:
            return self.study.trial(outcome.number)
        self.context.log.event("trial_failed", trial=trial.number, error=trial.error)
        self.context.progress.say(f"  trial {trial.number} failed: {trial.error}")
        if outcome.details:
            write_atomically(self.context.folder.trial_path(trial.number) / "error.log", outcome.details)
        return self._write(trial)

    def _write(self, trial: Trial) -> Trial:
        """What a person looks for in ``trials/<n>/``."""
        facts = {
            "trial": trial.number,
            "architecture": trial.architecture,
            "state": trial.state,
            "seed": trial.seed,
            "top1": trial.top1,
            "metric": trial.metric,
            "metrics": dict(trial.metrics),
            "reward": trial.reward,
            "predicted": dict(trial.predicted),
            "seconds": trial.seconds,
            "error": trial.error,
        }
        write_atomically(
            self.context.folder.trial_path(trial.number) / "trial.json", json.dumps(facts, indent=1) + "\n"
        )
        return trial


def figure_words(trial: Trial) -> str:
    """The primary metric of a finished trial: ``top1 0.874``."""
    return f"{trial.metric} {trial.score:.3f}"
