"""An ensemble of a run, or one network that has learned from it, as a bundle whose measured costs keep the budget."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.export.files import write_atomically
from edgenas.recipe.budget_options import with_budgets
from edgenas.run.context import RunContext
from edgenas.run.device import RunDevice
from edgenas.run.ensemble.growing import Ensemble, Growing
from edgenas.run.ensemble.networks import side_by_side
from edgenas.run.ensemble.settings import EnsembleSettings
from edgenas.run.ensemble.towers import Towers
from edgenas.run.export import export
from edgenas.run.folder import RunFolder
from edgenas.run.records import ExportRecord
from edgenas.run.train import DoneTraining, run_training
from edgenas.spaces.errors import WorkError
from edgenas.spaces.network import Network
from edgenas.study.evaluation import derived_seed

if TYPE_CHECKING:
    from edgenas.study.trial import Trial

#: Stands for the ensemble where files ask for a trial's number: no search has so many.
_NUMBER = 2**31 - 1
_SEED_PURPOSE = 10
_STUDENT_SHARE = 0.5
"""Of the ensemble's answers in the loss of a network that learns from them."""


@dataclass(frozen=True)
class Shipped:
    """What was made: the ensemble, what its file was found to be, and where it is."""

    settings: EnsembleSettings
    ensemble: Ensemble
    export: ExportRecord
    bundle: Path
    student: int | None
    infeasible: dict[int, str]

    def to_json(self) -> dict[str, Any]:
        """``{"method", "trials", "shares", "validation", "shipped", "bundle", ...}``."""
        best = max(self.ensemble.towers, key=lambda one: one.score)
        return {
            "method": self.settings.method,
            "combine": self.settings.combine,
            "trials": self.ensemble.numbers,
            "shares": list(self.ensemble.shares),
            "validation": self.ensemble.score,
            "best_tower": {"trial": best.trial.number, "validation": best.score},
            "student": self.student,
            "infeasible": {str(number): words for number, words in self.infeasible.items()},
            "shipped": self.export.shipped(),
            "bundle": str(self.bundle),
        }

    def words(self) -> str:
        """One line for people."""
        metric, _, score = self.export.scores
        of = " + ".join(map(str, self.ensemble.numbers))
        what = f"ensemble of trials {of}" if self.student is None else f"trial {self.student}, taught by trials {of}"
        return f"{what}: {metric} {score:.4f} on test examples; in {self.bundle}"


class _Folder(RunFolder):
    """The run's folder, in which the ensemble stands for a trial."""

    def __init__(self, of: RunFolder, ensemble: Path) -> None:
        super().__init__(of.path, of.budget)
        self.ensemble = ensemble

    def trial_path(self, number: int) -> Path:
        return self.ensemble if number == _NUMBER else super().trial_path(number)


class _Device(RunDevice):
    """A device of the run, whose table does not know ensembles."""

    lacks = "a latency table predicts networks of one space; an ensemble's cost is that of its towers, measured here"

    @cached_property
    def known_table(self) -> None:
        return None


class _Context(RunContext):
    """The run as the export of an ensemble sees it."""

    def __init__(self, of: RunContext, ensemble: Path) -> None:
        super().__init__(of.recipe, _Folder(of.folder, ensemble), of.progress)
        for loaded in ("task", "dataset", "space"):
            self.__dict__[loaded] = getattr(of, loaded)

    @cached_property
    def devices(self) -> tuple[RunDevice, ...]:
        margin = self.recipe.search.latency_margin
        return tuple(
            _Device(device, self.folder, self.precision, margin, number)
            for number, device in enumerate(self.recipe.budgeted_devices)
        )

    def origin(self, trial: Trial) -> tuple[str | None, str | None]:
        return None, None


