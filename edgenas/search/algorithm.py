"""The algorithm interface: suggest architectures, hear how they did. No framework, no clock, no hidden state.

An algorithm is a function of the problem, the seed and the finished trials. It keeps nothing that could not be
rebuilt from the trials of the study, so a crashed search continues as if nothing had happened. What it knows of them is
in its :attr:`Algorithm.history`. To write one::

    @register_algorithm("my_algorithm")
    class MyAlgorithm(Algorithm):
        @dataclass(frozen=True)
        class Options:
            population: int = 10

        def propose(self, rng): ...

``edgenas.search.conformance.AlgorithmConformance`` is the test class it should pass. Packages that declare an entry
point in the group ``edgenas.algorithms`` are found by name without being imported here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, KeysView, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np

from edgenas.search.blas_threads import one_blas_thread
from edgenas.search.history import History, Observation
from edgenas.search.options import NoOptions, read_options
from edgenas.search.problem import Population, Problem
from edgenas.spaces.registry import Registry

ENTRY_POINT_GROUP = "edgenas.algorithms"


class Algorithm(ABC):
    """Base of all algorithms; subclasses define :meth:`propose` and, where they have any, ``Options``.

    Args:
        problem: space, costs and limits.
        seed: same seed, problem and finished trials give the same suggestions.
        options: an instance of the class' ``Options``; None takes the defaults.

    Attributes:
        history: the known trials, as objects and as arrays.
    """

    name: ClassVar[str] = ""
    Options: ClassVar[type[Any]] = NoOptions

    def __init__(self, problem: Problem, seed: int, options: Any = None) -> None:
        self.problem = problem
        self.seed = seed
        self.options = self.Options() if options is None else options
        self.history = History()

    @classmethod
    def missing(cls) -> str | None:
        """What must be installed before the algorithm works, in one sentence that names the extra; None: nothing."""
        return None

    @abstractmethod
    def propose(self, rng: np.random.Generator) -> Population | None:
        """One architecture, shape (decisions,), within the budget and not in :attr:`seen`; None when none is left.

        ``rng`` depends on the seed and the number of the trial only: take no randomness from anywhere else.
        """

    def update(self, trials: Iterable[Observation]) -> None:
        """Hears of new trials or of news about known ones, in any order."""
        self.history.update(trials)

    def suggest(self, count: int) -> list[tuple[int, ...]]:
        """``count`` architectures to evaluate next, which then count as pending; fewer when the space is used up.

        Asking for two at once gives the same as asking for one twice.
        """
        suggestions: list[tuple[int, ...]] = []
        for _ in range(count):
            number = self.history.next_number
            with one_blas_thread():
                row = self.propose(np.random.default_rng([self.seed, number]))
            if row is None:
                break
            choices = tuple(int(choice) for choice in row)
            self.history.update([Observation(number, choices)])
            suggestions.append(choices)
        return suggestions

    @property
    def trials(self) -> list[Observation]:
        """All known trials by number, the pending and failed ones too."""
        return self.history.trials

    @property
    def complete(self) -> list[Observation]:
        """Trials that finished with a reward, by number."""
        return self.history.complete

    @property
    def seen(self) -> KeysView[tuple[int, ...]]:
        """Architectures that were ever suggested, whatever became of them."""
        return self.history.seen


_REGISTRY: Registry[type[Algorithm]] = Registry("algorithm", attribute="name", entry_point_group=ENTRY_POINT_GROUP)
AlgorithmType = TypeVar("AlgorithmType", bound="type[Algorithm]")


def register_algorithm(name: str) -> Callable[[AlgorithmType], AlgorithmType]:
    """Class decorator that makes an algorithm known to recipes. Raises InputError when the name is taken."""
    return _REGISTRY.decorator(name)


def algorithm_names() -> tuple[str, ...]:
    """Names of all algorithms, those of other installed packages included, sorted."""
    return _REGISTRY.names()


def algorithm_class(name: str) -> type[Algorithm]:
    """The class registered under ``name``. Raises InputError with the known names."""
    return _REGISTRY.get(name)


def algorithm_options(name: str, options: Mapping[str, Any]) -> Any:
    """An ``Options`` of the algorithm from plain data. Raises InputError naming an unknown key or a wrong type."""
    return read_options(algorithm_class(name).Options, options, f"algorithm {name!r}")


def create_algorithm(name: str, problem: Problem, seed: int, options: Mapping[str, Any] | None = None) -> Algorithm:
    """An algorithm by name, with options as plain data. Raises InputError as :func:`algorithm_options` does."""
    return algorithm_class(name)(problem, seed, algorithm_options(name, options or {}))
