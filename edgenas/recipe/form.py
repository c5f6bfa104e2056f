"""The form of a recipe: its sections in order, and what is checked of each beside the others."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from edgenas.recipe.data import DataRecipe
from edgenas.recipe.devices import BudgetedDevice, BudgetRecipe, DeviceRecipe
from edgenas.recipe.learning import DistillationRecipe
from edgenas.recipe.objective import ObjectiveRecipe
from edgenas.recipe.quantization import ExportRecipe
from edgenas.recipe.search import SearchRecipe
from edgenas.recipe.section import Section
from edgenas.recipe.space import SpaceRecipe
from edgenas.recipe.supernet import ONE_SHOT, ControllerRecipe, SupernetRecipe
from edgenas.recipe.training import FinalTraining
from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_path

#: The form of recipes; one that names none is of the first.
RECIPE_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class RecipeForm(Section):
    """The sections of a :class:`edgenas.recipe.recipe.Recipe`."""

    version: int = Field(
        default=RECIPE_VERSION, ge=1, description="Of the form of recipes; a newer one is refused with the reason."
    )
    name: str = Field(examples=["my-run"], description="Name of the run; its folder is OUTPUT/NAME.")
    seed: int = Field(default=0, ge=0, description="Seed of everything random: same seed, same search.")
    output: str = Field(default="runs", description="Folder of runs.")
    plugins: list[str] = Field(
        default_factory=list,
        description="Python files or modules of your own that register tasks, blocks, algorithms and so on, e.g. "
        "[my_task.py]; `--import` adds one.",
    )
    task: str | None = Field(
        default=None,
        description="What is learned: classification, or a task of yours (it decides data, loss and metrics). null: "
        "the task of the space.",
    )
    task_options: dict[str, Any] = Field(default_factory=dict, description="Options of the task, where it has any.")
    data: DataRecipe
    space: SpaceRecipe
    devices: tuple[BudgetedDevice, ...] | None = Field(
        default=None,
        min_length=1,
        description="Instead of `device` and `budget`: several devices that one model is for, each as {name: NAME, "
        "budget: {latency_ms: 0.25}}, with threads, table and weight as wanted.",
    )
    device: DeviceRecipe | None = Field(default=None, validate_default=True)
    budget: BudgetRecipe | None = Field(default=None, validate_default=True)
    objective: ObjectiveRecipe = Field(default_factory=ObjectiveRecipe)
    search: SearchRecipe = Field(default_factory=SearchRecipe)
    supernet: SupernetRecipe | None = Field(
        default=None,
        validate_default=True,
        json_schema_extra={"commented": True},
        description="Only with the algorithms supernet and tunas: their one network of shared weights.",
    )
    distillation: DistillationRecipe | None = Field(
        default=None,
        json_schema_extra={"commented": True},
        description="A trained network whose answers are learned beside the labels. null: labels alone.",
    )
    training: FinalTraining = Field(
        default_factory=FinalTraining, description="Training of the network that is shipped."
    )
    export: ExportRecipe = Field(default_factory=ExportRecipe)
    tensorboard: bool = Field(
        default=False,
        description="Whether the supernet's and the final training write their scalars for TensorBoard into "
        "RUN/tensorboard.",
    )

    @field_validator("version")
    @classmethod
    def _known_version(cls, version: int) -> int:
        if version > RECIPE_VERSION:
            raise ValueError(f"this version of EdgeNAS reads recipes up to version {RECIPE_VERSION}: update it")
        return version

    @field_validator("name")
    @classmethod
    def _folder_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("expected letters, digits, '-', '_' and '.', because it names a folder")
        check_path(name, "name")
        return name

    @field_validator("devices")
    @classmethod
    def _different_devices(
        cls, devices: tuple[BudgetedDevice, ...] | None, info: ValidationInfo
    ) -> tuple[BudgetedDevice, ...] | None:
        names = [device.name for device in devices or ()]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"device {twice!r} is there twice")
        space = info.data.get("space")
        if space is not None and space.architecture is None:
            for device in devices or ():
                if device.budget is None:
                    keys = ", ".join(BudgetRecipe.model_fields)
                    raise ValueError(f"a search needs a budget for {device.name!r}: a section with the keys {keys}")
        return devices

    @field_validator("device", "budget")
    @classmethod
    def _one_form(cls, value: Section | None, info: ValidationInfo) -> Section | None:
        several, key = info.data.get("devices", ()), info.field_name  # a wrong list is told by itself
        space = info.data.get("space")
        if key == "budget" and (space is None or space.architecture is not None) and value is None:
            return None  # of one network, whatever it costs
        if several is None and value is None:
            kind = DeviceRecipe if key == "device" else BudgetRecipe
            raise ValueError(f"is missing; add a section with the keys {', '.join(kind.model_fields)}")
        if several and value is not None:
            raise ValueError(
                "is there beside 'devices', which is a list of devices with a budget each; "
                + ("add this one to the list" if key == "device" else "write each limit into a device of the list")
            )
        return value

    @field_validator("supernet")
    @classmethod
    def _one_shot_only(cls, value: SupernetRecipe | None, info: ValidationInfo) -> SupernetRecipe | None:
        search = info.data.get("search")
        if search is None:  # told by itself
            return value
        algorithm = search.algorithm
        if algorithm not in ONE_SHOT:
            if value is not None:
                raise ValueError(
                    f"is there beside search.algorithm {algorithm!r}, which trains no supernet; expected one of "
                    f"{', '.join(ONE_SHOT)}, or no section supernet"
                )
            return None
        found = value or SupernetRecipe()
        if algorithm != "tunas" and found.controller != ControllerRecipe():
            raise ValueError(f"controller is of the algorithm 'tunas', not of {algorithm!r}; remove it")
        if algorithm == "tunas" and found.from_run is not None:
            raise ValueError(
                "from_run needs search.algorithm 'supernet': a controller learns along with the weights, for one budget"
            )
        return found

    @model_validator(mode="after")
    def _known_task(self) -> RecipeForm:
        if self.task is not None:
            from edgenas.tasks import get_task

            try:
                get_task(self.task, self.task_options)
            except InputError as error:
                raise ValueError(f"task: {error}" if "task_options" not in str(error) else str(error)) from None
        return self

    @property
    def is_fixed(self) -> bool:
        """Whether one network is trained instead of searched for."""
        return self.space.architecture is not None
