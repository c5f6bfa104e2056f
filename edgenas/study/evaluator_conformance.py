"""What every evaluator must keep: a test class for ours and for anybody's.

Use it with pytest::

    class TestMyEvaluator(EvaluatorConformance):
        evaluator = "my_evaluator"
        options = {"enough": 1000}
        bad_options = [{"enough": "many"}]

The recipe is a small one on bundled data with the simulated Edge TPU; override :meth:`recipe` for another.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from edgenas.spaces.errors import InputError
from edgenas.study.candidates import Candidate, Outcome, outcome_of
from edgenas.study.evaluation import load_data, load_space, load_task
from edgenas.study.evaluators import CandidateEvaluator, evaluator_class, evaluator_of, evaluator_options

_RECIPE = """\
name: conformance
data: {name: fashion_mnist}
space: {name: tiny_edge}
device: {name: edgetpu-sim}
budget: {macs: 4000000}
training: {epochs: 1}
"""


class EvaluatorConformance:
    """Plain asserts; subclasses name the evaluator."""

    evaluator: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}
    bad_options: ClassVar[Sequence[Mapping[str, Any]]] = ()

    def recipe(self) -> Any:
        """The recipe of a search that names the evaluator."""
        from edgenas.recipe.recipe import Recipe

        recipe = Recipe.parse(_RECIPE, "the recipe of this test")
        wanted = {"evaluator": self.evaluator, "evaluator_options": dict(self.options)}
        return recipe.model_copy(update={"search": recipe.search.model_copy(update=wanted)})

    def outcomes(self, count: int = 2) -> list[Outcome]:
        """Of random architectures of the space, by an evaluator that was made as in a worker."""
        recipe = self.recipe()
        task = load_task(recipe)
        space = load_space(recipe, task, load_data(recipe, task))
        rows = space.sample(np.random.default_rng(0), count)
        evaluate = pickle.loads(pickle.dumps(evaluator_of(recipe)))()
        return [
            outcome_of(evaluate, Candidate(number, str(space.architecture(row)), number))
            for number, row in enumerate(rows)
        ]

    def test_it_is_known_by_name(self) -> None:
        cls = evaluator_class(self.evaluator)
        assert issubclass(cls, CandidateEvaluator)
        assert cls.name == self.evaluator

    def test_it_travels_and_scores_candidates(self) -> None:
        for outcome in self.outcomes():
            assert outcome.error is None, outcome.reason
            assert outcome.score is not None
            assert 0 <= outcome.score <= 1

    def test_the_same_candidate_has_the_same_score(self) -> None:
        first, second = self.outcomes(1), self.outcomes(1)
        assert first[0].score == second[0].score

    def test_wrong_options_are_refused(self) -> None:
        for options in ({"no_such_option": 1}, *self.bad_options):
            try:
                evaluator_options(self.evaluator, options)
            except InputError:
                continue
            raise AssertionError(f"expected InputError for {options}")
