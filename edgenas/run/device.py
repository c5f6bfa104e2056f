"""One device of a run: its table, its budget, and how far below the budget a prediction must stay to keep it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.recipe.devices import BudgetedDevice
from edgenas.run.folder import RunFolder
from edgenas.spaces.errors import InputError
from edgenas.study.cost_names import MEMORY_COSTS

if TYPE_CHECKING:
    from edgenas.devices.device import Device
    from edgenas.latency.predict.predictor import Predictor
    from edgenas.latency.table.latency_table import LatencyTable
    from edgenas.spaces.entry import SlotEntry

#: A table that was made on a busy machine may hold any ratio of deployed to quiet latency; more is not believed.
MAX_DEPLOYED_RATIO = 1.25
#: The arena is predicted within 3.4 % where tensors are planned without gaps; what is over is found before training.
ARENA_FACTOR = 1.02


class RunDevice:
    """What a run knows of one of its devices. What is loaded is kept.

    Args:
        recipe: the device in the recipe, with its budget.
        folder: the run's folder.
        precision: of the tables that predictions come from.
        margin: share of the latency and energy budgets that is kept free.
        number: its place among the run's devices; the table of the first is ``table.csv``.
        behind: tells what its file has behind every network, as a latency table has it; None: nothing.
    """

    def __init__(
        self,
        recipe: BudgetedDevice,
        folder: RunFolder,
        precision: str,
        margin: float,
        number: int,
        behind: Callable[[RunDevice], SlotEntry | None] = lambda device: None,
    ) -> None:
        self.recipe = recipe
        self.folder = folder
        self.precision = precision
        self.margin = margin
        self.number = number
        self._behind = behind

    @property
    def name(self) -> str:
        return self.recipe.name

    @property
    def threads(self) -> int:
        """Threads of one inference."""
        return self.recipe.threads

    @property
    def budget(self) -> dict[str, float]:
        """The limits on this device by cost, as the recipe has them."""
        return self.recipe.limits

    @cached_property
    def device(self) -> Device:
        from edgenas.devices import get_device

        return get_device(self.name)

    @property
    def table_path(self) -> Path:
        """The run's own copy of the device's table: ``table.csv``, or ``table-NAME.csv`` of a second device."""
        return self.folder.device_table_path(self.name, self.number)

    @cached_property
    def table(self) -> LatencyTable:
        """The run's own copy of the latency table, which the profile step made."""
        from edgenas.latency.table.latency_table import LatencyTable

        path = self.table_path
        try:
            return LatencyTable.load(path, device=self.name, precision=self.precision)
        except InputError as error:
            raise InputError(
                f"{error}. It is the run's copy: delete {path} and continue with --resume, which makes it again"
            ) from None

    lacks: str = ""
    """Why nothing can be predicted, in words; empty where there is a table."""

    @cached_property
    def known_table(self) -> LatencyTable | None:
        """:attr:`table`; None where the run goes without one, as it may when nothing is searched."""
        return self.table if self.table_path.is_file() else None

    @cached_property
    def predictor(self) -> Predictor:
        from edgenas.latency.predict.predictor import Predictor

        return Predictor(self.table, "" if self.behind is None else self.behind.signature(self.precision))

    @cached_property
    def behind(self) -> SlotEntry | None:
        """What its file has behind every network, such as the operator that makes boxes of a detector's outputs."""
        return self._behind(self)

    @property
    def behind_ms(self) -> float | None:
        """What that adds to every predicted latency, in ms; None where it is not known, or nothing is there."""
        if self.behind is None or self.known_table is None or self.predictor.behind is None:
            return None
        return self.predictor.behind_ms

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
        return self.deployed_ratio / (1 - self.margin)

    @property
    def energy_factor(self) -> float:
        """How far below the energy budget a prediction must stay."""
        energy = self.table.energy
        if energy is not None and energy.kind == "measured":
            return 1 / (1 - self.margin)
        return self.latency_factor

    def memory_factor(self, cost: str) -> float:
        """How far below a budget of memory a prediction must stay: its largest error on whole networks."""
        return 1 + (self.predictor.require_memory(cost).max_error or 0.0)

    @property
    def limits(self) -> dict[str, float]:
        """Limits on predicted costs that keep the budget on measured ones."""
        if self.known_table is None:  # nothing is predicted: what is measured is held against the budget itself
            return self.budget
        factors = {"latency_ms": lambda: self.latency_factor, "energy_mj": lambda: self.energy_factor}
        factors |= {name: partial(self.memory_factor, name) for name in MEMORY_COSTS}
        factors["arena_bytes"] = lambda: ARENA_FACTOR
        return {name: limit / factors[name]() if name in factors else limit for name, limit in self.budget.items()}
