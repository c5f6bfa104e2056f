"""Who candidates and what is shipped learn from, and what is said when that cannot be."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgenas.export._tensorflow import keras
from edgenas.recipe.recipe import Recipe
from edgenas.report import build_report
from edgenas.run.context import RunContext
from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import run
from edgenas.run.progress import Progress
from edgenas.run.teacher import check_distillation, final_losses
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import chain
from edgenas.study.scheduler import InProcess

Make = Callable[..., Recipe]
SMALL = chain("small", (28, 28, 1), {"stem": ConvBnAct(8, 3, 2), "head": ClassifierHead(10)})


def context_of(recipe: Recipe, tmp_path: Path) -> RunContext:
    (tmp_path / "run").mkdir()
    return RunContext(recipe, RunFolder(tmp_path / "run"), Progress(quiet=True))


def save_model(path: Path, *, shape: tuple[int, ...] = (28, 28, 1), classes: int = 10, last: str | None = None) -> None:
    layers = keras().layers
    flat = [keras().Input(shape), layers.Flatten(), layers.Dense(classes, activation=last)]
    keras().Sequential(flat).save(path)


@pytest.mark.parametrize(
    ("distillation", "message"),
    [
        ("{teacher: 40}", "teacher 40: there are 30 trials, numbered from 0"),
        ("{teacher: -1}", "trials are numbered from 0, found -1"),
        ("{teacher: worst}", r"expected best, supernet, a trial's number or a \.keras file, found 'worst'"),
        ("{teacher: supernet}", "this run trains no supernet"),
        ("{weight: 1.5}", "less than or equal to 1, found 1.5"),
        ("{loss: l1}", "input should be 'cross_entropy', 'mse_softmax' or 'mse_logits'"),
    ],
)
def test_a_teacher_that_cannot_be_is_refused_with_the_recipe(
    make_recipe: Make, distillation: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make_recipe(f"distillation: {distillation}")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, r"mine\.keras: no such file"),
        ({"shape": (32, 32, 1)}, r"takes \(32, 32, 1\), the networks of this run \(28, 28, 1\)"),
        ({"classes": 12}, r"gives \(12,\), the networks of this run \(10,\)"),
        ({"last": "softmax"}, "ends in a softmax, expected logits"),
    ],
)
def test_a_file_that_cannot_teach_is_told_before_anything_runs(
    make_recipe: Make, tmp_path: Path, model: dict | None, message: str
) -> None:
    if model is not None:
        save_model(tmp_path / "mine.keras", **model)
    context = context_of(make_recipe("distillation: {teacher: mine.keras}"), tmp_path)
    with pytest.raises(InputError, match=message):
        check_distillation(context, SMALL)


def test_a_damaged_file_is_told(make_recipe: Make, tmp_path: Path) -> None:
    (tmp_path / "mine.keras").write_text("nothing")
    with pytest.raises(InputError, match=r"is no \.keras archive, or cut off"):
        check_distillation(context_of(make_recipe("distillation: {teacher: mine.keras}"), tmp_path), SMALL)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse_softmax", "mse_logits"])
def test_the_long_training_learns_from_a_file(make_recipe: Make, tmp_path: Path, loss: str) -> None:
    save_model(tmp_path / "mine.keras")
    recipe = make_recipe(f"distillation: {{teacher: mine.keras, loss: {loss}, weight: 0.25, ramp: steps}}")
    context = context_of(recipe, tmp_path)
    check_distillation(context, SMALL)
    losses = final_losses(context, 0, SMALL, 0.1)
    assert losses is not None
    labels, distance = losses
    assert callable(labels.weight)
    assert callable(distance.weight)
    assert (labels.weight(1.0), distance.weight(1.0), distance.weight(0.5)) == (0.75, 0.25, 0.125)


@pytest.mark.slow
def test_candidates_learn_from_the_best_trial_so_far(make_recipe: Make, table_path: Path, tmp_path: Path) -> None:
    text = """
    search: {trials: 3, algorithm: random, training: {epochs: 1, images: 64, batch_size: 32}}
    distillation: {loss: mse_logits, weight: 0.5, ramp: trials}
    """
    recipe = make_recipe(text, table=table_path)
    folder = RunFolder(run(recipe, output=tmp_path / "run", ship=False, quiet=True, scheduler=InProcess).run)
    learned = [json.loads((folder.trial_path(n) / "learned.json").read_text()) for n in range(3)]
    assert ["teacher" in one for one in learned] == [False, True, True]
    assert all(np.isfinite(one["loss"]) and one["sources"] == [] for one in learned)
    page = build_report(folder.path).read_text(encoding="utf-8")
    assert "Distillation: 2 of 3 candidates learned from the best trial so far" in page
    assert final_losses(RunContext(recipe, folder, Progress(quiet=True)), 0, SMALL, 0.1) is None  # best: short only
