"""Several trials of a run as one network: what it computes, who is in it, and that it is shipped within the budget."""

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

from edgenas.cli.app import app
from edgenas.export.keras.builder import build_keras
from edgenas.recipe.recipe import Recipe
from edgenas.run.ensemble.growing import Growing
from edgenas.run.ensemble.networks import last_dense, side_by_side, weights_side_by_side
from edgenas.run.ensemble.settings import EnsembleSettings
from edgenas.run.ensemble.shares import learned_shares, summed
from edgenas.run.ensemble.towers import Tower
from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import run
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.network import Network, chain
from edgenas.study.candidates import Candidate
from edgenas.study.scheduler import InProcess
from edgenas.study.trial import Trial
from edgenas.tasks import get_task
from edgenas.training.initial import weights_by_name
from edgenas.training.teachers import trained_model

Make = Callable[..., Recipe]


def network(filters: int, classes: int = 4) -> Network:
    return chain("small", (8, 8, 1), {"stem": ConvBnAct(filters, 3, 2), "head": ClassifierHead(classes)})


def test_the_ensemble_gives_the_weighted_sum_of_its_towers() -> None:
    towers = [network(4), network(8)]
    models = [build_keras(tower, seed=seed) for seed, tower in enumerate(towers)]
    shares = (0.3, 0.7)
    together = side_by_side("both", towers)
    arrays = weights_side_by_side(towers, [weights_by_name(model) for model in models], shares)
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype(np.float32)
    expected = sum(share * np.asarray(model(images)) for share, model in zip(shares, models, strict=True))
    np.testing.assert_allclose(np.asarray(trained_model(together, arrays)(images)), expected, rtol=1e-4, atol=1e-5)
    assert together.params == sum(tower.params for tower in towers)


