"""The recipe: the YAML file that a user writes, checked completely before anything runs.

Paths in a recipe are relative to the recipe's folder, except ``output``, which is relative to where the command runs.
``edgenas recipe`` prints one with every key, its default and what it means (:func:`recipe_template`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from edgenas.recipe.errors import explain
from edgenas.recipe.quantization import ExportRecipe
from edgenas.recipe.section import Section
from edgenas.recipe.training import FinalTraining, ShortTraining
from edgenas.search.algorithm import algorithm_class, algorithm_options
from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_path
from edgenas.spaces.yaml_reading import Document, dump_yaml, parse_document, read_document
from edgenas.study.objectives import Objective

__all__ = ["BudgetRecipe", "DataRecipe", "DeviceRecipe", "ExportRecipe", "Recipe", "SearchRecipe", "SpaceRecipe"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class DataRecipe(Section):
    """What to learn: labelled images."""

    name: str | None = Field(
        default=None,
        examples=["fashion_mnist"],
        description="A data set by name: NAME.npz or a folder NAME in `directory`, else a bundled one (fashion_mnist: "
        "a subset of 8,600 images), or keras:NAME to download.",
    )
    path: str | None = Field(
        default=None,
        description="Instead of a name: an .npz file (x_train, y_train, x_test, y_test), or a folder with train/ and "
        "test/, each with one folder of images per class. Without a test part, one is split off by the seed.",
    )
    directory: str | None = Field(default=None, description="Folder of full data sets by name; --data-dir sets it.")
    image_size: tuple[int, int] | None = Field(default=None, description="Resize images to [height, width] pixels.")
    channels: Literal[1, 3] | None = Field(default=None, description="Convert images to 1 (grey) or 3 (RGB) channels.")
    validation_fraction: float = Field(
        default=0.15,
        gt=0,
        lt=1,
        description="Share of the training images that candidates are compared on, never trained on.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> DataRecipe:
        if (self.name is None) == (self.path is None):
            raise ValueError("expected exactly one of the keys 'name' and 'path'")
        return self

    @property
    def spec(self) -> str:
        """What :func:`edgenas.data.load_dataset` takes."""
        if self.path is None:
            return str(self.name)
        # Anything with a separator is a path to the loader.
        return self.path if "/" in self.path or self.path.endswith(".npz") else f"./{self.path}"


class SpaceRecipe(Section):
    """What may be built. Input shape and classes follow the data."""

    name: str | None = Field(
        default=None, examples=["tiny_edge"], description="A space of the catalog; see `edgenas spaces list`."
    )
    path: str | None = Field(default=None, description="Instead of a name: the YAML file of a space of your own.")

    @model_validator(mode="after")
    def _one_source(self) -> SpaceRecipe:
        if (self.name is None) == (self.path is None):
            raise ValueError("expected exactly one of the keys 'name' and 'path'")
        return self

    @property
    def spec(self) -> str:
        """What ``SearchSpace.load`` takes."""
        return str(self.path or self.name)


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
    peak_activation_bytes: int | None = Field(default=None, gt=0, description="Memory of live activations at the peak.")
    macs: int | None = Field(default=None, gt=0, description="Multiply-accumulates of one inference.")
    params: int | None = Field(default=None, gt=0, description="Trainable parameters.")

    @model_validator(mode="after")
    def _some_limit(self) -> BudgetRecipe:
        if not self.limits:
            raise ValueError(f"expected at least one limit, of {', '.join(type(self).model_fields)}")
        return self

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by name."""
        return {name: value for name, value in self.model_dump().items() if value is not None}


class ObjectiveRecipe(Section):
    """What the search maximises within the budget."""

    reward: Literal["absolute", "soft", "hard"] = Field(
        default="absolute",
        description="absolute: top1 + beta * |cost/target - 1| (TuNAS); soft: top1 * (cost/target)^beta; hard: the "
        "same without a bonus below the target (MnasNet). The target is the budget.",
    )
    beta: float | None = Field(
        default=None, le=0, description="Weight of the cost; null: -0.10 for absolute, else -0.07."
    )
    costs: list[str] | None = Field(
        default=None,
        description="Budgeted costs that count in the reward; null: latency_ms if it is budgeted, else the first.",
    )


