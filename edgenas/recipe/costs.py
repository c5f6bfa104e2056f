"""What a recipe says of costs: the budgets of its devices by name, and how they count in the reward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import model_validator

from edgenas.recipe.devices import BudgetedDevice
from edgenas.recipe.form import RecipeForm
from edgenas.study.cost_names import cost_name, split_name
from edgenas.study.objectives import Objective

if TYPE_CHECKING:
    from typing_extensions import Self


class BudgetedRecipe(RecipeForm):
    """A recipe as far as its devices, budgets and reward go."""

    @model_validator(mode="after")
    def _one_list(self) -> BudgetedRecipe:
        lists = [device.name for device in self.budgeted_devices if device.budget and device.budget.listed]
        if len(lists) > 1:
            raise ValueError(
                f"devices: the budgets of {' and '.join(lists)} hold a list each, expected one list at most"
            )
        if lists and self.is_fixed:
            raise ValueError("budget: a list of limits is for a search; one network has one cost: give one number")
        return self

    @model_validator(mode="after")
    def _reward_terms_are_known(self) -> BudgetedRecipe:
        self.objective.check_terms(self.limits, [device.name for device in self.budgeted_devices])
        return self

    @model_validator(mode="after")
    def _reward_costs_are_budgeted(self) -> BudgetedRecipe:
        known = list(self.limits)
        for cost in self.objective.costs or ():
            if cost not in known and cost not in (split_name(name)[0] for name in known):
                raise ValueError(f"objective.costs names {cost!r}, which has no budget; budgeted: {', '.join(known)}")
        return self

    @property
    def budgeted_devices(self) -> tuple[BudgetedDevice, ...]:
        """The devices with their budgets; ``device`` and ``budget`` are a list of one."""
        if self.devices is not None:
            return self.devices
        assert self.device is not None
        return (BudgetedDevice.model_construct(**dict(self.device), budget=self.budget, weight=1.0),)

    @property
    def budget_list(self) -> tuple[str, str, tuple[float, ...]] | None:
        """(device, cost, limits from small to large) of the one limit that is a list; None where there is none."""
        for device in self.budgeted_devices:
            if device.budget is not None and device.budget.listed is not None:
                return (device.name, *device.budget.listed)
        return None

    def at_budget(self, value: float) -> Self:
        """The same recipe with one value of the budget's list instead of it."""
        if self.budget is not None:
            return self.model_copy(update={"budget": self.budget.at(value)})
        devices = tuple(
            device.model_copy(update={"budget": device.budget.at(value)})
            if device.budget is not None and device.budget.listed is not None
            else device
            for device in self.devices or ()
        )
        return self.model_copy(update={"devices": devices})

    def cost_name(self, cost: str, device: str) -> str:
        """What the search calls a cost on one of the devices; see :mod:`edgenas.study.cost_names`."""
        return cost_name(cost, device if len(self.budgeted_devices) > 1 else "")

    def budget_key(self, cost: str, device: str) -> str:
        """Where the limit of a cost stands in the recipe, for messages."""
        return f"budget.{cost}" if self.devices is None else f"devices.{device}.budget.{cost}"

    @property
    def limits(self) -> dict[str, float]:
        """All limits by the name of the cost; of a cost that no device changes, the least of theirs."""
        limits: dict[str, float] = {}
        for device in self.budgeted_devices:
            for cost, limit in device.limits.items():
                name = self.cost_name(cost, device.name)
                limits[name] = min(limit, limits.get(name, limit))
        return limits

    @property
    def objective_targets(self) -> dict[str, float]:
        """Target of each cost that counts in the reward, in the unit of its name."""
        if self.objective.terms:
            return self.objective.references_of(self.limits)
        limits, wanted = self.limits, []
        for device in self.budgeted_devices:
            budgeted = list(device.limits)
            default = ["latency_ms"] if "latency_ms" in budgeted else budgeted[:1]
            for cost in self.objective.costs or default:
                name = self.cost_name(cost, device.name)
                if cost in budgeted or name in (self.cost_name(one, device.name) for one in budgeted):
                    wanted.append(name)
        return {name: limits[name] for name in wanted}

    @property
    def objective_weights(self) -> dict[str, float]:
        """How much each cost counts; one that no device changes as much as at the device where it counts most."""
        weights: dict[str, float] = {}
        for device in self.budgeted_devices:
            for cost in device.limits:
                name = self.cost_name(cost, device.name)
                weights[name] = max(device.weight, weights.get(name, 0.0))
        return weights

    def objective_within(self, limits: Mapping[str, float]) -> Objective:
        """The reward of this recipe under limits on predictions, which are the targets of budgeted costs."""
        targets = self.objective_targets
        if not self.objective.terms:
            targets = {name: limits[name] for name in targets}
        return self.make_objective(targets)

    def make_objective(self, targets: Mapping[str, float] | None = None) -> Objective:
        """The reward of this recipe, with :attr:`objective_targets` unless other targets are given."""
        targets = targets or self.objective_targets
        if self.objective.terms:
            return Objective(self.objective.reward, targets, weights=self.objective.terms)
        weights = {name: weight for name, weight in self.objective_weights.items() if name in targets}
        return Objective(self.objective.reward, targets, self.objective.beta, weights)
