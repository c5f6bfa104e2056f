"""What each candidate of a search learns from the trials before it, and which weights stay on the disk for that.

Only trials count whose results the candidate's suggestion went by, so that the order in which trials that run at the
same time end makes no difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgenas.study.candidates import Lesson
from edgenas.study.keeping import Bound, Finished, Keeping, best_of, sources
from edgenas.study.trial_weights import FolderWeights

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.study.feed import Feed
    from edgenas.study.trial import Trial


class TrialLearning:
    """Hands out lessons, in the order of the candidates.

    Args:
        context: the run.
        feed: its finished trials.
        lag: a candidate learns from trials that lie so many numbers back.
        shared: whether other workers, with folders of their own, take part in the study.
    """

    def __init__(self, context: RunContext, feed: Feed, lag: int, *, shared: bool) -> None:
        recipe = context.recipe
        self.recipe, self.feed, self.lag = recipe, feed, lag
        self.weights = FolderWeights(context.folder.trials_path)
        kept = recipe.search.kept_weights
        taught = recipe.distillation
        pinned = (taught.teacher,) if taught is not None and isinstance(taught.teacher, int) else ()
        self._keeping = Keeping(Bound(kept.trials, kept.bytes, pinned))
        self._shared = shared

    def lesson(self, trial: Trial) -> Lesson:
        """What a candidate learns; weights that no candidate will need any more are deleted."""
        if not self.recipe.keeps_weights:
            return Lesson()
        kept = self._kept_for(trial.number)
        if self._shared:  # other workers' weights are elsewhere
            kept = tuple(one for one in kept if self.weights.has(one.number))
        transfer = self.recipe.search.transfer
        found = () if transfer == "off" else sources(transfer, trial.choices, kept)
        return Lesson(found, self._teacher(kept), trial.number / max(self.recipe.trials - 1, 1))

    def finish(self) -> None:
        """Deletes what the last candidate has left beyond the bound."""
        if self.recipe.keeps_weights and self.feed.complete:
            self._kept_for(max(self.feed.complete) + 1)

    def _kept_for(self, number: int) -> tuple[Finished, ...]:
        """The trials whose weights a candidate of this number may take; what nobody needs any more is deleted."""
        finished = [_finished(one) for _, one in sorted(self.feed.complete.items())]
        oldest = min([number, *self.feed.open])
        kept = self._keeping.before(self._known(oldest), finished)
        if oldest != number:
            needed = {one.number for one in kept}
            kept = self._keeping.before(self._known(number), finished)
        else:
            needed = set()
        needed |= {one.number for one in kept}
        needed |= {complete for complete in self.feed.complete if complete >= self._known(number)}
        self.weights.prune(needed | set(self.feed.open))
        return kept

    def _teacher(self, kept: Sequence[Finished]) -> tuple[int, str] | None:
        """Number and architecture of the trial that a candidate learns from."""
        settings = self.recipe.distillation
        if settings is None or not settings.is_of_trial or not kept:
            return None
        number = settings.teacher if isinstance(settings.teacher, int) else best_of(kept).number
        if number not in (one.number for one in kept):
            return None
        return number, self.feed.complete[number].architecture

    def _known(self, number: int) -> int:
        return max(number - self.lag + 1, 0)


def _finished(trial: Trial) -> Finished:
    reward = trial.reward if trial.reward is not None else float("-inf")
    return Finished(trial.number, trial.choices, reward, trial.predicted.get("params", 0.0))
