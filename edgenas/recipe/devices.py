"""Where a model will run, and what it must not exceed there: one device, or several with a budget each."""

from __future__ import annotations

from pydantic import Field, model_validator

from edgenas.recipe.section import Section
from edgenas.spaces.errors import InputError


class DeviceRecipe(Section):
    """Where it will run."""

    name: str = Field(examples=["local-cpu"], description="The device; see `edgenas devices list`.")
    threads: int = Field(default=1, ge=1, description="Threads of one inference on the device.")
    table: str | None = Field(
        default=None,
        description="Latency table to use instead of your own one of this device (which is measured on first use).",
    )


class BudgetRecipe(Section):
    """Hard limits on the shipped model; at least one. A candidate over one of them is never a result."""

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

    @model_validator(mode="after")
    def _some_limit(self) -> BudgetRecipe:
        if not self.limits:
            raise ValueError(f"expected at least one limit, of {', '.join(type(self).model_fields)}")
        if self.arena_bytes is not None:
            from edgenas.export.micro.interpreter import require_micro

            try:
                require_micro()
            except InputError as error:
                raise ValueError(f"arena_bytes cannot be checked: {error}") from None
        return self

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by name."""
        return {name: value for name, value in self.model_dump().items() if value is not None}


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
