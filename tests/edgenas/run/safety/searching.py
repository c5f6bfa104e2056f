"""Searches that take no time: few images, a formula in the place of training, no other process."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from edgenas.recipe.recipe import Recipe
from edgenas.run.pipeline import run
from edgenas.run.result import RunResult
from edgenas.spaces.errors import WorkError
from edgenas.study.study import Study
from edgenas.study.workers import Candidate, Evaluator, Outcome, WorkerPool

Make = Callable[..., Recipe]

THREE = "search: {trials: 3, algorithm: random}\n"


class Formula:
    """Larger networks are better."""

    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        return sum(int(c) for c in candidate.architecture if c.isdigit()) / 100


class SameProcess(WorkerPool):
    """Evaluates here: starting processes takes longer than what these tests look at."""

    def run(self, candidates: Iterable[Candidate], on_outcome: Callable[[Outcome], None]) -> None:
        evaluate = self.factory()
        for candidate in candidates:
            try:
                on_outcome(Outcome(candidate.number, 0.0, score=evaluate(candidate)))
            except WorkError as error:
                if "--resume" in str(error):  # not of the candidate
                    raise
                on_outcome(Outcome(candidate.number, 0.0, error=str(error)))


def few_images(folder: Path) -> Path:
    """60 training and 20 test images, darker or lighter by class."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 60), ("test", 20)):
        labels = np.arange(count) % 10
        arrays[f"y_{part}"] = labels
        arrays[f"x_{part}"] = (rng.integers(0, 50, (count, 28, 28)) + 20 * labels[:, None, None]).astype(np.uint8)
    path = folder / "few.npz"
    np.savez(path, **arrays)
    return path


def with_few_images(recipe: Recipe, folder: Path) -> Recipe:
    data = recipe.data.model_copy(update={"name": None, "path": str(few_images(folder))})
    return recipe.model_copy(update={"data": data})


def searched(recipe: Recipe, **options: object) -> RunResult:
    settings: dict = {"evaluator": Formula(), "ship": False, "quiet": True} | options
    return run(recipe, **settings)


def complete(folder: Path) -> int:
    study = Study.open(folder / "study.db")
    try:
        return sum(trial.state == "complete" for trial in study.trials)
    finally:
        study.close()