class SearchRecipe(Section):
    """How candidates are chosen and compared."""

    algorithm: str = Field(
        default="auto",
        description="auto: a Gaussian process that learns which decisions matter. Or layernas, model_search, "
        "regularized_evolution, local_search, reinforce, ppo, random, tpe, nsga2; with the extra edgenas[gp] also gp "
        "and hypervolume; or one you installed.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="Options of the algorithm, e.g. {population: 12, tournament: 4} for regularized_evolution.",
    )
    screen: int | None = Field(
        default=None,
        ge=2,
        description="Suggestions that a model of the finished trials compares for each candidate that is trained, e.g. "
        "20; for algorithms without a model of their own. null: every suggestion is trained.",
    )
    early_stopping: Literal["none", "median", "successive_halving", "hyperband", "extrapolation"] = Field(
        default="none",
        description="Ends the training of a candidate that falls behind earlier ones, judged after every epoch: by "
        "Optuna's pruners, or by extrapolating its learning curve. Of use from about 5 epochs on.",
    )
    trials: int = Field(default=30, ge=1, description="Candidates to train and compare.")
    workers: int = Field(
        default=1,
        ge=1,
        description="Candidates trained at once, each in its own process on its share of the CPU's cores. One gives "
        "the same search for the same seed; several do, unless a trial takes longer than the 2 * workers - 1 after it.",
    )
    time_limit_seconds: float | None = Field(
        default=None,
        gt=0,
        description="A candidate that takes longer fails, and its process is ended; null: ten times the slowest trial "
        "so far, at least 2 minutes, and an hour before any has finished.",
    )
    latency_margin: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="Share of the latency and energy budgets kept free, because predictions err.",
    )
    training: ShortTraining = Field(
        default_factory=ShortTraining, description="Short training that candidates are compared after."
    )

    @model_validator(mode="after")
    def _known_algorithm(self) -> SearchRecipe:
        try:
            algorithm_options(self.algorithm, self.options)
            if missing := algorithm_class(self.algorithm).missing():
                raise InputError(missing)
        except InputError as error:
            raise ValueError(str(error)) from None
        return self


class Recipe(Section):
    """Everything that a run needs. Read one with :meth:`load`."""

    name: str = Field(examples=["my-run"], description="Name of the run; its folder is OUTPUT/NAME.")
    seed: int = Field(default=0, ge=0, description="Seed of everything random: same seed, same search.")
    output: str = Field(default="runs", description="Folder of runs.")
    data: DataRecipe
    space: SpaceRecipe
    device: DeviceRecipe
    budget: BudgetRecipe
    objective: ObjectiveRecipe = Field(default_factory=ObjectiveRecipe)
    search: SearchRecipe = Field(default_factory=SearchRecipe)
    training: FinalTraining = Field(
        default_factory=FinalTraining, description="Training of the network that is shipped."
    )
    export: ExportRecipe = Field(default_factory=ExportRecipe)

    @field_validator("name")
    @classmethod
    def _folder_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("expected letters, digits, '-', '_' and '.', because it names a folder")
        check_path(name, "name")
        return name

    @model_validator(mode="after")
    def _reward_costs_are_budgeted(self) -> Recipe:
        for cost in self.objective.costs or ():
            if cost not in self.budget.limits:
                raise ValueError(
                    f"objective.costs names {cost!r}, which has no budget; budgeted: {', '.join(self.budget.limits)}"
                )
        return self

    @classmethod
    def load(cls, path: Path | str, *, resolve: bool = True) -> Recipe:
        """Reads and checks a recipe. Raises InputError naming file, line, key, what was found and what is expected.

        ``resolve`` makes its paths absolute; without it they are as they stand in the file.
        """
        path = Path(path)
        document = read_document(path, "a recipe")
        recipe = cls._from_document(document, str(path))
        return recipe.relative_to(path.resolve().parent) if resolve else recipe

    @classmethod
    def parse(cls, text: str, source: str = "<recipe>") -> Recipe:
        """A recipe from YAML text. Raises InputError as :meth:`load` does, with ``source`` as the file."""
        return cls._from_document(parse_document(text, source), source)

    @classmethod
    def _from_document(cls, document: Document, source: str) -> Recipe:
        if not isinstance(document.value, dict):
            raise InputError(f"{source}: a recipe is a mapping with the keys {', '.join(cls.model_fields)}")
        try:
            return cls.model_validate(document.value)
        except ValidationError as error:
            raise InputError(problems=explain(error, cls, document.root, source)) from None

    def relative_to(self, folder: Path) -> Recipe:
        """The same recipe with its relative paths taken from ``folder``."""
        changes: dict[str, Any] = {}
        for section, keys in (("data", ("path", "directory")), ("space", ("path",)), ("device", ("table",))):
            part = getattr(self, section)
            found = {
                key: str(folder / check_path(getattr(part, key), f"{section}.{key}"))
                for key in keys
                if getattr(part, key)
            }
            changes[section] = part.model_copy(update=found)
        return self.model_copy(update=changes)

    def with_data_directory(self, directory: Path | str) -> Recipe:
        """The same recipe with another folder of data sets."""
        data = self.data.model_copy(update={"directory": str(check_path(directory, "--data-dir").resolve())})
        return self.model_copy(update={"data": data})

    @property
    def objective_targets(self) -> dict[str, float]:
        """Target of each cost that counts in the reward, in the unit of its name."""
        limits = self.budget.limits
        default = ["latency_ms"] if "latency_ms" in limits else list(limits)[:1]
        return {name: limits[name] for name in self.objective.costs or default}

    def make_objective(self, targets: Mapping[str, float] | None = None) -> Objective:
        """The reward of this recipe, with :attr:`objective_targets` unless other targets are given."""
        return Objective(self.objective.reward, targets or self.objective_targets, self.objective.beta)

    def to_yaml(self) -> str:
        """The whole recipe with all defaults, as YAML that :meth:`parse` reads back."""
        return dump_yaml(self.model_dump(mode="json"))


def recipe_template() -> str:
    """A recipe with every key: its meaning as a comment, and its default (or an example where there is none)."""
    from edgenas.recipe.template import template

    return template(Recipe)
