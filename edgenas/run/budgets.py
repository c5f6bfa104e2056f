"""One search for several budgets: an algorithm for each, and the reward that a trial has among them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgenas.search.algorithm import Algorithm
from edgenas.search.per_budget import Budgeted, ObjectiveOfBudgets, PerBudget
from edgenas.search.problem import Problem
from edgenas.study.evaluation import derived_seed
from edgenas.study.objectives import Objective

if TYPE_CHECKING:
    from edgenas.run.context import RunContext

_SEED_PURPOSE = 8


def objective_of(context: RunContext) -> Objective | ObjectiveOfBudgets:
    """The reward of the run's trials: of several budgets, by the smallest that a trial keeps."""
    views = context.budgets
    if len(views) == 1:
        return context.objective
    return ObjectiveOfBudgets([Budgeted(view.limits, view.objective) for view in views])


def for_budgets(
    context: RunContext, trials: int, make: Callable[[RunContext, Problem, int], Algorithm]
) -> tuple[Algorithm, Objective | ObjectiveOfBudgets]:
    """An algorithm for so many trials, and their reward; where there are several budgets, made of one for each."""
    seed, problem = context.recipe.seed, context.costs.problem(context.limits, trials)
    views = context.budgets
    if len(views) == 1:
        return make(context, problem, seed), context.objective
    objective = objective_of(context)
    assert isinstance(objective, ObjectiveOfBudgets)
    share = math.ceil(trials / len(views))
    algorithms = [
        make(view, context.costs.problem(view.limits, share), derived_seed(seed, _SEED_PURPOSE, number))
        for number, view in enumerate(views)
    ]
    return PerBudget(problem, seed, objective, algorithms), objective
