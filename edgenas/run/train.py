"""Step 3b: the training of the network that is shipped, continued from its last checkpoint after an interruption."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.export.files import write_atomically
from edgenas.run.initial import beginning
from edgenas.run.records import TrainRecord
from edgenas.run.teacher import final_losses
from edgenas.run.tensorboard import scalar_log
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.study.evaluation import derived_seed

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.training import TrainingProgress, TrainingResult, TrainingSettings
    from edgenas.training.losses import Loss

_SEED_PURPOSE = 2


def final_path(context: RunContext, number: int) -> Path:
    """Folder of the final training of a trial: weights, ``training.json``, checkpoints, the exported model."""
    return context.folder.trial_path(number) / "final"


def weights_path(context: RunContext, number: int) -> Path:
    return final_path(context, number) / "model.weights.h5"


def training_record(context: RunContext, number: int) -> dict[str, Any]:
    """``training.json``: history, settings, seconds, preprocessing. Raises InputError when there is none."""
    path = final_path(context, number) / "training.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        context.task.read_preprocessing(record["preprocessing"])
        if not isinstance(record["settings"], dict) or not isinstance(record["train_images"], int):
            raise ValueError("other keys than a training's")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path}: not the record of a training ({error}); nothing was changed. Delete it and continue with "
            "--resume (or the same export): the training goes on from its last checkpoint"
        ) from None
    return dict(record)


def load_trained(context: RunContext, number: int, model: Any) -> None:
    """Gives a model the weights of a final training. Raises InputError when their file is damaged."""
    path = weights_path(context, number)
    try:
        model.load_weights(path)
    except Exception as error:  # whatever Keras and HDF5 say of a damaged file
        raise InputError(
            f"{path}: not the weights of this training ({' '.join(str(error).split())[:200]}); nothing was changed. "
            "Delete it and continue with --resume (or the same export): the training goes on from its last checkpoint"
        ) from None


def train_final(context: RunContext, number: int, network: Network) -> None:
    """Trains a trial's network with the recipe's final settings, unless that is done."""
    folder = final_path(context, number)
    if (folder / "training.json").is_file() and weights_path(context, number).is_file():
        return
    recipe = context.recipe
    with context.step(TrainRecord):
        done = run_training(
            context,
            number,
            network,
            recipe.training.settings(),
            seed=derived_seed(recipe.seed, _SEED_PURPOSE, number),
            folder=folder,
            title="train",
        )
        temporary = folder / "unfinished.weights.h5"
        done.result.model.save_weights(temporary)
        os.replace(temporary, weights_path(context, number))
        record = {"trial": number, **done.to_json(), "settings": recipe.training.model_dump(mode="json")}
        write_atomically(folder / "training.json", json.dumps(record, indent=1, default=float) + "\n")
        context.log.event(
            "trained", trial=number, metric=done.metric, validation_metrics=done.metrics, seconds=done.result.seconds
        )
        score = done.metrics[done.metric]
        context.progress.say(
            f"trained: {done.metric} {score:.4f} on {done.validation_examples} validation examples; saved in {folder}"
        )


@dataclass(frozen=True)
class DoneTraining:
    """A training on the run's training examples, judged on its validation examples."""

    result: TrainingResult
    metric: str
    metrics: Mapping[str, float]
    train_examples: int
    validation_examples: int
    preprocessing: Any
    initial: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """What ``training.json`` keeps of it."""
        return {
            **({"validation_top1": self.metrics["top1"]} if "top1" in self.metrics else {}),
            "metric": self.metric,
            "validation_metrics": dict(self.metrics),
            "train_images": self.train_examples,
            "validation_images": self.validation_examples,
            "seconds": self.result.seconds,
            "preprocessing": self.preprocessing.to_dict(),
            "history": self.result.history,
            **({"initial": dict(self.initial)} if self.initial else {}),
        }


def run_training(
    context: RunContext,
    number: int,
    network: Network,
    settings: TrainingSettings,
    *,
    seed: int,
    folder: Path,
    title: str,
    losses: Sequence[Loss] | None = None,
) -> DoneTraining:
    """Trains a trial's network, or continues that from the checkpoint in ``folder``, with progress under ``title``.

    It begins as ``training.initial`` of the recipe says, and minimises ``losses``, or what the recipe says.
    """
    from edgenas.training import evaluate, train

    training, validation = context.dataset.split(context.recipe.data.validation_fraction, context.recipe.seed)
    learned = context.task
    preprocessing = learned.fit(training)
    begins = beginning(context, number)
    initial: dict[str, Any] = {}
    if begins is not None:
        taken = begins.fit(network)
        initial = begins.to_json(taken)
        context.log.event("initial_weights", trial=number, **initial)
        context.progress.say(f"trial {number}: {begins.words(taken)}")
    steps, name = settings.steps(len(training))[1], f"{title.partition(' ')[0]}-trial-{number}"
    with context.progress.task(title, steps) as task, scalar_log(context, name) as log:

        def show(progress: TrainingProgress) -> None:
            score = "" if progress.validation is None else f", {learned.metric} {progress.validation:.3f}"
            task.update(progress.step, note=f"epoch {progress.epoch}/{progress.epochs}{score}")
            validation = {f"validation/{name}": value for name, value in progress.metrics.items()}
            log.write(progress.step, {"loss": progress.loss, **validation})

        result = train(
            network,
            training,
            settings,
            task=learned,
            seed=seed,
            validation=validation,
            preprocessing=preprocessing,
            losses=losses or final_losses(context, number, network, settings.label_smoothing),
            initial=None if begins is None else begins.arrays,
            checkpoint_dir=folder / "checkpoints",
            on_epoch=show,
            on_step=show,
        )
    judge = learned.for_network(network, preprocessing)
    metrics = evaluate(result.model, validation, task=judge, preprocessing=preprocessing, outputs=network.outputs)
    return DoneTraining(result, learned.metric, metrics, len(training), len(validation), preprocessing, initial)
