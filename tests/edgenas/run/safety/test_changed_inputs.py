"""A run goes on with the space and the data that it began with, wherever they are moved."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgenas.recipe.recipe import Recipe
from edgenas.run.fingerprints import data_fingerprint, space_fingerprint
from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import export_trial
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.search_space import SearchSpace
from tests.edgenas.run.safety.searching import THREE, Make, complete, few_images, searched


def test_a_space_that_changed_is_refused_with_both_fingerprints(
    make_recipe: Make, table_path: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(THREE, table=table_path)
    result = searched(recipe)
    before = json.loads((result.run / "inputs.json").read_text())["space"]["fingerprint"]
    text = (tmp_path / "space.yaml").read_text()
    (tmp_path / "space.yaml").write_text(text.replace("kernel: [3, 5]", "kernel: [5, 3]"))
    for action in (lambda: searched(recipe, resume=True), lambda: export_trial(result.run)):
        with pytest.raises(
            InputError, match=rf"the space changed .*fingerprint {before} then, [0-9a-f]+ now"
        ) as caught:
            action()
        assert "3/5 then, 5/3 now" in str(caught.value)
    (tmp_path / "space.yaml").write_text("# a remark\n" + text.replace("name: tiny_test", "name:    tiny_test"))
    assert searched(recipe, resume=True).trials == 3


def test_an_equal_space_has_an_equal_fingerprint_and_another_one_has_not(make_recipe: Make, tmp_path: Path) -> None:
    make_recipe()
    path = tmp_path / "space.yaml"
    text = path.read_text()

    def fingerprint(new: str) -> str:
        path.write_text(new)
        return str(space_fingerprint(SearchSpace.load(path))["fingerprint"])

    first = fingerprint(text)
    assert fingerprint(text.replace("name: tiny_test", "name: other")) == first
    others = {
        fingerprint(text.replace(old, new))
        for old, new in (
            ("filters: [8, 16]", "filters: [16, 8]"),
            ("filters: [8, 16]", "filters: [8, 24]"),
            ("stride: 2}", "stride: 1}"),
            ("classes: 10", "classes: 11"),
            ("expansion: [1, 2]", "expansion: [1, 3]"),
            ("depth: [1, 2]", "depth: [1, 2, 3]"),
        )
    }
    assert len(others | {first}) == 7


def test_data_that_changed_are_refused_and_what_changed_is_named(
    make_recipe: Make, table_path: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(THREE, table=table_path)
    result = searched(recipe)
    with np.load(str(recipe.data.path)) as arrays:
        known = dict(arrays)
    labels = known["y_test"].copy()
    labels[0] = (labels[0] + 1) % 10
    np.savez(str(recipe.data.path), **(known | {"y_test": labels}))
    with pytest.raises(InputError, match=r"the data changed .*fingerprint \w+ then, \w+ now \(test labels: other cont"):
        searched(recipe, resume=True)
    np.savez(str(recipe.data.path), **(known | {"x_train": known["x_train"][1:], "y_train": known["y_train"][1:]}))
    with pytest.raises(InputError, match=r"training images: 60 x 28 x 28 x 1 then, 59 x 28 x 28 x 1 now"):
        export_trial(result.run)
    np.savez_compressed(str(recipe.data.path), **known)  # another file of the same content
    assert searched(recipe, resume=True).trials == 3


def test_an_old_run_without_fingerprints_goes_on_with_a_remark(
    make_recipe: Make, table_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = make_recipe(THREE, table=table_path)
    result = searched(recipe)
    (result.run / "inputs.json").unlink()
    (result.run / "recipe.yaml").write_text(recipe.to_yaml())
    assert searched(recipe, resume=True, quiet=False).trials == 3
    assert capsys.readouterr().err.count("kept no fingerprints") == 1


def test_damaged_inputs_are_named_and_nothing_is_deleted(make_recipe: Make, table_path: Path) -> None:
    recipe = make_recipe(THREE, table=table_path)
    result = searched(recipe)
    for text in ("", "{", "[]", '{"format": 1}', '{"format": 1, "space": 3, "data": {}, "paths": {}}'):
        (result.run / "inputs.json").write_text(text)
        with pytest.raises(InputError, match=r"inputs\.json: damaged"):
            searched(recipe, resume=True)
    assert complete(result.run) == 3


def test_a_project_that_was_moved_or_copied_goes_on(make_recipe: Make, table_path: Path, tmp_path: Path) -> None:
    make_recipe(THREE, table=table_path)
    here = tmp_path / "here"
    here.mkdir()
    few_images(here)
    shutil.copy(tmp_path / "space.yaml", here)
    shutil.copy(table_path, here / "table.csv")
    text = (tmp_path / "recipe.yaml").read_text()
    text = text.replace("{name: fashion_mnist}", "{path: few.npz}").replace(str(table_path), "table.csv")
    (here / "recipe.yaml").write_text(text.replace(str(tmp_path / "runs"), str(here / "runs")))
    result = searched(Recipe.load(here / "recipe.yaml"), output=here / "runs" / "demo")
    there = tmp_path / "there"
    here.rename(there)
    moved = searched(Recipe.load(there / "recipe.yaml"), output=there / "runs" / "demo", resume=True)
    assert moved.trials == result.trials
    assert RunFolder(moved.run).read_recipe().data.path == str(there / "few.npz")
    shutil.copytree(there, tmp_path / "copy")
    shutil.rmtree(there)
    from edgenas.run.pipeline import search_recipe

    assert search_recipe(tmp_path / "copy" / "runs" / "demo" / "recipe.yaml", resume=True).run.is_relative_to(
        tmp_path / "copy"
    )
    assert search_recipe(tmp_path / "copy" / "runs" / "demo", resume=True).run.is_relative_to(tmp_path / "copy")
    with pytest.raises(InputError, match="it is a folder"):  # of runs, and no run
        search_recipe(tmp_path / "copy" / "runs", resume=True)
    alone = tmp_path / "far" / "away" / "demo"
    shutil.copytree(tmp_path / "copy" / "runs" / "demo", alone)
    with pytest.raises(InputError, match="no such file"):  # its data were not copied, and are gone from where they were
        export_trial(alone)


def test_a_run_folder_that_was_moved_without_its_data_finds_them_where_they_were(
    make_recipe: Make, table_path: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(THREE, table=table_path)
    result = searched(recipe)
    alone = tmp_path / "far" / "away" / "demo"
    alone.parent.mkdir(parents=True)
    result.run.rename(alone)
    assert RunFolder(alone).read_recipe().data.path == recipe.data.path


def test_a_data_fingerprint_is_of_content() -> None:
    from edgenas.data.dataset import Dataset

    images, labels = np.zeros((4, 8, 8, 1), np.uint8), np.arange(4) % 2
    first = Dataset("a", images, labels, images, labels, ("x", "y"), "none", "here")
    second = Dataset("b", images.copy(), labels, images, labels, ("x", "y"), "other", "there")
    assert data_fingerprint(first, first.class_names) == data_fingerprint(second, second.class_names)
    third = Dataset("a", images, labels, images, labels, ("x", "z"), "none", "here")
    assert (
        data_fingerprint(third, third.class_names)["fingerprint"]
        != data_fingerprint(first, first.class_names)["fingerprint"]
    )


@pytest.mark.parametrize(
    ("name", "fingerprint"),
    [("tiny_edge", "1e9a88d99eb3e114"), ("mobilenet_v2", "a74ad933934342aa"), ("autoseg", "613e7393041f2970")],
)
def test_spaces_of_the_catalog_are_those_of_earlier_versions(name: str, fingerprint: str) -> None:
    """Runs that were begun before an update go on after it: another fingerprint refuses all of them."""
    assert space_fingerprint(SearchSpace.load(name))["fingerprint"] == fingerprint
