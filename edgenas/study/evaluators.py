"""The evaluator interface: what a candidate is worth, under a name that a recipe gives in ``search.evaluator``.

One object is made in each worker process and asked for one candidate after the other. To write one::

    @register_evaluator("by_parameters")
    class ByParameters(CandidateEvaluator):
        @dataclass(frozen=True)
        class Options:
            enough: int = 1_000_000

        def __call__(self, candidate):
            return min(self.network(candidate).params / self.options.enough, 1.0)

``edgenas.study.evaluator_conformance.EvaluatorConformance`` is the test class it should pass. A file or module is named
under ``plugins`` of a recipe or after ``--import``; packages that declare an entry point in the group
``edgenas.evaluators`` are found by name without being imported here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from edgenas.plugins import load_plugins
from edgenas.search.options import NoOptions, read_options
from edgenas.spaces.registry import Registry
from edgenas.study.candidates import Candidate, Evaluation, Evaluator, EvaluatorFactory

if TYPE_CHECKING:
    from edgenas.data.task_data import TaskData
    from edgenas.recipe.recipe import Recipe
    from edgenas.spaces.network import Network
    from edgenas.spaces.space.search_space import SearchSpace
    from edgenas.study.evaluation import StartFactory
    from edgenas.tasks import Task

ENTRY_POINT_GROUP = "edgenas.evaluators"
#: The evaluator of a recipe that names none.
SHORT_TRAINING = "short_training"


class CandidateEvaluator(ABC):
    """Base of all named evaluators; subclasses define :meth:`__call__` and, where they have any, ``Options``.

    What the recipe names is loaded when it is first asked for, so an evaluator that needs no data reads none.

    Args:
        recipe: of the search, checked, with absolute paths.
        options: an instance of the class' ``Options``; None takes the defaults.
    """

    name: ClassVar[str] = ""
    Options: ClassVar[type[Any]] = NoOptions

    def __init__(self, recipe: Recipe, options: Any = None) -> None:
        self.recipe = recipe
        self.options = self.Options() if options is None else options

    @abstractmethod
    def __call__(self, candidate: Candidate, /) -> float | Evaluation:
        """The candidate's figure in [0, 1], larger is better, or an Evaluation with a curve and metrics.

        An exception fails the candidate, and the search goes on. Take randomness from ``candidate.seed`` only.
        """

    @cached_property
    def task(self) -> Task:
        """What is learned."""
        from edgenas.study.evaluation import load_task

        return load_task(self.recipe)

    @cached_property
    def data(self) -> TaskData:
        """The data of the recipe; ``data.split(...)`` parts training from validation examples as the search does."""
        from edgenas.study.evaluation import load_data

        return load_data(self.recipe, self.task)

    @cached_property
    def space(self) -> SearchSpace:
        """The space of the recipe, at the size of the data."""
        from edgenas.study.evaluation import load_space

        return load_space(self.recipe, self.task, self.data)

    def network(self, candidate: Candidate) -> Network:
        """The candidate's network."""
        return self.space.decode(self.space.parse(candidate.architecture))


_REGISTRY: Registry[type[CandidateEvaluator]] = Registry(
    "evaluator", attribute="name", entry_point_group=ENTRY_POINT_GROUP
)
EvaluatorType = TypeVar("EvaluatorType", bound="type[CandidateEvaluator]")


def register_evaluator(name: str) -> Callable[[EvaluatorType], EvaluatorType]:
    """Class decorator that makes an evaluator known to recipes. Raises InputError when the name is taken."""
    return _REGISTRY.decorator(name)


def evaluator_names() -> tuple[str, ...]:
    """Names of all evaluators, those of other installed packages included, sorted."""
    return _REGISTRY.names()


def evaluator_class(name: str) -> type[CandidateEvaluator]:
    """The class registered under ``name``. Raises InputError with the known names."""
    return _REGISTRY.get(name)


def evaluator_options(name: str, options: Mapping[str, Any]) -> Any:
    """An ``Options`` of the evaluator from plain data. Raises InputError naming an unknown key or a wrong type."""
    return read_options(evaluator_class(name).Options, options, f"evaluator {name!r}")


@register_evaluator(SHORT_TRAINING)
class ShortTraining(CandidateEvaluator):
    """Trains a candidate as ``search.training`` says: the metric on validation examples after that."""

    def __init__(self, recipe: Recipe, options: Any = None) -> None:
        from edgenas.study.evaluation import ShortTrainingEvaluator

        super().__init__(recipe, options)
        self._evaluate = ShortTrainingEvaluator(recipe)()

    def __call__(self, candidate: Candidate, /) -> float | Evaluation:
        return self._evaluate(candidate)


@dataclass(frozen=True)
class NamedEvaluator:
    """Makes, inside a worker process, the evaluator that a recipe names."""

    recipe: Recipe

    def __call__(self) -> Evaluator:
        load_plugins(self.recipe.plugins)
        search = self.recipe.search
        options = evaluator_options(search.evaluator, search.evaluator_options)
        return evaluator_class(search.evaluator)(self.recipe, options)


def evaluator_of(recipe: Recipe, starts: StartFactory | None = None, trials: Path | None = None) -> EvaluatorFactory:
    """What makes the evaluator of a recipe in each worker.

    ``starts``: weights that short trainings begin with; ``trials``: folder for what they leave to each other.
    """
    if recipe.search.evaluator == SHORT_TRAINING:
        from edgenas.study import evaluation

        return evaluation.ShortTrainingEvaluator(recipe, starts, trials)
    return NamedEvaluator(recipe)


def figure_origin(evaluator: str) -> str:
    """What a trial's figure is of, for a sentence.

    >>> figure_origin("short_training"), figure_origin("by_parameters")
    ('on validation examples after short training', "by the evaluator 'by_parameters'")
    """
    words = judged_words(evaluator)
    return f"on validation examples {words}" if evaluator == SHORT_TRAINING else words


def judged_words(evaluator: str) -> str:
    """How a trial's figure came about, for people.

    >>> judged_words("short_training"), judged_words("by_parameters")
    ('after short training', "by the evaluator 'by_parameters'")
    """
    return "after short training" if evaluator == SHORT_TRAINING else f"by the evaluator {evaluator!r}"
