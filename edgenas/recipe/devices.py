"""Where a model will run, and what it must not exceed there: one device, or several with a budget each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from edgenas.recipe.section import Section


class DeviceRecipe(Section):
    """Where it will run."""

    name: str = Field(examples=["local-cpu"], description="The device; see `edgenas devices list`.")
    threads: int = Field(default=1, ge=1, description="Threads of one inference on the device.")
    table: str | None = Field(
        default=None,
        description="Latency table to use instead of your own one of this device (which is measured on first use).",
    )


class BudgetRecipe(Section):
    """Hard limits on the shipped model; at least one. A candidate over one of them is never a result.

    One of them may be a list, such as latency_ms: [0.1, 0.2, 0.4]: one search, and a bundle for each.
    """

    _listed: dict[str, tuple[float, ...]] = PrivateAttr(default_factory=dict)

    latency_ms: float | None = Field(
        default=None, gt=0, examples=[0.25], description="Measured median latency of one inference, in ms."
    )
    energy_mj: float | None = Field(
        default=None,
        gt=0,
        description="Energy of one inference above the idle device's, in mJ: measured where the device has a meter, "
        "else modelled from its watts (`edgenas devices check` tells).",
    )
    size_bytes: int | None = Field(default=None, gt=0, description="Size of the .tflite file.")
    sram_bytes: int | None = Field(
        default=None,
        gt=0,
        description="The most that the device's SRAM holds, as its own compiler tells (devices of kind ethos-u).",
    )
    flash_bytes: int | None = Field(
        default=None, gt=0, description="Constants as its own compiler stores them (devices of kind ethos-u)."
    )
    arena_bytes: int | None = Field(
        default=None,
        gt=0,
        description="Arena of the microcontrollers' interpreter, as it allocates it (needs edgenas[micro]).",
    )
    peak_activation_bytes: int | None = Field(default=None, gt=0, description="Memory of live activations at the peak.")
    macs: int | None = Field(default=None, gt=0, description="Multiply-accumulates of one inference.")
    params: int | None = Field(default=None, gt=0, description="Trainable parameters.")

    @model_validator(mode="wrap")
    @classmethod
    def _with_lists(cls, data: Any, handler: ModelWrapValidatorHandler[BudgetRecipe]) -> BudgetRecipe:
        """A list stands for its largest value, and is remembered."""
        lists = {key: value for key, value in data.items() if isinstance(value, list)} if _is_mapping(data) else {}
        if not lists:
            return handler(data)
        if len(lists) > 1:
            raise ValueError(f"{' and '.join(lists)} are lists, expected one: the others hold for all of its values")
        ((key, values),) = lists.items()
        if not values:
            raise ValueError(f"{key} is an empty list, expected one or more limits, such as {key}: [0.1, 0.2]")
        found = [handler({**data, key: value}) for value in values]
        limits = sorted(one.limits[key] for one in found if key in one.limits)
        if len(set(limits)) < len(values):
            raise ValueError(f"{key}: {values} holds a limit twice or none, expected different numbers")
        budget = max(found, key=lambda one: one.limits[key])
        if len(limits) > 1:
            budget._listed = {key: tuple(limits)}
        return budget

    @model_serializer(mode="wrap")
    def _lists_as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {**handler(self), **{key: list(values) for key, values in self._listed.items()}}

    @property
    def listed(self) -> tuple[str, tuple[float, ...]] | None:
        """The cost whose limit is a list, and its values from small to large."""
        return next(iter(self._listed.items()), None)

    def at(self, value: float) -> BudgetRecipe:
        """The same with one value of the list instead of it."""
        key = next(iter(self._listed))
        return BudgetRecipe.model_validate({**self.limits, key: value})

    @model_validator(mode="after")
    def _some_limit(self) -> BudgetRecipe:
        if not self.limits:
            raise ValueError(f"expected at least one limit, of {', '.join(type(self).model_fields)}")
        if self.arena_bytes is not None:
            from edgenas.export.extra import MICRO

            if missing := MICRO.missing():
                raise ValueError(f"arena_bytes cannot be checked: {missing}")
        return self

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by name; of a list the largest."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if value is not None}


def _is_mapping(data: Any) -> bool:
    return isinstance(data, Mapping)


class BudgetedDevice(DeviceRecipe):
    """One of several devices: with a budget and a weight of its own."""

    budget: BudgetRecipe | None = Field(
        description="Hard limits on this device; every candidate keeps those of all devices. null: none, where one "
        "network is trained without a search."
    )
    weight: float = Field(
        default=1.0,
        ge=0,
        description="How much this device's costs count in the reward: its terms are multiplied with it (absolute) or "
        "raised to it (soft, hard). 0: only its budget counts.",
    )

    @property
    def limits(self) -> dict[str, float]:
        """The limits of the budget by name; empty where there is none."""
        return {} if self.budget is None else self.budget.limits
