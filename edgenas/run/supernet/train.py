"""The training of a run's supernet, alone or together with a controller, continued after an interruption."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.export.files import write_atomically
from edgenas.run.records import SupernetRecord
from edgenas.run.supernet.making import INITIAL, SEARCH, folder, make_lesson, make_settings, section, seed
from edgenas.run.supernet.trained import save_supernet, weights_path
from edgenas.run.tensorboard import ScalarLog, scalar_log
from edgenas.study.cost_names import split_name, unit_of
from edgenas.supernet.families import Population

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.study.objectives import Objective
    from edgenas.supernet.training import Floats, RewardFunction, SupernetProgress, SupernetTraining

#: Architectures of the controller that its expected costs are the mean of.
_EXPECTED_OF = 256


def train_supernet(context: RunContext) -> None:
    """Trains the supernet of a one-shot run, or takes another run's, unless that is done.

    Whatever ends it early leaves a checkpoint that ``--resume`` continues exactly. Raises WorkError when it diverges.
    """
    if context.folder.read(SupernetRecord).done and weights_path(folder(context)).is_file():
        return
    with context.step(SupernetRecord):
        if section(context).from_run is not None:
            from edgenas.run.supernet.borrowed import borrow_supernet

            borrow_supernet(context)
        else:
            _train(context)


def _train(context: RunContext) -> None:
    from edgenas.supernet.network import Supernet
    from edgenas.supernet.training import SupernetTraining

    lesson = make_lesson(context)
    controlled = context.recipe.search.algorithm == "tunas"
    training = SupernetTraining(
        Supernet(context.space.learned, seed=seed(context, INITIAL)),
        lesson,
        make_settings(context, len(lesson.training)),
        within=context.costs.problem(context.limits, 0) if section(context).within_budget and not controlled else None,
        reward=reward_of(context, context.objective) if controlled else None,
        controller=section(context).controller.settings() if controlled else None,
        folder=folder(context),
    )
    context.progress.say(
        f"supernet: {training.supernet.parameters:,} shared weights, {training.steps} steps of "
        f"{training.settings.random_networks + 2} networks on {training.settings.batch_size} of "
        f"{len(lesson.training):,} examples"
    )
    try:
        done = training.learner.step
        progress_bar = context.progress.task("supernet", training.steps, done, slow_start=True)
        with progress_bar as task, scalar_log(context, "supernet", done) as log:
            watch = _Watch(context, training, log)
            training.run(lambda progress: task.update(progress.step, note=watch(progress)))
    finally:
        _write_history(context, training)
    save_supernet(context, training, _chosen(context, training))
    record = context.folder.read(SupernetRecord)
    context.folder.write(
        replace(
            record,
            done=True,
            steps=training.steps,
            examples=len(lesson.training),
            parameters=training.supernet.parameters,
            settings=training.settings.to_dict(),
        )
    )
    context.log.event("supernet_trained", steps=training.steps, **training.history[-1] if training.history else {})


def reward_of(context: RunContext, objective: Objective) -> RewardFunction:
    """A reward with costs from the tables."""
    targets = objective.targets

    def reward(qualities: Floats, rows: Population) -> Floats:
        return objective.rewards(qualities, context.costs.population(rows, tuple(targets)))

    return reward


def _chosen(context: RunContext, training: SupernetTraining) -> Population | None:
    """What a controller ends with; None where none learnt along."""
    if training.controller is None:
        return None
    reward = reward_of(context, context.objective.at_the_end)
    feasible = context.costs.problem(context.limits, 0).feasible
    return training.controller.most_rewarding(reward, np.random.default_rng(seed(context, SEARCH)), feasible)


class _Watch:
    """Says where a training is, for people and TensorBoard; adds to its history what the controller expects to pay."""

    def __init__(self, context: RunContext, training: SupernetTraining, log: ScalarLog) -> None:
        self.training, self.log = training, log
        self._names = tuple(context.limits)
        self._costs: Callable[[Population], Any] = lambda rows: context.costs.population(rows, self._names)

    def __call__(self, progress: SupernetProgress) -> str:
        words = self._words(progress)
        record = {name.replace(" ", "/"): value for name, value in self.training.history[-1].items()}
        self.log.write(progress.step, {name: record[name] for name in record if name not in ("step", "seconds")})
        return words

    def _words(self, progress: SupernetProgress) -> str:
        words = f"loss {np.mean(progress.losses):.3f} (of the {len(progress.losses)} networks of a step)"
        controller = self.training.controller
        if controller is None:
            return words
        rows = controller.sample(np.random.default_rng(0), _EXPECTED_OF)
        expected = {name: float(np.mean(values)) for name, values in self._costs(rows).items()}
        self.training.history[-1].update({f"expected {name}": value for name, value in expected.items()})
        if progress.reward is not None:
            words += f", reward {progress.reward:.3f}"
        shown = ", ".join(_cost_words(name, value) for name, value in expected.items())
        return f"{words}, expects {shown}, entropy {progress.entropy:.1f}"


def _cost_words(name: str, value: float) -> str:
    """``0.2 ms on local-cpu``, ``50000 params``."""
    cost, device = split_name(name)
    return f"{value:.4g} {unit_of(name) or cost}{device and f' on {device}'}"


def _write_history(context: RunContext, training: SupernetTraining) -> None:
    """``supernet/history.json``: what the report draws, also of a training that is not done."""
    document: dict[str, Any] = {"steps": training.steps, "history": training.history}
    if training.controller is not None:
        document["probabilities"] = {
            decision.name: dict(
                zip(map(str, decision.options), map(float, probabilities[: len(decision.options)]), strict=True)
            )
            for decision, probabilities in zip(context.space.decisions, training.controller.probabilities, strict=True)
        }
    write_atomically(folder(context) / "history.json", json.dumps(document) + "\n")
