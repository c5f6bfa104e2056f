"""What the steps of a run share: the recipe, the folder, and what is loaded from them when first needed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING

from edgenas.recipe.recipe import Recipe
from edgenas.run.folder import RunFolder
from edgenas.run.progress import Progress
from edgenas.spaces.errors import EdgeNASError, InputError
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.study.costs import CostModel
from edgenas.study.evaluation import load_data, load_space
from edgenas.study.study import Study

if TYPE_CHECKING:
    from edgenas.data import Dataset
    from edgenas.devices.device import Device
    from edgenas.latency.predict.predictor import Predictor
    from edgenas.latency.table.latency_table import LatencyTable

#: A table that was made on a busy machine may hold any ratio of deployed to quiet latency; more is not believed.
MAX_DEPLOYED_RATIO = 1.25


class RunContext:
    """Everything that a step needs. What is loaded is kept."""

    def __init__(self, recipe: Recipe, folder: RunFolder, progress: Progress) -> None:
        self.recipe = recipe
        self.folder = folder
        self.log = folder.log
        self.progress = progress

    @property
    def precision(self) -> str:
        """Precision of the latency table that is nearest to the shipped file: int8 for what computes on int8 alone.

        Files that round on the fly or hold 16-bit activations are predicted as float32; what is shipped is measured.
        """
        from edgenas.export.quantization import get_recipe

        name = self.recipe.export.quantization
        if name == "float16":
            return name
        return "int8" if get_recipe(name).integer_only and name != "int16x8" else "float32"

    @cached_property
    def dataset(self) -> Dataset:
        return load_data(self.recipe)

    @cached_property
    def space(self) -> SearchSpace:
        return load_space(self.recipe, self.dataset)

    @cached_property
    def device(self) -> Device:
        from edgenas.devices import get_device

        return get_device(self.recipe.device.name)

    @cached_property
    def table(self) -> LatencyTable:
        """The run's own copy of the latency table, which the profile step made."""
        from edgenas.latency.table.latency_table import LatencyTable

        path = self.folder.table_path
        try:
            return LatencyTable.load(path, device=self.device.name, precision=self.precision)
        except InputError as error:
            raise InputError(
                f"{error}. It is the run's copy: delete {path} and continue with --resume, which makes it again"
            ) from None

    @cached_property
    def predictor(self) -> Predictor:
        from edgenas.latency.predict.predictor import Predictor

        return Predictor(self.table)

    @cached_property
    def costs(self) -> CostModel:
        return CostModel(self.space, self.precision, self.predictor)

    @property
    def deployed_ratio(self) -> float:
        """Deployed median over predicted quiet latency, as seen on this device while the table was made."""
        calibration = self.table.calibration
        ratio = None if calibration is None else calibration.deployed_median
        return min(max(ratio or 1.0, 1.0), MAX_DEPLOYED_RATIO)

    @property
    def latency_factor(self) -> float:
        """How far below the latency budget a prediction must stay: deployed ratio and margin together.

        A device that takes longer draws its active watts for longer, so this goes for the energy budget too, but for
        energies that were measured in normal runs: of these only the margin is kept free (:attr:`energy_factor`).
        """
        return self.deployed_ratio / (1 - self.recipe.search.latency_margin)

    @property
    def energy_factor(self) -> float:
        """How far below the energy budget a prediction must stay."""
        energy = self.table.energy
        if energy is not None and energy.kind == "measured":
            return 1 / (1 - self.recipe.search.latency_margin)
        return self.latency_factor

    @property
    def limits(self) -> dict[str, float]:
        """Limits on predicted costs that keep the budget on measured ones."""
        limits = self.recipe.budget.limits
        if "latency_ms" in limits:
            limits["latency_ms"] /= self.latency_factor
        if "energy_mj" in limits:
            limits["energy_mj"] /= self.energy_factor
        return limits

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times a step, adds the seconds to its record, and logs its beginning, end, or error."""
        start = time.monotonic()
        self.log.event("step_started", step=name)
        try:
            yield
        except BaseException as error:
            with suppress(EdgeNASError, OSError):  # the disk may be what failed: the first error is the one to tell
                self._add_seconds(name, time.monotonic() - start)
                self.log.event("step_failed", step=name, error=str(error) or type(error).__name__)
            raise
        self._add_seconds(name, time.monotonic() - start)
        self.log.event("step_done", step=name, seconds=self.folder.step(name)["seconds"])
        self.back_up()

    def open_study(self) -> Study:
        """The study of the run. Raises InputError when there is none or it is damaged."""
        return Study.open(self.folder.study_path, self.progress.say)

    def back_up(self) -> None:
        """Copies the study to its backup, where there is one."""
        if self.folder.study_path.is_file():
            with closing(self.open_study()) as study:
                study.back_up()

    def _add_seconds(self, name: str, seconds: float) -> None:
        before = self.folder.step(name).get("seconds", 0.0)
        self.folder.record(name, {"seconds": round(before + seconds, 2)})
