"""Early stopping of bad candidates by Optuna's pruners: median, successive halving, Hyperband; or by extrapolation.

A pruner compares the accuracies of a candidate, epoch by epoch, with those of earlier ones. Which earlier ones is
fixed when the candidate starts, so that it makes no difference to the result who finishes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from edgenas.search.models.learning_curves import extrapolate
from edgenas.spaces.errors import InputError

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

Curve = Sequence[float]
"""Accuracies in [0, 1] after epochs 1, 2, ..."""

MINIMUM_FULL, MINIMUM_EPOCHS = 3, 2
"""Extrapolation waits for so many full trainings, and for so many epochs of the candidate."""

PRUNERS = ("none", "median", "successive_halving", "hyperband", "extrapolation")


class EarlyStopping:
    """Says after each epoch whether a candidate should stop.

    Args:
        pruner: one of :data:`PRUNERS`. ``extrapolation`` stops where the power law through the curve ends two
            standard deviations below the best earlier accuracy; the others are Optuna's, with its settings.
        epochs: length of a full training.
        number: of the trial; Hyperband assigns it to a bracket by that.
        earlier: curves of earlier trials by number; shorter ones were stopped.

    Raises InputError for an unknown pruner.
    """

    def __init__(self, pruner: str, epochs: int, number: int, earlier: Mapping[int, Curve]) -> None:
        if pruner not in PRUNERS:
            raise InputError(f"unknown pruner {pruner!r}: expected one of {', '.join(PRUNERS)}")
        self._epochs = epochs
        self._rule: Callable[[Curve], bool]
        if pruner == "none":
            self._rule = lambda curve: False
        elif pruner == "extrapolation":
            self._rule = _Extrapolated(epochs, earlier)
        else:
            self._rule = _Optuna(pruner, epochs, number, earlier)

    def should_stop(self, curve: Curve) -> bool:
        """Whether a candidate with these accuracies so far should stop; never after the last epoch."""
        return 0 < len(curve) < self._epochs and self._rule(curve)


class _Extrapolated:
    def __init__(self, epochs: int, earlier: Mapping[int, Curve]) -> None:
        self._epochs = epochs
        self._full = [curve[-1] for curve in earlier.values() if len(curve) >= epochs]

    def __call__(self, curve: Curve) -> bool:
        if len(self._full) < MINIMUM_FULL or len(curve) < MINIMUM_EPOCHS:
            return False
        expected = extrapolate(curve, self._epochs)
        return expected.mean + 2 * expected.deviation < max(self._full)


class _Optuna:
    """A study in memory that went through the earlier trials, as pruners keep notes, and goes on with this one."""

    def __init__(self, name: str, epochs: int, number: int, earlier: Mapping[int, Curve]) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruners = optuna.pruners
        pruner: BasePruner = pruners.MedianPruner()
        if name == "successive_halving":
            pruner = pruners.SuccessiveHalvingPruner(min_resource=1)
        elif name == "hyperband":
            pruner = pruners.HyperbandPruner(min_resource=1, max_resource=epochs)
        sampler = optuna.samplers.RandomSampler(seed=0)  # nothing is sampled
        study = optuna.create_study(study_name="edgenas", direction="maximize", pruner=pruner, sampler=sampler)
        states = optuna.trial.TrialState
        for place in range(number):
            curve = earlier.get(place, ())
            trial = study.ask()
            for step, value in enumerate(curve, start=1):
                trial.report(value, step)
                trial.should_prune()
            if len(curve) >= epochs:
                study.tell(trial, curve[-1])
            else:
                study.tell(trial, state=states.PRUNED if len(curve) else states.FAIL)
        self._trial = study.ask()
        self._reported = 0

    def __call__(self, curve: Curve) -> bool:
        stop = False
        for step in range(self._reported, len(curve)):
            self._trial.report(curve[step], step + 1)
            stop = self._trial.should_prune()
        self._reported = len(curve)
        return stop
