"""The recipe: the YAML file that a user writes, checked completely before anything runs.

Paths in a recipe are relative to the recipe's folder, except ``output``, which is relative to where the command runs.
``edgenas recipe`` prints one with every key, its default and what it means (:func:`recipe_template`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from edgenas.plugins import load_plugins, located
from edgenas.recipe.costs import BudgetedRecipe
from edgenas.recipe.errors import explain
from edgenas.recipe.supernet import ONE_SHOT
from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_path
from edgenas.spaces.yaml_reading import Document, dump_yaml, parse_document, read_document
from edgenas.study.evaluators import SHORT_TRAINING


class Recipe(BudgetedRecipe):
    """Everything that a run needs. Read one with :meth:`load`."""

    @model_validator(mode="after")
    def _possible_teacher(self) -> Recipe:
        if self.distillation is not None and (
            problem := self.distillation.problem(trials=self.trials, one_shot=self.is_one_shot, fixed=self.is_fixed)
        ):
            raise ValueError(f"distillation.{problem}")
        if self.keeps_weights and self.search.evaluator != SHORT_TRAINING and not self.is_fixed:
            key = "search.transfer" if self.search.transfer != "off" else "distillation.short"
            raise ValueError(f"{key}: the evaluator {self.search.evaluator!r} trains nothing; leave it out")
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
        sections |= {"search.artifacts": self.search.artifacts}
        keys = {
            "data": ("path", "directory"),
            "space": tuple(self.space.files),
            "supernet": ("from_run",),
            "distillation": tuple(self.distillation.files) if self.distillation else (),
            "search.artifacts": tuple(self.search.artifacts.files),
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
            if "." not in section
        }
        if kept := changes.get("search.artifacts"):
            artifacts = self.search.artifacts.model_copy(update=kept)
            update["search"] = self.search.model_copy(update={"artifacts": artifacts})
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

    def to_yaml(self) -> str:
        """The whole recipe with all defaults, as YAML that :meth:`parse` reads back."""
        return dump_yaml(self.model_dump(mode="json"))


def recipe_template() -> str:
    """A recipe with every key: its meaning as a comment, and its default (or an example where there is none)."""
    from edgenas.recipe.template import template

    return template(Recipe)
