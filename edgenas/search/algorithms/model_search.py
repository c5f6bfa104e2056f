"""Model Search (google/model_search): a beam of the best trials is deepened, or one of their blocks is mutated.

An architecture is read as a chain of decisions over the cheapest one: its *depth* is the number of decisions up to the
last that differs from the cheapest architecture. The search begins with depth 1. Every suggestion takes one of the
``beam`` best finished trials at random. While that is shallower than allowed it is, with probability ``deepen``, made
deeper: the next decision gets another option (the next one that changes the network). Otherwise one decision within
its depth is mutated. The allowed depth grows with the finished trials, so that all is allowed after
``full_depth_after`` of the trials.

Variants draw many such children and suggest the one that a model of the finished trials expects most of: ``linear``
(ridge over one-hot choices, from 10 trials on) or ``harmonica`` (a sparse polynomial of degree 3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgenas.search.algorithm import Algorithm, register_algorithm
from edgenas.search.models.encoding import fresh_rows, option_counts
from edgenas.search.models.sparse_models import LinearModel, SparsePolynomial
from edgenas.search.problem import Population, Problem
from edgenas.search.sampling import random_feasible
from edgenas.spaces.errors import InputError

MODELS = ("none", "linear", "harmonica")
CHILDREN = 64
TRIALS_FOR_MODEL = 10
TRIALS_OF_MODEL = 1024
"""The model is fitted on the newest trials, at most this many."""


@dataclass(frozen=True)
class ModelSearchOptions:
    """Settings of the beam.

    ``beam``: how many best trials may have children. ``deepen``: probability of a deeper child where that is allowed.
    ``model``: none, linear or harmonica. ``full_depth_after``: share of the trials after which any depth is allowed.
    """

    beam: int = 5
    deepen: float = 0.9
    model: str = "none"
    full_depth_after: float = 0.3

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise InputError(f"beam must be at least 1, found {self.beam}")
        if not 0 <= self.deepen <= 1:
            raise InputError(f"deepen must be between 0 and 1, found {self.deepen}")
        if self.model not in MODELS:
            raise InputError(f"model must be one of {', '.join(MODELS)}, found {self.model!r}")
        if not 0 < self.full_depth_after <= 1:
            raise InputError(f"full_depth_after must be above 0 and at most 1, found {self.full_depth_after}")


@register_algorithm("model_search")
class ModelSearch(Algorithm):
    """Beam search with growing depth."""

    Options = ModelSearchOptions

    def __init__(self, problem: Problem, seed: int, options: ModelSearchOptions | None = None) -> None:
        super().__init__(problem, seed, options)
        self._counts = option_counts(problem.space)
        self._base = np.array(
            problem.cheapest if problem.cheapest is not None else [0] * len(self._counts), dtype=np.int16
        )
        self._base = self._repaired(self._base[None], np.random.default_rng(seed))[0]

    @property
    def allowed_depth(self) -> int:
        """How many leading decisions may differ from the cheapest architecture now."""
        finished = int((~self.history.pending).sum())
        needed = max(self.options.full_depth_after * self.problem.trials, 1)
        return min(1 + int((len(self._counts) - 1) * finished / needed), len(self._counts))

    def propose(self, rng: np.random.Generator) -> Population | None:
        beam = self.history.best(self.options.beam)
        parents = np.array([trial.choices for trial in beam], np.int16) if beam else self._base[None]
        for rows in (parents[rng.integers(len(parents), size=1)], parents):
            children = self._children(rng, np.repeat(rows, CHILDREN // len(rows), axis=0), self.history.keys)
            if len(children):
                return self._choose(children)
        rows = random_feasible(self.problem, rng, self.seen)
        return rows[0] if len(rows) else None

    def _children(self, rng: np.random.Generator, parents: Population, known: npt.NDArray[np.uint64]) -> Population:
        """Feasible new children of these parents in random order, one mutation or one decision deeper each."""
        depth = self._depth(parents)
        deeper = (depth < self.allowed_depth) & ((rng.random(len(parents)) < self.options.deepen) | (depth == 0))
        # A deeper child changes a decision beyond its depth; nearby ones may be inactive, hence the geometric step.
        step = np.minimum(depth + rng.geometric(0.5, len(parents)) - 1, self.allowed_depth - 1)
        within = (rng.random(len(parents)) * np.maximum(depth, 1)).astype(np.intp)
        column = np.where(deeper, step, within)
        counts = np.asarray(self._counts)[column]
        shift = 1 + (rng.random(len(parents)) * (counts - 1)).astype(np.intp)
        children = parents.copy()
        places = np.arange(len(parents))
        children[places, column] = (children[places, column] + shift) % counts
        children = fresh_rows(self._repaired(children, rng), known)
        return children[self.problem.feasible(children)]

    def _depth(self, rows: Population) -> npt.NDArray[np.intp]:
        """(N,) one more than the last decision that differs from the cheapest architecture; 0 for that one."""
        different = rows != self._base
        depth = rows.shape[1] - np.argmax(different[:, ::-1], axis=1)
        return np.where(different.any(axis=1), depth, 0)

    def _choose(self, children: Population) -> Population:
        predict = self._model()
        if predict is None:
            return children[0]
        return children[int(np.argmax(predict(children)))]

    def _model(self) -> Callable[[Population], npt.NDArray[np.float64]] | None:
        newest = np.flatnonzero(self.history.has_reward)[-TRIALS_OF_MODEL:]
        if self.options.model == "none" or len(newest) < TRIALS_FOR_MODEL:
            return None
        encoded = self._one_hot(self.history.population[newest])
        rewards = self.history.rewards[newest]
        fit = LinearModel.fit if self.options.model == "linear" else SparsePolynomial.fit
        model = fit(encoded, rewards)
        return lambda population: model.predict(self._one_hot(population))

    def _one_hot(self, population: Population) -> npt.NDArray[np.float64]:
        return np.asarray(self.problem.space.one_hot(population), np.float64)

    def _repaired(self, rows: Population, rng: np.random.Generator) -> Population:
        """Rows crossed with themselves: what their choices make inactive or forbid is put right."""
        return self.problem.space.crossover(rng, rows, rows)
