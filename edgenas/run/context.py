"""What the steps of a run share: the recipe, the folder, and what is loaded from them when first needed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from edgenas.export.files import file_name
from edgenas.recipe.recipe import Recipe
from edgenas.run.device import RunDevice
from edgenas.run.folder import RunFolder
from edgenas.run.post_processing import block_behind
from edgenas.run.progress import Progress
from edgenas.run.ranked import open_ranked
from edgenas.run.records import StepRecord
from edgenas.run.step_times import known_steps
from edgenas.spaces.errors import EdgeNASError
from edgenas.spaces.resolve import resolve_architecture
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.study.costs import CostModel
from edgenas.study.evaluation import load_data, load_space, load_task
from edgenas.study.store import StudyStore

if TYPE_CHECKING:
    from edgenas.run.supernet.trained import TrainedSupernet
    from edgenas.study.objectives import Objective
    from edgenas.study.study import Trial
    from edgenas.tasks import Task


def budget_name(recipe: Recipe, device: str, cost: str, limit: float) -> str:
    """What one of several budgets is called in files: ``latency_ms-0.2``."""
    return file_name(f"{recipe.cost_name(cost, device)}-{limit:g}")


class RunContext:
    """Everything that a step needs. What is loaded is kept."""

    #: Whether a file over the budget is not shipped; else that is told.
    keeps_budget = True

    def __init__(self, recipe: Recipe, folder: RunFolder, progress: Progress) -> None:
        self.recipe = recipe
        self.folder = folder
        self.log = folder.log
        self.progress = progress

    @property
    def precision(self) -> str:
        """Precision of the latency table that is nearest to the shipped file (:func:`table_precision`)."""
        return table_precision(self.recipe.export.quantization)

    @cached_property
    def task(self) -> Task:
        return load_task(self.recipe)

    @cached_property
    def dataset(self) -> Any:
        """The :class:`edgenas.data.task_data.TaskData` that the task has loaded."""
        return load_data(self.recipe, self.task)

    @cached_property
    def space(self) -> SearchSpace:
        return load_space(self.recipe, self.task, self.dataset)

    def origin(self, trial: Trial) -> tuple[str | None, str | None]:
        """(space, architecture) that a trial's network is told by; (None, None) of a network that is of no space."""
        if self.recipe.space.architecture is None:
            return self.space.name, trial.architecture
        found = resolve_architecture(self.recipe.space.architecture)
        return (None if found.space is None else found.space.name), found.architecture_text

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of what is told apart; empty when nothing has one."""
        return self.task.labels(self.dataset)

    @cached_property
    def devices(self) -> tuple[RunDevice, ...]:
        """What the model is for, in the order of the recipe."""
        margin = self.recipe.search.latency_margin
        return tuple(
            RunDevice(device, self.folder, self.precision, margin, number, partial(block_behind, self))
            for number, device in enumerate(self.recipe.budgeted_devices)
        )

    @cached_property
    def budgets(self) -> tuple[RunContext, ...]:
        """The run as each value of a list of limits has it, the smallest first; where there is no list, the run itself.

        The last is the run itself: the largest limit is what it goes by.
        """
        found = self.recipe.budget_list
        if found is None:
            return (self,)
        device, cost, limits = found
        smaller = [self._at_budget(budget_name(self.recipe, device, cost, limit), limit) for limit in limits[:-1]]
        return (*smaller, self)

    def _at_budget(self, name: str, limit: float) -> RunContext:
        return self.with_recipe(self.recipe.at_budget(limit), RunFolder(self.folder.path, name))

    def with_recipe(self, recipe: Recipe, folder: RunFolder) -> RunContext:
        """The run by a recipe with other budgets; what is loaded is shared."""
        context = RunContext(recipe, folder, self.progress)
        for loaded in ("task", "dataset", "space"):
            context.__dict__[loaded] = getattr(self, loaded)
        if self.recipe.is_one_shot and "supernet" in self.__dict__:
            context.__dict__["supernet"] = self.supernet
        return context

    @property
    def budget_name(self) -> str:
        """Which of several budgets this is, as its bundle's folder is called; empty where there is one."""
        found = self.recipe.budget_list
        if found is None:
            return self.folder.budget
        device, cost, limits = found
        return budget_name(self.recipe, device, cost, limits[-1])

    @property
    def objective(self) -> Objective:
        """The reward, with the limits on predictions as its targets."""
        return self.recipe.objective_within(self.limits)

    @property
    def first(self) -> RunDevice:
        """The only device, or the first of several."""
        return self.devices[0]

    @cached_property
    def costs(self) -> CostModel:
        known = {device.name: device.predictor for device in self.devices if device.known_table is not None}
        measured = known_steps(self)
        behind = next((device.behind for device in self.devices if device.behind is not None), None)
        predictors = known.get(self.first.name) if len(self.devices) == 1 else known
        return CostModel(self.space, self.precision, predictors, measured, behind)

    @cached_property
    def supernet(self) -> TrainedSupernet:
        """The run's trained supernet. Raises WorkError while there is none."""
        from edgenas.run.supernet.trained import TrainedSupernet

        return TrainedSupernet(self)

    @property
    def limits(self) -> dict[str, float]:
        """Limits on predicted costs that keep every device's budget on measured ones."""
        limits: dict[str, float] = {}
        for device in self.devices:
            for cost, limit in device.limits.items():
                name = self.recipe.cost_name(cost, device.name)
                limits[name] = min(limit, limits.get(name, limit))
        return limits

    @contextmanager
    def step(self, kind: type[StepRecord]) -> Iterator[None]:
        """Times a step, adds the seconds to its record, and logs its beginning, end, or error."""
        start = time.monotonic()
        self.log.event("step_started", step=kind.step)
        try:
            yield
        except BaseException as error:
            with suppress(EdgeNASError, OSError):  # the disk may be what failed: the first error is the one to tell
                self._add_seconds(kind, time.monotonic() - start)
                self.log.event("step_failed", step=kind.step, error=str(error) or type(error).__name__)
            raise
        self._add_seconds(kind, time.monotonic() - start)
        self.log.event("step_done", step=kind.step, seconds=self.folder.read(kind).seconds)
        self.back_up()

    def open_study(self) -> StudyStore:
        """The study of the run. Raises InputError when there is none or it is damaged."""
        return open_ranked(self.folder, self.progress.say)

    def back_up(self) -> None:
        """Copies the study to its backup, where there is one."""
        if self.folder.study_path.is_file():
            with closing(self.open_study()) as study:
                study.back_up()

    def _add_seconds(self, kind: type[StepRecord], seconds: float) -> None:
        record = self.folder.read(kind)
        self.folder.write(replace(record, seconds=round(record.seconds + seconds, 2)))


def table_precision(quantization: str) -> str:
    """Precision of the latency table that is nearest to a quantized file: int8 for what computes on int8 alone.

    Files that round on the fly or hold 16-bit activations are predicted as float32; what is shipped is measured.
    """
    from edgenas.export.quantization import get_recipe

    recipe = get_recipe(quantization)
    return recipe.precision or ("int8" if recipe.integer_only else "float32")
