"""The training of a supernet, alone or together with a controller, continued exactly after an interruption.

Every step trains random networks, each on examples of its own. Where that is wanted it is a sandwich (BigNAS, arXiv
2003.11142): the largest network learns from labels, the smallest and random ones from labels at first and from its
answers more and more, all on the same examples. What a step does depends on the seed, its number and the state before
it, so a checkpoint needs nothing but the state.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgenas.search.problem import Problem
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.space.decision import Architecture
from edgenas.supernet.controller import Controller, ControllerSettings, Floats, RewardFunction
from edgenas.supernet.families import Families, Population
from edgenas.supernet.learning import Learner, StepNetwork
from edgenas.supernet.lesson import Lesson
from edgenas.supernet.network import Supernet
from edgenas.supernet.settings import SupernetSettings
from edgenas.training.checkpoint import Checkpoint, checkpoint_path, load_checkpoint, save_checkpoint
from edgenas.training.runtime import light_graphs
from edgenas.training.settings import decisive

__all__ = ["Floats", "RewardFunction", "SupernetProgress", "SupernetTraining"]

_NETWORKS, _CONTROLLER = 11, 12
#: The reward batch is so many training batches (TuNAS).
_REWARD_BATCHES = 4
_REPORT_SECONDS = 1.0


@dataclass(frozen=True)
class SupernetProgress:
    """Where a training is. ``losses`` are of the networks of the last step, in the order of SupernetTraining.rows."""

    step: int
    steps: int
    losses: tuple[float, ...]
    seconds: float
    seconds_left: float
    reward: float | None = None
    entropy: float | None = None
    best: tuple[int, ...] | None = None


class SupernetTraining:
    """One training of a supernet.

    Args:
        supernet: trained in place.
        lesson: what from.
        settings: how.
        within: with it, random networks are those that keep its limits. A search looks at no others, and larger ones
            would cost more and change weights that they share. A controller draws as it has learnt.
        reward: with it, a controller learns along, on held-out batches.
        controller: its settings.
        folder: for the checkpoint; one found there is continued.

    Raises:
        InputError: the space does not fit the examples, or the checkpoint is another training's.
    """

    def __init__(
        self,
        supernet: Supernet,
        lesson: Lesson,
        settings: SupernetSettings,
        *,
        within: Problem | None = None,
        reward: RewardFunction | None = None,
        controller: ControllerSettings | None = None,
        folder: Path | None = None,
    ) -> None:
        lesson.check(settings.batch_size)
        self.supernet, self.lesson, self.settings, self.folder = supernet, lesson, settings, folder
        self.learner = Learner(supernet, lesson, settings)
        self.families = Families(supernet.space, lesson.seed)
        self.within = within
        self.reward = reward
        self.controller = None
        if reward is not None:
            self.controller = Controller(supernet.space, controller or ControllerSettings())
        self.steps = settings.steps(len(lesson.training))
        self.last_reward: float | None = None
        self.history: list[dict[str, float]] = []
        facts = {
            "space": [str(decision) for decision in supernet.space.decisions],
            "settings": decisive(settings.to_dict()),
            "controller": None if self.controller is None else self.controller.settings.__dict__,
        }
        if within is not None:
            facts["within"] = dict(within.limits)
        self._fingerprint = lesson.fingerprint(facts)
        self._controller_state = self._snapshot()
        self._start = time.monotonic()
        self._resume()

    def run(self, on_step: Callable[[SupernetProgress], None] | None = None, *, until: int | None = None) -> None:
        """Trains to the end, or up to a step. ``on_step`` hears about once a second.

        Whatever ends it early leaves a checkpoint behind. Raises WorkError when the loss is not finite any more.
        """
        last = until if until is not None else self.steps
        reported = saved = time.monotonic()
        try:
            with light_graphs():
                self._catch_up()
                while self.learner.step < last:
                    step = self.learner.step
                    self._weights_step(step)
                    self._controller_step(step)
                    now = time.monotonic()
                    if now - reported >= _REPORT_SECONDS or step + 1 == last:
                        reported = now
                        progress = self._progress()
                        if on_step is not None:
                            on_step(progress)
                    if now - saved >= self.settings.checkpoint_seconds:
                        saved = now
                        self._save()
        finally:
            self._save()

    def rows(self, step: int) -> Population:
        """(networks, decisions) what a step trains: random ones, between the largest and the smallest if wanted."""
        rng = np.random.default_rng([self.lesson.seed, _NETWORKS, step])
        families, count = self.families, self.settings.random_networks
        if self.controller is None:
            within = self.within
            rows = families.balanced_within(rng, count, within.feasible) if within else families.balanced(rng, count)
        else:
            rows = self.controller.sample(rng, count)
            # TuNAS' warm-ups: with a probability that falls to 0, all blocks run alike, and all widths are the largest.
            warm = 1.0 - step / max(1.0, self.controller.settings.delay * self.steps)
            if rng.random() < warm:
                rows = families.covering(rng, rows)
            if rng.random() < warm:
                rows = np.stack([families.widest(row) for row in rows])
        if not self.settings.sandwich:
            return rows
        return np.concatenate([families.largest.draw(rng)[None], rows, families.smallest.draw(rng)[None]])

    # Steps ---------------------------------------------------------------------------------------------------------

    def _weights_step(self, step: int) -> None:
        rows, settings = self.rows(step), self.settings
        macs = self.families.macs(rows)
        # The rank loss must not disturb networks that have learnt nothing yet, so its weight grows from 0.
        above = (macs[:, None] > macs[None, :]) * settings.rank_weight * step / self.steps
        batches = [self.lesson.batch(step, settings.batch_size)] * len(rows) if settings.one_batch else None
        if batches is None:
            numbers = range(step * len(rows), (step + 1) * len(rows))
            batches = [self.lesson.batch(number, settings.batch_size) for number in numbers]
        networks = [
            StepNetwork(self._plan(row), batch, lost) for row, batch, lost in zip(rows, batches, above, strict=True)
        ]
        # Nothing is to be learnt from the largest network before it has learnt something itself.
        self.learner.train(networks, settings.distillation * step / self.steps, self._rate(step))

    def _controller_step(self, step: int) -> None:
        if self.controller is None or self.reward is None:
            return
        rng = np.random.default_rng([self.lesson.seed, _CONTROLLER, step])
        rows = self.controller.sample(rng, self.controller.settings.samples)
        progress = step / self.steps
        if self.controller.settings.rate(progress):
            batch = self.lesson.reward_batch(step, _REWARD_BATCHES * self.settings.batch_size)
            found = [self.learner.batch_score(batch, self._plan(row)) for row in rows]
            rewards = self.controller.learn(rows, np.array(found), self.reward, progress, rng)
            self.last_reward = float(rewards.mean())
        else:
            self.controller.steps += 1
        self._controller_state = self._snapshot()

    def _catch_up(self) -> None:
        """The controller's part of a step that was interrupted between the two."""
        if self.controller is not None and self.controller.steps < self.learner.step:
            self._controller_step(self.learner.step - 1)

    def _plan(self, row: npt.NDArray[np.int16]) -> npt.NDArray[np.int32]:
        return self.supernet.plan(Architecture(tuple(int(choice) for choice in row)))

    def _rate(self, step: int) -> float:
        warmup = round(self.settings.warmup * self.steps)
        if step < warmup:
            return self.settings.learning_rate * (step + 1) / warmup
        share = (step - warmup) / max(1, self.steps - warmup)
        return self.settings.learning_rate * 0.5 * (1 + math.cos(math.pi * share))

    def _progress(self) -> SupernetProgress:
        losses = tuple(float(loss) for loss in self.learner.variables["losses"].numpy())
        step, seconds = self.learner.step, time.monotonic() - self._start
        if not all(map(math.isfinite, losses)):
            raise WorkError(
                f"training of the supernet diverged: a loss is not finite at step {step} of {self.steps}; use a "
                f"supernet.learning_rate below {self.settings.learning_rate:g}"
            )
        record = {"step": step, "seconds": seconds}
        between = slice(1, -1) if self.settings.sandwich else slice(None)
        if self.settings.sandwich:
            record |= {"loss_largest": losses[0], "loss_smallest": losses[-1]}
        record["loss_random"] = float(np.mean(losses[between]))
        best = None
        if self.controller is not None:
            record["entropy"] = self.controller.entropy
            best = tuple(int(choice) for choice in self.controller.best())
            if self.last_reward is not None:
                record["reward"] = self.last_reward
        self.history.append(record)
        return SupernetProgress(
            step,
            self.steps,
            losses,
            seconds,
            seconds / max(1, step) * (self.steps - step),
            self.last_reward,
            record.get("entropy"),
            best,
        )

    # State ---------------------------------------------------------------------------------------------------------

    def _snapshot(self) -> dict[str, np.ndarray]:
        if self.controller is None:
            return {}
        return {f"controller/{name}": array.copy() for name, array in self.controller.to_arrays().items()}

    def _save(self) -> None:
        if self.folder is None:
            return
        arrays = {name: variable.numpy() for name, variable in self.learner.variables.items()} | self._controller_state
        seconds = time.monotonic() - self._start
        checkpoint = Checkpoint(0, self.learner.step, seconds, tuple(self.history), self._fingerprint, arrays)
        save_checkpoint(self.folder, checkpoint)

    def _resume(self) -> None:
        checkpoint = None if self.folder is None else load_checkpoint(self.folder, self._fingerprint)
        if checkpoint is None or self.folder is None:
            return
        try:
            for name, variable in self.learner.variables.items():
                variable.assign(checkpoint.arrays[name])
            if self.controller is not None:
                start = len("controller/")
                self.controller.set_arrays(
                    {name[start:]: array for name, array in checkpoint.arrays.items() if name.startswith("controller/")}
                )
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(
                f"{checkpoint_path(self.folder)}: does not fit the supernet ({error}); delete it to train anew"
            ) from None
        self.history = [dict(record) for record in checkpoint.history]
        self._controller_state = self._snapshot()
        self._start -= checkpoint.seconds
