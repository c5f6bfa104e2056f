"""What a candidate is worth: the task's metrics on held-out examples after a short training with its own seed."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.plugins import load_plugins
from edgenas.recipe.finalize import FinalizeRecipe
from edgenas.recipe.recipe import Recipe
from edgenas.search.pruning import EarlyStopping
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.references import reference_names, reference_task
from edgenas.spaces.resolve import ResolvedArchitecture, resolve_architecture
from edgenas.spaces.space.fixed import space_of
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.spaces.space.spec import load_spec
from edgenas.study.candidates import Candidate, Evaluation, Evaluator
from edgenas.study.learning import Learning, judged

if TYPE_CHECKING:
    from edgenas.data.task_data import TaskData
    from edgenas.spaces.block import Block
    from edgenas.spaces.network import Network
    from edgenas.tasks import Task
    from edgenas.training import TrainingProgress, TrainingResult

#: Weights after the short training, among the files that a trial leaves.
WEIGHTS = "short.weights.h5"


def derived_seed(seed: int, *keys: int) -> int:
    """A seed in [0, 2**31) for one purpose out of the run's seed: the same keys give the same one.

    >>> derived_seed(0, 1) == derived_seed(0, 1) != derived_seed(0, 2)
    True
    """
    return int(np.random.SeedSequence([seed, *keys]).generate_state(1)[0] >> 1)


def load_task(recipe: Recipe) -> Task:
    """The task of a recipe: the one it names, else that of its space. Raises InputError when nobody knows it."""
    from edgenas.tasks import get_task

    return get_task(recipe.task or _task_of_space(recipe), recipe.task_options).for_devices(_take_reals(recipe))


def _take_reals(recipe: Recipe) -> bool:
    """Whether all devices of a recipe compute on real numbers, too; those are passed over that a worker lacks."""
    from edgenas.devices import get_device

    found = []
    for device in recipe.budgeted_devices:
        with suppress(InputError):
            found.append(get_device(device.name).takes_reals)
    return all(found)


def _task_of_space(recipe: Recipe) -> str:
    """Of one network that belongs to no space: that of a reference network, else classification."""
    if recipe.space.architecture is None:
        return load_spec(recipe.space.spec).task
    architecture = str(recipe.space.architecture)
    if architecture in reference_names():
        return reference_task(architecture)
    space = _resolved(recipe).space
    return "classification" if space is None else space.task


def _resolved(recipe: Recipe, **arguments: Any) -> ResolvedArchitecture:
    try:
        return resolve_architecture(str(recipe.space.architecture), **arguments)
    except InputError as error:
        raise InputError(f"space.architecture: {error}") from None


def load_data(recipe: Recipe, task: Task) -> TaskData:
    """The data of a recipe. Raises InputError when they are missing or wrong."""
    return task.load(recipe.data.request(recipe.seed))


def load_space(recipe: Recipe, task: Task, data: TaskData) -> SearchSpace:
    """The space of a recipe, with what of it follows the data; of one network, a space of one.

    Its networks begin and end as they are deployed; ``learned`` is the space of what is trained. Raises InputError.
    """
    space = _load_learned_space(recipe, task, data)
    if recipe.export.post_processing == "operator" and not task.decoding():
        raise InputError(
            f"export.post_processing is for tasks whose outputs are decoded, such as detection, not for {task.kind}; "
            "remove it"
        )
    ending, beginning = _ending(recipe, task, data), task.beginning(data)
    if ending is not None:
        space = space.ending_in(ending)
    if beginning is not None:
        ((_, shape),) = task.inputs(data).items()
        space = space.beginning_with(beginning, shape)
    return space


def _ending(recipe: Recipe, task: Task, data: TaskData) -> Block | None:
    given = recipe.export.finalize
    if not task.is_finalized:
        return task.ending(data, None if given is None else given.settings(()))
    if given is None or given.argmax == "auto":  # only then is a device asked: workers may not know it
        from edgenas.devices import get_device

        wanted = (
            [] if task.ending(data, None) is None else [get_device(d.name).arg_max for d in recipe.budgeted_devices]
        )
        settings = None if given is None and not wanted else (given or FinalizeRecipe()).settings(wanted)
    else:
        settings = given.settings(())
    return task.ending(data, settings)


def _load_learned_space(recipe: Recipe, task: Task, data: TaskData) -> SearchSpace:
    arguments = task.space_arguments(data)
    if recipe.space.architecture is None:
        return SearchSpace.load(recipe.space.spec, **arguments)
    return space_of(_resolved(recipe, **arguments).network.learned, task=task.kind)


#: Makes, inside a worker process, what gives the weights that an architecture's training begins with.
StartFactory = Callable[[], Callable[[str], Mapping[str, np.ndarray]]]


@dataclass(frozen=True)
class ShortTrainingEvaluator:
    """Makes, inside a worker process, the evaluator that a recipe describes.

    Attributes:
        recipe: of the run.
        starts: weights that trainings begin with; None: random ones.
        trials: folder of the trials, for what they leave to each other.
    """

    recipe: Recipe
    starts: StartFactory | None = None
    trials: Path | None = None

    def __call__(self) -> Evaluator:
        from edgenas.training import train

        recipe = self.recipe
        load_plugins(recipe.plugins)
        task = load_task(recipe)
        data = load_data(recipe, task)
        space = _load_learned_space(recipe, task, data)
        training, validation = data.split(recipe.data.validation_fraction, recipe.seed)
        preprocessing = task.fit(training)
        short = recipe.search.training
        if short.images is not None:
            training = training.subset(short.images, recipe.seed)
        start = self.starts() if self.starts is not None else lambda architecture: None

        def decode(architecture: str) -> Network:
            return space.decode(space.parse(architecture))

        learning = Learning(recipe, self.trials, decode, task)

        def beginning(candidate: Candidate) -> Any:
            inherited = start(candidate.architecture)
            return learning.start(candidate) if inherited is None else inherited

        def judge(model: Any, network: Network) -> tuple[dict[str, float], float]:
            judge = task.for_network(network, preprocessing)
            return judged(model, validation, task=judge, preprocessing=preprocessing, outputs=network.outputs)

        def evaluate_epochs(candidate: Candidate) -> Evaluation:
            network = decode(candidate.architecture)
            watch = _Watch(recipe.search.early_stopping, candidate)
            try:
                trained = train(
                    network,
                    training,
                    short.settings(),
                    task=task,
                    seed=candidate.seed,
                    preprocessing=preprocessing,
                    validation=validation,
                    losses=learning.losses(candidate, short.label_smoothing),
                    initial=beginning(candidate),
                    on_epoch=watch,
                )
            except _StoppedEarlyError:
                return Evaluation(watch.curve[-1], tuple(watch.curve), stopped=True, metrics=watch.metrics)
            if learning.weights is not None:
                _, loss = judge(trained.model, network)
                learning.keep(candidate, trained.model, loss, trained.initial)
            _save_weights(trained, candidate)
            return Evaluation(watch.curve[-1], tuple(watch.curve), metrics=watch.metrics)

        def evaluate_candidate(candidate: Candidate) -> Evaluation:
            network = decode(candidate.architecture)
            result = train(
                network,
                training,
                short.settings(),
                task=task,
                seed=candidate.seed,
                preprocessing=preprocessing,
                losses=learning.losses(candidate, short.label_smoothing),
                initial=beginning(candidate),
            )
            metrics, loss = judge(result.model, network)
            score = _finite(metrics[task.metric], task.metric)
            learning.keep(candidate, result.model, loss, result.initial)
            _save_weights(result, candidate)
            return Evaluation(score, metrics=metrics)

        return evaluate_candidate if recipe.search.early_stopping == "none" else evaluate_epochs


def _save_weights(trained: TrainingResult, candidate: Candidate) -> None:
    if candidate.folder:
        folder = Path(candidate.folder)
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f"unfinished.{WEIGHTS}"
        trained.model.save_weights(unfinished)
        os.replace(unfinished, folder / WEIGHTS)


def _finite(score: float | None, metric: str) -> float:
    if score is None or not math.isfinite(score):
        raise WorkError(f"the metric {metric} is not a number")
    return float(score)


class _StoppedEarlyError(Exception):
    """Ends a training from within."""


class _Watch:
    """Hears of every epoch of a candidate and ends its training when it is not worth going on."""

    def __init__(self, pruner: str, candidate: Candidate) -> None:
        self.curve: list[float] = []
        self.metrics: Mapping[str, float] = {}
        self._pruner = pruner
        self._candidate = candidate
        self._stopping: EarlyStopping | None = None

    def __call__(self, progress: TrainingProgress) -> None:
        self.curve.append(_finite(progress.validation, "of the task"))
        self.metrics = progress.metrics
        if self._stopping is None:
            candidate = self._candidate
            self._stopping = EarlyStopping(self._pruner, progress.epochs, candidate.number, candidate.earlier)
        if self._stopping.should_stop(self.curve):
            raise _StoppedEarlyError