def ship_ensemble(context: RunContext, settings: EnsembleSettings, destination: Path | None = None) -> Shipped:
    """Makes, trains, exports and measures an ensemble of a run's trials.

    Towers are left out, the last first, until the file keeps the budget when measured. Raises WorkError when no two
    towers fit into it.
    """
    folder = context.folder.path / "ensembles" / settings.name
    if settings.budget:
        context = context.with_recipe(with_budgets(context.recipe, settings.budget), context.folder)
    towers = Towers(context, settings, folder)
    growing = Growing(towers, settings)
    found = growing.grown()
    bundle = destination or folder / "bundle"
    context.progress.say(
        f"ensemble ({settings.method}): trials {', '.join(map(str, found.numbers))}, {context.task.metric} "
        f"{found.score:.4f} on validation examples"
    )
    if settings.distill:
        return _ship_student(context, towers, found, folder, bundle)
    alone = f"no second tower makes trial {found.numbers[0]} better on the validation examples"
    view, problem = _Context(context, folder), alone
    while len(found.towers) > 1:
        networks = [one.network for one in found.towers]
        network = side_by_side("ensemble", networks)
        _write_trained(folder, towers.model(found.towers, found.shares), _record(context, towers, found))
        record = export(view, _stand_in(found), network, bundle)
        if isinstance(record, ExportRecord):
            return _kept(folder, Shipped(settings, found, record, bundle, None, towers.infeasible))
        problem = record
        context.progress.say(f"  {record}; the ensemble goes on without trial {found.numbers[-1]}")
        found = growing.together(found.towers[:-1])
    raise WorkError(f"no ensemble is shipped: {problem}. What was trained is kept in {folder} and the run's trials")


def _kept(folder: Path, shipped: Shipped) -> Shipped:
    write_atomically(folder / "ensemble.json", json.dumps(shipped.to_json(), indent=1, default=float) + "\n")
    return shipped


def _stand_in(found: Ensemble) -> Trial:
    """A trial with the sums of the towers' costs, for what the bundle says of the budget."""
    first = found.towers[0].trial
    predicted = {name: sum(one.trial.predicted.get(name, 0.0) for one in found.towers) for name in first.predicted}
    return dataclasses.replace(first, number=_NUMBER, predicted=predicted)


def _record(context: RunContext, towers: Towers, found: Ensemble) -> dict[str, Any]:
    training, validation = context.dataset.split(context.recipe.data.validation_fraction, context.recipe.seed)
    return {
        "trial": _NUMBER,
        "trials": found.numbers,
        "shares": list(found.shares),
        "metric": context.task.metric,
        "validation_metrics": {context.task.metric: found.score},
        "train_images": len(training),
        "validation_images": len(validation),
        "seconds": 0.0,
        "preprocessing": towers.preprocessing.to_dict(),
        "history": [],
        "settings": context.recipe.training.model_dump(mode="json"),
    }


def _write_trained(folder: Path, model: Any, record: dict[str, Any]) -> None:
    """The files of a final training, where the export looks for them."""
    final = folder / "final"
    final.mkdir(parents=True, exist_ok=True)
    model.save_weights(final / "model.weights.h5")
    write_atomically(final / "training.json", json.dumps(record, indent=1, default=float) + "\n")


def _ship_student(context: RunContext, towers: Towers, found: Ensemble, folder: Path, bundle: Path) -> Shipped:
    """Trains the run's best trial with the ensemble as its teacher, and ships that."""
    from contextlib import closing

    from edgenas.training.losses import Distillation, taught

    with closing(context.open_study()) as study:
        trial = study.ranking[0]
    network: Network = context.space.decode(context.space.parse(trial.architecture))
    training = context.recipe.training.settings()
    distance = Distillation(context.task, towers.model(found.towers, found.shares))
    done: DoneTraining = run_training(
        context,
        trial.number,
        network,
        training,
        seed=derived_seed(context.recipe.seed, _SEED_PURPOSE, trial.number),
        folder=folder / "student",
        title="student of the ensemble",
        losses=taught(context.task, distance, training.label_smoothing, share=_STUDENT_SHARE, ramped=False),
    )
    record = {"trial": trial.number, **done.to_json(), "settings": context.recipe.training.model_dump(mode="json")}
    _write_trained(folder, done.result.model, record)
    shipped = export(_Context(context, folder), dataclasses.replace(trial, number=_NUMBER), network, bundle)
    if not isinstance(shipped, ExportRecord):
        raise WorkError(f"trial {trial.number}, taught by the ensemble, is not shipped: {shipped}; it is in {folder}")
    return _kept(folder, Shipped(towers.settings, found, shipped, bundle, trial.number, towers.infeasible))
