"""The part of a recipe that says what the search maximises within the budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field, model_validator

from edgenas.recipe.section import Section
from edgenas.study.cost_names import COSTS, DEVICE_COSTS, STEP_MS, cost_name
from edgenas.study.objectives import FREE


class ObjectiveRecipe(Section):
    """What the search maximises within the budget."""

    reward: Literal["absolute", "soft", "hard", "product", "sum"] = Field(
        default="absolute",
        description="absolute: top1 + beta * |cost/target - 1| (TuNAS); soft: top1 * (cost/target)^beta; hard: the "
        "same without a bonus below the target (MnasNet). The target is the budget. product: top1 * "
        "(cost/reference)^term for each of `terms`; sum: top1 + term * cost/reference.",
    )
    beta: float | None = Field(
        default=None, le=0, description="Weight of the cost; null: -0.10 for absolute, else -0.07."
    )
    costs: list[str] | None = Field(
        default=None,
        description="Budgeted costs that count in the reward; null: latency_ms if it is budgeted, else the first. Of "
        "several devices: each on every device that budgets it, or on one, such as latency_ms@local-cpu.",
    )
    terms: dict[str, float] = Field(
        default_factory=dict,
        description="Of product and sum: exponents or slopes of any costs, budgeted or not, e.g. {step_ms: -0.07, "
        "params: -0.05} (EfficientNetV2). step_ms is the time of a training step on this machine.",
    )
    references: dict[str, float] = Field(
        default_factory=dict,
        description="What those costs are divided by; a budget where there is one, else 1 in a product.",
    )

    @model_validator(mode="after")
    def _terms_of_a_free_reward(self) -> ObjectiveRecipe:
        if self.reward in FREE:
            if not self.terms:
                raise ValueError(f"reward {self.reward} needs terms, such as {{params: -0.05}}")
            if self.beta is not None or self.costs is not None:
                raise ValueError(
                    f"beta and costs are not of reward {self.reward}: its terms say what counts, and how much"
                )
        elif self.terms:
            raise ValueError(f"terms are of the rewards product and sum, not of {self.reward}")
        for name, reference in self.references.items():
            if name not in self.terms:
                raise ValueError(f"references names {name!r}, which is not in terms")
            if not reference > 0:
                raise ValueError(f"references.{name}: must be above 0, found {reference}")
        return self

    def check_terms(self, limits: Mapping[str, float], devices: Sequence[str]) -> None:
        """Raises ValueError for a term that is no cost of these devices, or that a sum cannot scale."""
        names = [name for name in COSTS if name not in DEVICE_COSTS]
        several = len(devices) > 1
        names += [cost_name(cost, device if several else "") for cost in DEVICE_COSTS for device in devices]
        for name in self.terms:
            if name not in (*names, STEP_MS):
                raise ValueError(f"objective.terms names {name!r}; expected some of {', '.join((*names, STEP_MS))}")
            if self.reward == "sum" and name not in self.references and name not in limits:
                raise ValueError(
                    f"objective.references lacks {name!r}: a sum divides it by a reference, as it has no budget"
                )

    def references_of(self, limits: Mapping[str, float]) -> dict[str, float]:
        """What each term's cost is divided by."""
        return {name: self.references.get(name, limits.get(name, 1.0)) for name in self.terms}
