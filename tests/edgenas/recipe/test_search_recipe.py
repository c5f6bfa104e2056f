"""A recipe's search with screening, early stopping and candidates that fail, from the YAML to the study.

Trainings here follow a formula.
"""

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgenas.recipe.recipe import Recipe
from edgenas.run.pipeline import run
from edgenas.search.pruning import PRUNERS
from edgenas.spaces.errors import WorkError
from edgenas.study.study import Study, Trial
from edgenas.study.workers import Candidate, Outcome, WorkerPool, outcome_of

Make = Callable[..., Recipe]
EPOCHS = 9


class SameProcess(WorkerPool):
    """Evaluates here, the newest of those at work first: nothing may depend on who finishes first."""

    def run(self, candidates: Iterable[Candidate | None], on_outcome: Callable[[Outcome], None]) -> None:
        evaluate = self.factory()
        source = iter(candidates)
        while at_work := list(islice(source, self.count)):
            for candidate in reversed(at_work):
                if candidate is not None:
                    on_outcome(outcome_of(evaluate, candidate))


def quality(architecture: str) -> float:
    """In [0, 1], of an architecture's text."""
    return sum(int(digit) for digit in architecture if digit.isdigit()) / 20


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch, make_recipe: Make, table_path: Path) -> Callable[..., list[Trial]]:
    """Runs the search of a recipe with this text added; ``train`` stands in for the training."""
    monkeypatch.setattr("edgenas.run.search.WorkerPool", SameProcess)

    def begin(text: str, name: str = "demo", *, train: Any = formula_training, resume: bool = False) -> list[Trial]:
        monkeypatch.setattr("edgenas.training.train", train)
        recipe = make_recipe(f"search:\n{text}", table=table_path).model_copy(update={"name": name})
        run(recipe, ship=False, quiet=True, resume=resume)
        return list(Study.open(Path(recipe.output) / name / "study.db").trials)

    return begin


def formula_training(network: Any, split: Any, settings: Any, *, on_epoch: Any = None, **_: Any) -> Any:
    """Accuracies that approach the quality of the network, reported as a training would."""
    from edgenas.training.train import TrainingProgress

    final = quality(network.name.split(":", 1)[1])
    for epoch in range(1, settings.epochs + 1):
        on_epoch(TrainingProgress(epoch, settings.epochs, 1, 1, 0.5, final * (1 - 0.5 / epoch), 0.0, 0.0))


def settings(**options: object) -> str:
    lines = {"algorithm": "random", "trials": 24, "workers": 2, "training": f"{{epochs: {EPOCHS}}}"} | options
    lines["artifacts"] = "{trials: 0}"  # what stands in for the training has no weights
    return "".join(f"  {key}: {value}\n" for key, value in lines.items())


@pytest.mark.parametrize("pruner", [name for name in PRUNERS if name != "none"])
def test_early_stopping_from_a_recipe(pruner: str, search: Callable[..., list[Trial]]) -> None:
    trials = search(settings(early_stopping=pruner))
    stopped = [trial for trial in trials if trial.state == "stopped"]
    complete = [trial for trial in trials if trial.state == "complete"]
    assert len(stopped) + len(complete) == 24
    assert stopped, "nothing was ever stopped"
    assert len(complete) >= 3
    for trial in stopped:
        assert 0 < len(trial.curve) < EPOCHS
        assert trial.top1 is None
        assert pruner in str(trial.error)
    assert all(len(trial.curve) == EPOCHS for trial in complete)
    assert np.mean([quality(t.architecture) for t in stopped]) < np.mean([quality(t.architecture) for t in complete])
    best = max(trials, key=lambda trial: quality(trial.architecture))
    assert best.state == "complete", "the best candidate was stopped"


@pytest.mark.parametrize("extra", ["  screen: 6\n"])
def test_an_interrupted_search_goes_on_as_if_nothing_had_happened(
    extra: str, search: Callable[..., list[Trial]]
) -> None:
    options = {"early_stopping": "median", "trials": 10, "workers": 3}
    if "algorithm" in extra:
        options["algorithm"] = extra.split(": ")[1].strip()
        extra = ""
    text = settings(**options) + extra
    whole = search(text, "whole")
    count = 0

    def interrupted(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        if count == 8:
            raise KeyboardInterrupt
        return formula_training(*arguments, **named)

    with pytest.raises(WorkError, match="--resume"):
        search(text, "interrupted", train=interrupted)
    found = search(text, "interrupted", resume=True)
    assert [(t.architecture, t.state, t.top1) for t in found] == [(t.architecture, t.state, t.top1) for t in whole]
    assert len({trial.architecture for trial in found}) == len(found)


def test_a_figure_that_is_not_a_number_fails_the_candidate(search: Callable[..., list[Trial]]) -> None:
    def diverging(network: Any, split: Any, settings: Any, *, on_epoch: Any, **_: Any) -> Any:
        from edgenas.training.train import TrainingProgress

        final = float("nan") if network.name.endswith("0") else 0.5
        on_epoch(TrainingProgress(1, settings.epochs, 1, 1, 0.5, final, 0.0, 0.0))

    trials = search(settings(early_stopping="median", trials=8), train=diverging)
    assert {trial.error for trial in trials if trial.architecture.endswith("0")} == {
        "the metric of the task is not a number"
    }
    assert all(trial.state == "complete" for trial in trials if not trial.architecture.endswith("0"))
