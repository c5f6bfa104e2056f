"""The few best candidates are trained longer, and the best of them after that is shipped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgenas.devices.device import Device
from edgenas.devices.measurement import Measurement, Provenance
from edgenas.recipe.recipe import Recipe
from edgenas.run.choose import choose, reject
from edgenas.run.context import RunContext
from edgenas.run.finalists import finalist_settings, share_words
from edgenas.run.folder import RunFolder
from edgenas.run.log import read_log
from edgenas.run.pipeline import run
from edgenas.run.progress import Progress
from edgenas.run.records import ChooseRecord, FinalistsRecord
from edgenas.spaces.errors import WorkError
from edgenas.study.scheduler import InProcess
from edgenas.study.workers import Candidate, Evaluator
from edgenas.training.trainer import TrainingDivergedError

Make = Callable[..., Recipe]
EXTRA = "search: {trials: 8, algorithm: random, finalists: 3}\nobjective: {beta: 0}\n"


class ByNumber:
    """Candidates get worse with their number."""

    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        return 0.9 - candidate.number / 100


class LongTraining:
    """Stands for the training of finalists: scores by trial, and which were trained."""

    def __init__(self, scores: dict[int, float | Exception]) -> None:
        self.scores, self.trained = scores, list[int]()

    def __call__(self, context, number: int, network, settings, *, seed, folder: Path, title: str):
        found = self.scores[number]
        if isinstance(found, BaseException):
            raise found
        self.trained.append(number)
        return SimpleNamespace(metric="top1", metrics={"top1": found}, to_json=lambda: {"seconds": 1.5})


@pytest.fixture
def context(make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunContext:
    """A searched run whose trials are ranked by their numbers, and a device on which everything is quick."""
    return searched(make_recipe(EXTRA, table=table_path), monkeypatch)


def searched(recipe: Recipe, monkeypatch: pytest.MonkeyPatch, latency_ms: float = 0.01) -> RunContext:
    found = run(recipe, ship=False, quiet=True, evaluator=ByNumber(), scheduler=InProcess)
    measurement = Measurement((latency_ms,), Provenance("measured", "local-cpu", "test", "0"))
    monkeypatch.setattr(Device, "measure", lambda *arguments, **options: measurement)
    return RunContext(recipe, RunFolder(found.run), Progress(quiet=True))


def stand_in(monkeypatch: pytest.MonkeyPatch, scores: dict[int, float | BaseException]) -> LongTraining:
    training = LongTraining(scores)  # type: ignore[arg-type]
    monkeypatch.setattr("edgenas.run.finalists.run_training", training)
    return training


def test_the_best_after_the_longer_training_is_chosen(context: RunContext, monkeypatch: pytest.MonkeyPatch):
    training = stand_in(monkeypatch, {0: 0.5, 1: 0.7, 2: 0.6})
    assert choose(context) == 1
    assert training.trained == [0, 1, 2]
    record = context.folder.read(FinalistsRecord)
    assert {number: one.score for number, one in record.finalists.items()} == {0: 0.5, 1: 0.7, 2: 0.6}
    assert record.epochs == 6
    assert context.folder.read(ChooseRecord).kinds == {"local-cpu": "measured"}
    assert choose(context) == 1
    assert training.trained == [0, 1, 2], "the choice is remembered"


def test_of_two_equal_ones_the_better_ranked_is_chosen(context: RunContext, monkeypatch: pytest.MonkeyPatch):
    stand_in(monkeypatch, {0: 0.5, 1: 0.7, 2: 0.7})
    assert choose(context) == 1


def test_an_interruption_repeats_no_finalist(context: RunContext, monkeypatch: pytest.MonkeyPatch):
    first = stand_in(monkeypatch, {0: 0.5, 1: KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        choose(context)
    assert first.trained == [0]
    second = stand_in(monkeypatch, {0: 0.1, 1: 0.7, 2: 0.6})
    assert choose(context) == 1
    assert second.trained == [1, 2]
    measured = [event for event in read_log(context.folder.path / "log.jsonl") if event["event"] == "measured"]
    assert len(measured) == 3, "the candidates are measured once"


def test_when_the_chosen_one_is_rejected_the_next_finalist_is_taken(
    context: RunContext, monkeypatch: pytest.MonkeyPatch
):
    training = stand_in(monkeypatch, {0: 0.5, 1: 0.7, 2: 0.6, 3: 0.4, 4: 0.3, 5: 0.2})
    assert choose(context) == 1
    reject(context, 1, "for a test")
    assert choose(context) == 2
    assert training.trained == [0, 1, 2]
    reject(context, 2, "for a test")
    assert choose(context) == 0
    reject(context, 0, "for a test")
    with pytest.raises(WorkError, match="no candidate can be shipped"):
        choose(context)  # export.candidates is 3


def test_one_that_diverges_is_not_chosen(context: RunContext, monkeypatch: pytest.MonkeyPatch):
    stand_in(monkeypatch, {0: TrainingDivergedError("training diverged"), 1: 0.3, 2: 0.2})
    assert choose(context) == 1
    assert context.folder.read(ChooseRecord).rejected == {0: "as a finalist, its training diverged"}


def test_nothing_over_the_budget_is_a_finalist(make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch):
    context = searched(make_recipe(EXTRA, table=table_path), monkeypatch, latency_ms=1.0)
    monkeypatch.setattr("edgenas.run.choose.PAUSE_SECONDS", 0.0)
    with pytest.raises(WorkError, match=r"over the budget of 0\.05 ms"):
        choose(context)
    assert context.folder.read(FinalistsRecord).finalists == {}


def test_one_finalist_is_trained_no_longer(make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch):
    context = searched(make_recipe(EXTRA.replace("finalists: 3", "finalists: 1"), table=table_path), monkeypatch)
    training = stand_in(monkeypatch, {})
    assert choose(context) == 0
    assert training.trained == []


def test_their_training_is_a_share_of_the_final_one(make_recipe: Make):
    recipe = make_recipe("search: {finalist_share: 0.5}\ntraining: {epochs: 9, max_steps: 101}\n")
    settings = finalist_settings(recipe)
    assert (settings.epochs, settings.max_steps) == (4, 50)
    assert share_words(recipe) == "4 of 9 epochs, at most 50 of 101 steps,"
    assert share_words(make_recipe("training: {epochs: 10}\n")) == "2 of 10 epochs"
    assert settings.learning_rate == recipe.training.learning_rate
