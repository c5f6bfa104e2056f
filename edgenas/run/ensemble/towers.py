"""The towers of an ensemble: trials that fit into the budget together, trained, and what each answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.run.ensemble.networks import last_dense, side_by_side, weights_side_by_side
from edgenas.run.ensemble.settings import EnsembleSettings
from edgenas.run.ensemble.shares import Outputs
from edgenas.run.train import load_trained, run_training, train_final
from edgenas.spaces.errors import WorkError
from edgenas.study.cost_names import MEMORY_COSTS, split_name
from edgenas.study.evaluation import derived_seed
from edgenas.study.trial_weights import FolderWeights, SavedWeights

if TYPE_CHECKING:
    from pathlib import Path

    from edgenas.run.context import RunContext
    from edgenas.spaces.network import Network
    from edgenas.study.trial import Trial

_SEED_PURPOSE = 9
#: Costs that do not add up over towers: what is shipped is held against them.
_NOT_ADDED = ("arena_bytes", "peak_activation_bytes", *MEMORY_COSTS)


@dataclass(frozen=True)
class Tower:
    """A trained network of a trial, its answers on the validation examples, and its own score there."""

    trial: Trial
    network: Network
    weights: Mapping[str, np.ndarray]
    outputs: Outputs
    score: float


class Towers:
    """Trains towers of a run, each once.

    Args:
        context: the run.
        settings: of the ensemble.
        folder: for what is trained on top of others.
    """

    def __init__(self, context: RunContext, settings: EnsembleSettings, folder: Path) -> None:
        self.context, self.settings, self.folder = context, settings, folder
        self.infeasible: dict[int, str] = {}
        data = context.dataset
        training, self.validation = data.split(context.recipe.data.validation_fraction, context.recipe.seed)
        self.preprocessing = context.task.fit(training)

    def candidates(self) -> list[Trial]:
        """The trials of the search that fit so many times into the budget, the most accurate first.

        Raises WorkError when there are fewer than two.
        """
        limits, towers = self.context.limits, self.settings.towers
        shares = {name: limit / towers for name, limit in limits.items() if split_name(name)[0] not in _NOT_ADDED}
        with closing(self.context.open_study()) as study:
            trials = [trial for trial in study.trials if trial.state == "complete" and not trial.foreign]
        fitting = [
            trial
            for trial in trials
            if all(trial.predicted.get(name, float("inf")) <= share for name, share in shares.items())
        ]
        if len(fitting) < 2:
            least = {name: min((t.predicted.get(name, float("inf")) for t in trials), default=0.0) for name in shares}
            words = ", ".join(
                f"{name} {share:.4g} each, the least is {least[name]:.4g}" for name, share in shares.items()
            )
            raise WorkError(
                f"{len(fitting)} of {len(trials)} trials {'fits' if len(fitting) == 1 else 'fit'} {towers} times into "
                f"the budget ({words}); take fewer towers, give the ensemble a larger budget (--budget), or search "
                "within a smaller one"
            )
        return sorted(fitting, key=lambda trial: (-(trial.score or 0.0), trial.number))[: self.settings.trained]

    def train(self, trial: Trial) -> Tower | None:
        """A tower that was trained by itself, as the run trains what it ships; None when its training diverged."""
        from edgenas.export.keras.builder import build_keras
        from edgenas.training import TrainingDivergedError
        from edgenas.training.initial import weights_by_name

        network = self._network(trial)
        try:
            train_final(self.context, trial.number, network)
        except TrainingDivergedError as error:
            self._leave_out(trial, error)
            return None
        model = build_keras(network)
        load_trained(self.context, trial.number, model)
        return self._tower(trial, network, weights_by_name(model))

    def train_on_top(self, trial: Trial, ensemble: Sequence[Tower]) -> Tower | None:
        """A tower that learns what is left of the loss when it is added to others; None when its training diverged."""
        from edgenas.training import TrainingDivergedError
        from edgenas.training.initial import weights_by_name
        from edgenas.training.losses import ResidualLoss

        network, recipe = self._network(trial), self.context.recipe
        folder = self.folder / "towers" / "-".join(str(one.trial.number) for one in ensemble)
        store = FolderWeights(folder)
        saved = store.load(trial.number)
        if saved is None:
            settings = recipe.training.settings()
            loss = ResidualLoss(
                self.context.task, self.model(ensemble, (1.0,) * len(ensemble)), settings.label_smoothing
            )
            try:
                done = run_training(
                    self.context,
                    trial.number,
                    network,
                    settings,
                    seed=derived_seed(recipe.seed, _SEED_PURPOSE, trial.number),
                    folder=folder / str(trial.number),
                    title="residual tower",
                    losses=[loss],
                )
            except TrainingDivergedError as error:
                self._leave_out(trial, error)
                return None
            saved = SavedWeights(weights_by_name(done.result.model), float(done.result.history[-1]["loss"]))
            store.save(trial.number, saved)
        return self._tower(trial, network, saved.arrays)

    def model(self, towers: Sequence[Tower], shares: Sequence[float]) -> Any:
        """The ensemble as a Keras model."""
        from edgenas.training.teachers import trained_model

        networks = [one.network for one in towers]
        arrays = weights_side_by_side(networks, [one.weights for one in towers], shares)
        return trained_model(side_by_side("ensemble", networks), arrays)

    def score(self, outputs: Outputs) -> float:
        """The task's primary metric of answers on the validation examples."""
        from edgenas.tasks.files import in_memory

        return self.context.task.score(in_memory(self.validation.targets), outputs)

    def _network(self, trial: Trial) -> Network:
        network = self.context.space.decode(self.context.space.parse(trial.architecture))
        last_dense(network)
        return network

    def _tower(self, trial: Trial, network: Network, weights: Mapping[str, np.ndarray]) -> Tower:
        from edgenas.training import ModelScorer
        from edgenas.training.teachers import trained_model

        scorer = ModelScorer(
            trained_model(network, weights),
            task=self.context.task,
            preprocessing=self.preprocessing,
            outputs=network.outputs,
        )
        outputs = scorer.outputs(self.validation)
        named = dict(zip(("ensemble",), outputs.values(), strict=True))
        return Tower(trial, network, weights, named, self.score(named))

    def _leave_out(self, trial: Trial, error: Exception) -> None:
        self.infeasible[trial.number] = str(error)
        self.context.log.event("tower_infeasible", trial=trial.number, error=str(error))
        self.context.progress.say(f"  trial {trial.number} is left out of the ensemble: {error}")
