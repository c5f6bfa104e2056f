"""The recipe: the YAML file that a user writes, checked completely before anything runs.

Paths in a recipe are relative to the recipe's folder, except ``output``, which is relative to where the command runs.
``edgenas recipe`` prints one with every key, its default and what it means (:func:`recipe_template`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from edgenas.data.task_data import DataRequest
from edgenas.plugins import load_plugins, located
from edgenas.recipe.devices import BudgetedDevice, BudgetRecipe, DeviceRecipe
from edgenas.recipe.errors import explain
from edgenas.recipe.learning import DistillationRecipe, KeptWeightsRecipe, Transfer
from edgenas.recipe.objective import ObjectiveRecipe
from edgenas.recipe.quantization import ExportRecipe
from edgenas.recipe.section import Section
from edgenas.recipe.supernet import ONE_SHOT, ControllerRecipe, SupernetRecipe, unused_keys
from edgenas.recipe.training import FinalTraining, ShortTraining
from edgenas.search.algorithm import algorithm_class, algorithm_options
from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_path
from edgenas.spaces.yaml_reading import Document, dump_yaml, parse_document, read_document
from edgenas.study.cost_names import cost_name, split_name
from edgenas.study.objectives import Objective

__all__ = [
    "BudgetRecipe",
    "BudgetedDevice",
    "DataRecipe",
    "DeviceRecipe",
    "ExportRecipe",
    "Recipe",
    "SearchRecipe",
    "SpaceRecipe",
]

_TRIALS = 30
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class DataRecipe(Section):
    """What to learn from."""

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

    def request(self, seed: int) -> DataRequest:
        """The same for a task's loader; ``seed`` draws the test part of data that have none."""
        return DataRequest(self.spec, self.directory, self.image_size, self.channels, seed)


