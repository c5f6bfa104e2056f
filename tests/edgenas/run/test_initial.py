"""Where the training of what is shipped begins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgenas.export.keras.builder import build_keras
from edgenas.recipe.recipe import Recipe
from edgenas.run.context import RunContext
from edgenas.run.folder import RunFolder
from edgenas.run.initial import beginning, check_initial
from edgenas.run.progress import Progress
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import chain
from edgenas.training.initial import weights_by_name

Make = Callable[..., Recipe]
SMALL = chain("small", (28, 28, 1), {"stem": ConvBnAct(8, 3, 2), "head": ClassifierHead(10)})
WIDER = chain("wider", (28, 28, 1), {"stem": ConvBnAct(16, 3, 2), "head": ClassifierHead(10)})
OTHER = chain("other", (28, 28, 1), {"first": ConvBnAct(8, 3, 2), "last": ClassifierHead(10)})


def context_of(make_recipe: Make, tmp_path: Path, initial: str) -> RunContext:
    recipe = make_recipe(f"training: {{initial: {initial}}}\n")
    return RunContext(recipe, RunFolder(tmp_path / "run"), Progress(quiet=True))


@pytest.mark.parametrize("initial", ["inherited", "scratch"])
def test_without_a_supernet_it_begins_at_random(make_recipe: Make, tmp_path: Path, initial: str):
    context = context_of(make_recipe, tmp_path, initial)
    check_initial(context)
    assert beginning(context, 0) is None


def test_a_keras_file_gives_what_fits_and_the_rest_is_told(make_recipe: Make, tmp_path: Path):
    model = build_keras(SMALL, seed=3)
    model.save(tmp_path / "mine.keras")
    context = context_of(make_recipe, tmp_path, "mine.keras")
    check_initial(context)
    found = beginning(context, 0)
    assert found is not None
    expected = weights_by_name(model)
    assert set(found.arrays) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found.arrays[name], array)
    same = found.fit(SMALL)
    assert (set(same.taken), same.missing, same.misfits) == (set(expected), (), ())
    wider = found.fit(WIDER)
    assert "head.dense/bias" in wider.taken or len(wider.taken) == 1
    assert len(wider.misfits) == len(expected) - len(wider.taken)
    assert "of another shape" in found.words(wider)
    with pytest.raises(InputError, match=r"nothing of .*mine\.keras fits this network"):
        found.fit(OTHER)
    check_initial(context, [OTHER, WIDER])  # some of the networks have its names
    with pytest.raises(InputError, match=r"nothing of .*mine\.keras fits the networks of this run: it holds stem"):
        check_initial(context, [OTHER])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.keras", "no such file"),
        ("folder", "expected inherited, scratch, short, a .keras file"),
        ("bundle", "holds no float weights, and the run that it is from is not around it"),
    ],
)
def test_what_holds_no_weights_is_refused_before_anything_runs(
    make_recipe: Make, tmp_path: Path, name: str, message: str
):
    (tmp_path / "folder").mkdir()
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "architecture.yaml").write_text("")
    with pytest.raises(InputError, match=message):
        check_initial(context_of(make_recipe, tmp_path, name))


def test_a_damaged_keras_file_is_told(make_recipe: Make, tmp_path: Path):
    (tmp_path / "mine.keras").write_text("nothing")
    with pytest.raises(InputError, match=r"mine\.keras: is no \.keras archive, or cut off"):
        beginning(context_of(make_recipe, tmp_path, "mine.keras"), 0)
