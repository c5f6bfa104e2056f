"""Scores of networks with the weights of the trained supernet: ``supernet/scores.csv``, one row a network.

The rows are what the search over the frozen supernet goes by, so they say all that is needed to continue it.
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgenas.export.files import write_atomically
from edgenas.run.budgets import for_budgets, objective_of
from edgenas.run.records import ScoreRecord
from edgenas.run.supernet.making import CHECK, SEARCH, folder, section, seed
from edgenas.run.supernet.trained import weights_path
from edgenas.search import Observation
from edgenas.search.algorithm import Algorithm
from edgenas.search.problem import Problem
from edgenas.search.sampling import random_feasible
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.space.decision import Architecture
from edgenas.supernet.candidates import FrozenEvolution, PolicySamples
from edgenas.supernet.families import Population
from edgenas.supernet.features import NetworkFeatures

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.run.progress import ProgressBar

SEARCHED, CHECKED = "search", "check"
_COLUMNS = ("network", "purpose", "architecture", "score", "likelihood", "reward")
#: The file is written at most so often, and at the end.
_SECONDS = 2.0


@dataclass(frozen=True)
class ScoredNetwork:
    """A network, what it is worth with shared weights, and its predicted costs.

    ``score`` is the primary metric, ``likelihood`` what networks are ranked by (see
    :class:`edgenas.supernet.learning.Judgement`), and ``reward`` follows from that and from the costs.
    """

    number: int
    purpose: str
    architecture: str
    score: float
    likelihood: float
    reward: float
    costs: Mapping[str, float] = field(default_factory=dict)


def scores_path(folder: Path) -> Path:
    return folder / "scores.csv"


def read_scores(path: Path) -> list[ScoredNetwork]:
    """Reads ``scores.csv``; empty when there is none. Raises InputError when it is not what was written."""
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        found = [
            ScoredNetwork(
                int(row["network"]),
                row["purpose"],
                row["architecture"],
                float(row["score"]),
                float(row["likelihood"]),
                float(row["reward"]),
                {name: float(value) for name, value in row.items() if name not in _COLUMNS},
            )
            for row in rows
        ]
        if [one.number for one in found] != list(range(len(found))):
            raise ValueError("networks are missing")
        if not all(
            math.isfinite(one.reward) and 0 <= one.score <= 1 and 0 <= one.likelihood < math.inf for one in found
        ):
            raise ValueError("scores out of range")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise InputError(
            f"{path}: not the scores of a supernet ({error}); nothing was changed. Delete it and continue with "
            "--resume: the networks are scored again"
        ) from None
    return found


def write_scores(path: Path, scored: list[ScoredNetwork]) -> None:
    """Writes all rows, whole or not at all; numbers as exactly as they are."""
    buffer = io.StringIO()
    costs = list(scored[0].costs) if scored else []
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*_COLUMNS, *costs])
    for one in scored:
        row = [one.number, one.purpose, one.architecture, repr(one.score), repr(one.likelihood), repr(one.reward)]
        writer.writerow(row + [repr(float(one.costs[name])) for name in costs])
    write_atomically(path, buffer.getvalue())


def make_problem(context: RunContext, trials: int) -> Problem:
    """The budgeted problem of the run."""
    return context.costs.problem(context.limits, trials)


def make_features(context: RunContext) -> NetworkFeatures:
    """Features of networks, with the latencies that are predicted for all devices."""
    latencies = [name for name in context.limits if name.startswith("latency_ms")]
    names = ("macs", "params", *latencies)
    return NetworkFeatures(context.space, lambda rows: context.costs.population(rows, names))


def score_networks(context: RunContext) -> None:
    """Searches the frozen supernet under the budget, as far as that is not done."""
    recipe, path = context.recipe, scores_path(folder(context))
    wanted = section(context)
    total = wanted.scored_networks(recipe.search.algorithm)
    scored = read_scores(path)
    if context.folder.read(ScoreRecord).done and scored:
        return
    with context.step(ScoreRecord):
        book = _Book(context, scored)
        try:
            with context.progress.task("score", total + wanted.check, len(scored), slow_start=True) as task:
                _search(context, book, total, task)
                _score_checks(context, book, wanted.check, task)
        finally:
            book.write()
        if not book.scored:
            raise WorkError("no network within the budget was found to score; raise the budget")
        context.folder.write(replace(context.folder.read(ScoreRecord), done=True, networks=len(book.scored)))
        context.log.event("supernet_scored", networks=len(book.scored), best=book.best())
        context.progress.say(f"score: {len(book.scored)} networks with shared weights, {book.best()}")


def _search(context: RunContext, book: _Book, total: int, task: ProgressBar) -> None:
    """Scores what the algorithm over the frozen supernet suggests, until there are ``total``."""
    algorithm, _ = for_budgets(context, total, _algorithm)
    algorithm.update(
        Observation(number, context.space.parse(one.architecture).choices, "complete", one.reward)
        for number, one in enumerate(book.of(SEARCHED))
    )
    for number in range(len(book.of(SEARCHED)), total):
        suggestions = algorithm.suggest(1)
        if not suggestions:  # the space is used up
            break
        one = book.add(SEARCHED, Architecture(suggestions[0]))
        algorithm.update([Observation(number, suggestions[0], "complete", one.reward)])
        task.update(len(book.scored), note=book.best())


def _algorithm(context: RunContext, problem: Problem, _: int) -> Algorithm:
    """The search over the frozen supernet for one budget."""
    start = seed(context, SEARCH)
    file = context.supernet.file
    if context.recipe.search.algorithm == "tunas":
        if file.probabilities is None:
            raise InputError(f"{weights_path(folder(context))}: holds no controller; delete it and use --resume")
        return PolicySamples(problem, start, file.probabilities, file.chosen)
    return FrozenEvolution(problem, start, make_features(context))


def check_rows(context: RunContext, problem: Problem) -> Population:
    """(N, decisions) the random networks within the budget that the recipe wants trained to check the ranking."""
    count = section(context).check
    if not count or context.folder.budget:  # of several budgets, the largest has them
        return np.zeros((0, len(context.space.decisions)), np.int16)
    return random_feasible(problem, np.random.default_rng(seed(context, CHECK)), set(), count)


def _score_checks(context: RunContext, book: _Book, count: int, task: ProgressBar) -> None:
    for row in check_rows(context, make_problem(context, count))[len(book.of(CHECKED)) :]:
        book.add(CHECKED, Architecture(tuple(int(choice) for choice in row)))
        task.update(len(book.scored), note=book.best())


class _Book:
    """The scored networks, and the file that they stand in."""

    def __init__(self, context: RunContext, scored: list[ScoredNetwork]) -> None:
        self.scored = scored
        self._context = context
        self._objective = objective_of(context)
        self._written = time.monotonic()

    def of(self, purpose: str) -> list[ScoredNetwork]:
        return [one for one in self.scored if one.purpose == purpose]

    def add(self, purpose: str, architecture: Architecture) -> ScoredNetwork:
        found = self._context.supernet.judge(architecture)
        costs = self._context.costs.architecture(architecture)
        reward = self._objective.reward(found.likelihood, costs)
        if not math.isfinite(reward):
            raise WorkError(f"the supernet scores {architecture} with {found}, which is no number to search by")
        number, score = len(self.scored), float(found.score)
        one = ScoredNetwork(number, purpose, str(architecture), score, found.likelihood, float(reward), costs)
        self.scored.append(one)
        if time.monotonic() - self._written > _SECONDS:
            self.write()
        return one

    def best(self) -> str:
        """The best so far, in words."""
        best = max(self.scored, key=lambda one: one.reward)
        return f"best {self._context.task.metric} {best.score:.3f}"

    def write(self) -> None:
        self._written = time.monotonic()
        write_scores(scores_path(folder(self._context)), self.scored)