class SpaceRecipe(Section):
    """What may be built. Input shape and classes follow the data."""

    name: str | None = Field(
        default=None, examples=["tiny_edge"], description="A space of the catalog; see `edgenas spaces list`."
    )
    path: str | None = Field(default=None, description="Instead of a name: the YAML file of a space of your own.")
    architecture: str | None = Field(
        default=None,
        description="Instead of a space: one network, which is trained, exported and measured without a search: a "
        "reference network's name, SPACE:STRING, or the path of an architecture.yaml. It needs no budget.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> SpaceRecipe:
        if sum(key is not None for key in (self.name, self.path, self.architecture)) != 1:
            raise ValueError("expected exactly one of the keys 'name', 'path' and 'architecture'")
        return self

    @property
    def spec(self) -> str:
        """What ``SearchSpace.load`` takes; the architecture where there is no space."""
        return str(self.path or self.name or self.architecture)

    @property
    def files(self) -> dict[str, str]:
        """The file that it names, by key."""
        found = {"path": self.path}
        if self.architecture is not None and _names_file(self.architecture):
            found["architecture"] = self.architecture
        return {key: value for key, value in found.items() if value}


def _names_file(architecture: str) -> bool:
    """Whether an architecture is, or begins with, the path of a file: ``architecture.yaml``, ``my_space.yaml:0102``."""
    return any(part.endswith((".yaml", ".yml")) for part in (architecture, architecture.rpartition(":")[0]))


class SearchRecipe(Section):
    """How candidates are chosen and compared."""

    algorithm: str = Field(
        default="auto",
        description="auto: a Gaussian process that learns which decisions matter. Or layernas, model_search, "
        "regularized_evolution, local_search, reinforce, ppo, random, tpe, nsga2; with the extra edgenas[gp] also gp "
        "and hypervolume; or one you installed. supernet: trains one network that holds all of the space, and searches "
        "that; tunas: a controller learns along with it. Both have the section supernet.",
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
    trials: int = Field(
        default=_TRIALS,
        ge=1,
        description="Candidates to train and compare; supernet and tunas have supernet.trials instead.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        description="Candidates trained at once, each in its own process on its share of the CPU's cores. One gives "
        "the same search for the same seed; several do, unless a trial takes longer than the 2 * workers - 1 after it.",
    )
    study: str | None = Field(
        default=None,
        description="Where the trials are kept while the search runs, so that workers on other machines share it: "
        "postgresql://, mysql:// or grpc://HOST:PORT of `edgenas serve`; --study sets it. null: study.db of the run.",
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
    transfer: Transfer = Field(
        default="off",
        description="What a new candidate begins with, where names and shapes fit; the rest is random. Weights of the "
        "previous trial, of its parent (the nearest finished one), of the best; or averages of all that are kept: "
        "uniform_average, loss_weighted.",
    )
    kept_weights: KeptWeightsRecipe = Field(
        default_factory=KeptWeightsRecipe, description="What of the trials' weights stays on the disk for that."
    )
    finalists: int = Field(
        default=3,
        ge=1,
        description="The best so many candidates that keep the budget when measured are trained longer and compared "
        "again before one is chosen. 1: the best after the short training is taken.",
    )
    finalist_share: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="Share of the final training's epochs (and of its max_steps) that each finalist is trained for.",
    )

    @field_validator("study")
    @classmethod
    def _known_study(cls, study: str | None) -> str | None:
        if study is not None:
            from edgenas.study.store import check_url

            try:
                check_url(study)
            except InputError as error:
                raise ValueError(str(error)) from None
        return study

    @model_validator(mode="after")
    def _known_algorithm(self) -> SearchRecipe:
        if self.algorithm in ONE_SHOT:
            trials = 0 if self.trials == _TRIALS else self.trials
            if words := unused_keys(self.algorithm, {"trials": trials, "options": self.options, "screen": self.screen}):
                raise ValueError(words)
            return self
        try:
            algorithm_options(self.algorithm, self.options)
            if missing := algorithm_class(self.algorithm).missing():
                raise InputError(missing)
        except InputError as error:
            also = f", {', '.join(ONE_SHOT)}" if str(error).startswith("unknown algorithm") else ""
            raise ValueError(f"{error}{also}") from None
        return self


#: The form of recipes; one that names none is of the first.
RECIPE_VERSION = 1


class Recipe(Section):
    """Everything that a run needs. Read one with :meth:`load`."""

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
    def _known_task(self) -> Recipe:
        if self.task is not None:
            from edgenas.tasks import get_task

            try:
                get_task(self.task, self.task_options)
            except InputError as error:
                raise ValueError(f"task: {error}" if "task_options" not in str(error) else str(error)) from None
        return self

    @model_validator(mode="after")
    def _possible_teacher(self) -> Recipe:
        if self.distillation is not None and (
            problem := self.distillation.problem(trials=self.trials, one_shot=self.is_one_shot, fixed=self.is_fixed)
        ):
            raise ValueError(f"distillation.{problem}")
        return self

    @model_validator(mode="after")
    def _one_list(self) -> Recipe:
        lists = [device.name for device in self.budgeted_devices if device.budget and device.budget.listed]
        if len(lists) > 1:
            raise ValueError(
                f"devices: the budgets of {' and '.join(lists)} hold a list each, expected one list at most"
            )
        if lists and self.is_fixed:
            raise ValueError("budget: a list of limits is for a search; one network has one cost: give one number")
        return self

    @model_validator(mode="after")
    def _reward_terms_are_known(self) -> Recipe:
        self.objective.check_terms(self.limits, [device.name for device in self.budgeted_devices])
        return self

    @model_validator(mode="after")
    def _reward_costs_are_budgeted(self) -> Recipe:
        known = list(self.limits)
        for cost in self.objective.costs or ():
            if cost not in known and cost not in (split_name(name)[0] for name in known):
                raise ValueError(f"objective.costs names {cost!r}, which has no budget; budgeted: {', '.join(known)}")
        return self

    @classmethod
    def load(cls, path: Path | str, *, resolve: bool = True) -> Recipe:
        """Reads and checks a recipe. Raises InputError naming file, line, key, what was found and what is expected.

        ``resolve`` makes its paths absolute; without it they are as they stand in the file.
        """
        path = Path(path)
        document = read_document(path, "a recipe")
        recipe = cls._from_document(document, str(path), path.resolve().parent)
        return recipe.relative_to(path.resolve().parent) if resolve else recipe

    @classmethod
    def parse(cls, text: str, source: str = "<recipe>", folder: Path = Path()) -> Recipe:
        """A recipe from YAML text. Raises InputError as :meth:`load` does, with ``source`` as the file.

        ``folder`` is where its plug-ins are looked for.
        """
        return cls._from_document(parse_document(text, source), source, folder)

    @classmethod
    def _from_document(cls, document: Document, source: str, folder: Path = Path()) -> Recipe:
        if not isinstance(document.value, dict):
            raise InputError(f"{source}: a recipe is a mapping with the keys {', '.join(cls.model_fields)}")
        plugins = document.value.get("plugins")
        if isinstance(plugins, list) and all(isinstance(plugin, str) for plugin in plugins):
            load_plugins(located(plugin, folder) for plugin in plugins)  # they bring names to be checked
        try:
            return cls.model_validate(document.value)
        except ValidationError as error:
            raise InputError(problems=explain(error, cls, document.root, source)) from None

    @property
    def files(self) -> dict[str, str]:
        """The files that it names, by key: ``data.path``, ``devices.1.table``, ..."""
        sections: dict[str, Any] = {"data": self.data, "space": self.space, "device": self.device}
        sections |= {f"devices.{number}": device for number, device in enumerate(self.devices or ())}
        sections |= {"supernet": self.supernet, "distillation": self.distillation, "training": self.training}
        keys = {
            "data": ("path", "directory"),
            "space": tuple(self.space.files),
            "supernet": ("from_run",),
            "distillation": tuple(self.distillation.files) if self.distillation else (),
            "training": tuple(self.training.files),
        }
        return {
            f"{name}.{key}": value
            for name, section in sections.items()
            for key in keys.get(name, ("table",))
            if section is not None and (value := getattr(section, key))
        }

    def with_files(self, files: Mapping[str, str]) -> Recipe:
        """The same recipe with other files at the keys of :attr:`files`."""
        changes: dict[str, dict[str, str]] = {}
        for name, file in files.items():
            section, _, key = name.rpartition(".")
            changes.setdefault(section, {})[key] = file
        update: dict[str, Any] = {
            section: getattr(self, section).model_copy(update=found)
            for section, found in changes.items()
            if not section.startswith("devices.")
        }
        if self.devices is not None:
            update["devices"] = tuple(
                device.model_copy(update=changes.get(f"devices.{number}", {}))
                for number, device in enumerate(self.devices)
            )
        return self.model_copy(update=update)

    def relative_to(self, folder: Path) -> Recipe:
        """The same recipe with its relative paths taken from ``folder``."""
        plugins = [located(plugin, folder) for plugin in self.plugins]
        found = self.with_files({key: str(folder / check_path(file, key)) for key, file in self.files.items()})
        return found.model_copy(update={"plugins": plugins})

    def with_plugins(self, plugins: Sequence[str]) -> Recipe:
        """The same recipe with further plug-ins."""
        return self.model_copy(update={"plugins": list(dict.fromkeys((*self.plugins, *plugins)))})

    def with_data_directory(self, directory: Path | str) -> Recipe:
        """The same recipe with another folder of data sets."""
        data = self.data.model_copy(update={"directory": str(check_path(directory, "--data-dir").resolve())})
        return self.model_copy(update={"data": data})

    def with_study(self, url: str) -> Recipe:
        """The same recipe with its study behind a URL. Raises InputError for a URL of an unknown kind."""
        from edgenas.study.store import check_url

        check_url(url, "--study")
        return self.model_copy(update={"search": self.search.model_copy(update={"study": url})})

    @property
    def is_one_shot(self) -> bool:
        """Whether one supernet is trained for all candidates."""
        return self.search.algorithm in ONE_SHOT and not self.is_fixed

    @property
    def keeps_weights(self) -> bool:
        """Whether what short trainings have learned is of use to later ones."""
        taught = self.distillation is not None and self.distillation.short and self.distillation.is_of_trial
        return self.search.transfer != "off" or taught

    @property
    def trials(self) -> int:
        """Candidates that are trained shortly and compared; of one network, that one."""
        if self.is_fixed:
            return 1
        if self.supernet is None:
            return self.search.trials
        budgets = 1 if self.budget_list is None else len(self.budget_list[2])
        return budgets * self.supernet.trials + self.supernet.check

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

    def at_budget(self, value: float) -> Recipe:
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

    @property
    def is_fixed(self) -> bool:
        """Whether one network is trained instead of searched for."""
        return self.space.architecture is not None

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

    def to_yaml(self) -> str:
        """The whole recipe with all defaults, as YAML that :meth:`parse` reads back."""
        return dump_yaml(self.model_dump(mode="json"))


def recipe_template() -> str:
    """A recipe with every key: its meaning as a comment, and its default (or an example where there is none)."""
    from edgenas.recipe.template import template

    return template(Recipe)