def test_networks_that_make_no_ensemble_are_told() -> None:
    with pytest.raises(InputError, match="has other outputs"):
        side_by_side("both", [network(4), network(4, classes=5)])
    with pytest.raises(InputError, match="does not end in one dense layer"):
        last_dense(chain("open", (8, 8, 1), {"stem": ConvBnAct(4, 3, 2)}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "boosting"}, "--method: expected one of non_adaptive"),
        ({"combine": "vote"}, "--combine: expected one of average, learned"),
        ({"method": "residual", "combine": "learned"}, "residual towers are added up"),
        ({"towers": 1}, "--towers: expected at least 2"),
        ({"pool": 1}, "--pool: expected at least as many"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EnsembleSettings(**options)


def test_learned_shares_favour_the_tower_that_knows_more() -> None:
    task, rng = get_task("classification"), np.random.default_rng(0)
    labels = rng.integers(0, 4, 64)
    good = {"ensemble": (3 * np.eye(4)[labels] + rng.normal(size=(64, 4))).astype(np.float32)}
    bad = {"ensemble": rng.normal(size=(64, 4)).astype(np.float32)}
    shares = learned_shares(task, labels, [good, bad])
    assert shares[0] > 0.5 > shares[1]


class StandIn:
    """Towers that are trained at once: each answers some of eight examples rightly."""

    right: ClassVar = {0: range(5), 1: range(4), 2: range(4, 8), 3: range(1)}
    labels = np.arange(8) % 4

    def __init__(self, diverging: Sequence[int] = ()) -> None:
        self.infeasible: dict[int, str] = {}
        self.diverging = diverging
        self.context = SimpleNamespace(task=get_task("classification"))
        self.validation = SimpleNamespace(targets=self.labels)

    def candidates(self) -> list[Trial]:
        return [Trial(number, "", (), "complete", 0, {}) for number in self.right]

    def train(self, trial: Trial) -> Tower | None:
        if trial.number in self.diverging:
            self.infeasible[trial.number] = "the loss is not finite"
            return None
        logits = 0.1 * np.roll(np.eye(4), 1, 1)[self.labels].astype(np.float32)
        for row in self.right[trial.number]:
            logits[row, self.labels[row]] = 1.0
        outputs = {"ensemble": logits}
        return Tower(trial, network(4), {}, outputs, self.score(outputs))

    def train_on_top(self, trial: Trial, ensemble: Sequence[Tower]) -> Tower | None:
        return self.train(trial)

    def score(self, outputs: Any) -> float:
        return self.context.task.score(self.labels, outputs)


@pytest.mark.parametrize("method", ["non_adaptive", "adaptive", "residual", "intermixed"])
def test_towers_that_complement_each_other_are_chosen(method: str) -> None:
    found = Growing(StandIn(), EnsembleSettings(method, towers=2)).grown()  # type: ignore[arg-type]
    assert found.numbers == [0, 2]
    assert found.score == 1.0
    sums = summed([one.outputs for one in found.towers], found.shares)
    assert StandIn().score(sums) == 1.0


@pytest.mark.parametrize("method", ["adaptive", "residual"])
def test_a_tower_that_diverges_is_left_out(method: str) -> None:
    towers = StandIn(diverging=[0])
    found = Growing(towers, EnsembleSettings(method, towers=2)).grown()  # type: ignore[arg-type]
    assert found.numbers == [1, 2]
    assert towers.infeasible == {0: "the loss is not finite"}
    with pytest.raises(WorkError, match="no ensemble: the loss is not finite"):
        Growing(StandIn(diverging=range(4)), EnsembleSettings(method)).grown()  # type: ignore[arg-type]


def judged(candidate: Candidate) -> float:
    return 0.5 + candidate.number / 100


def test_a_residual_ensemble_of_a_run_is_shipped(
    make_recipe: Make, table_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = itertools.count()  # whatever is added is better
    monkeypatch.setattr("edgenas.run.ensemble.towers.Towers.score", lambda *_: next(scores) / 1000)
    text = """
    search: {trials: 4, algorithm: random}
    training: {epochs: 1, max_steps: 2, batch_size: 32}
    export: {accuracy_drop: 1}
    """
    recipe = make_recipe(text, table=table_path, latency_ms=50.0)
    evaluator: Any = lambda: judged  # noqa: E731
    folder = RunFolder(
        run(recipe, output=tmp_path / "run", ship=False, quiet=True, scheduler=InProcess, evaluator=evaluator).run
    )
    command = [
        "ensemble",
        str(folder.path),
        "--method",
        "residual",
        "--pool",
        "2",
        "--budget",
        "latency_ms=60",
        "--json",
    ]
    answer = CliRunner().invoke(app, command, catch_exceptions=False)
    found = json.loads(answer.stdout)
    assert found["trials"][0] == 3
    assert found["shipped"]["measured"]["latency_ms"] <= 60.0
    assert json.loads(Path(found["bundle"], "metrics.json").read_text())["budget"] == {"latency_ms": 60.0}
    kept = folder.path / "ensembles" / "residual-2-average-latency_ms-60" / "ensemble.json"
    assert json.loads(kept.read_text()) == found


def test_trials_that_do_not_fit_together_are_told(make_recipe: Make, table_path: Path, tmp_path: Path) -> None:
    recipe = make_recipe("search: {trials: 2, algorithm: random}", table=table_path)
    evaluator: Any = lambda: judged  # noqa: E731
    run(recipe, output=tmp_path / "run", ship=False, quiet=True, scheduler=InProcess, evaluator=evaluator)
    with pytest.raises(WorkError, match="0 of 2 trials fit 500 times into the budget"):
        CliRunner().invoke(app, ["ensemble", str(tmp_path / "run"), "--towers", "500"], catch_exceptions=False)
    for budget, error, words in (
        ("latency_ms=1e-6", WorkError, r"latency_ms .* each, the least is .*; take fewer towers, give the ensemble"),
        ("latency_ms=1,2", InputError, "expected one limit for the ensemble"),
        ("speed=1", InputError, r"--budget 'speed=1': expected COST=LIMIT"),
    ):
        with pytest.raises(error, match=words):
            CliRunner().invoke(app, ["ensemble", str(tmp_path / "run"), "--budget", budget], catch_exceptions=False)
