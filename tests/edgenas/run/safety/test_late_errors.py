"""What is wrong is found before the first trial; what is found later removes nothing that is finished."""

from pathlib import Path

import numpy as np
import pytest

from edgenas.spaces.errors import InputError
from tests.edgenas.run.safety.searching import THREE, Make, complete, searched


def test_a_late_input_error_keeps_finished_trials_and_says_how_to_go_on(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*arguments: object) -> None:
        raise InputError("something that nobody thought of")

    recipe = make_recipe(THREE, table=table_path)
    folder = Path(recipe.output) / recipe.name
    with monkeypatch.context() as patched:
        patched.setattr("edgenas.run.pipeline.ship_best", wrong)
        with pytest.raises(InputError, match=r"nobody thought of\. Everything finished so far is kept in .*--resume"):
            searched(recipe, ship=True)
    assert complete(folder) == 3
    assert searched(recipe, resume=True).trials == 3


def test_a_fresh_folder_without_work_is_removed_but_nothing_that_the_user_put_there(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe(THREE, table=table_path, latency_ms=0.001)
    folder = Path(recipe.output) / recipe.name
    with pytest.raises(InputError, match="cannot be reached"):
        searched(recipe)
    assert not folder.exists()

    def puts_a_file_there(*arguments: object) -> None:
        (folder / "notes.txt").write_text("mine")
        raise InputError("wrong")

    monkeypatch.setattr("edgenas.run.pipeline.profile", puts_a_file_there)
    with pytest.raises(InputError, match="wrong"):
        searched(recipe)
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("label", ["li\nne", "tab\there", "\x07bell", "line\u2028end", " ", ""])
def test_labels_that_no_bundle_takes_are_found_before_the_first_trial(
    make_recipe: Make, table_path: Path, tmp_path: Path, label: str
) -> None:
    recipe = make_recipe(THREE, table=table_path)
    path = Path(str(recipe.data.path))
    names = [*map(str, range(9)), label]
    with np.load(path) as arrays:
        np.savez(path, **dict(arrays), class_names=np.array(names))
    with pytest.raises(InputError, match=r"rename the class|a label must be"):
        searched(recipe)
    assert not (Path(recipe.output) / recipe.name).exists()


def test_a_label_that_cannot_be_encoded_is_named() -> None:
    from edgenas.export.bundle.contents import label_problem

    assert "UTF-8" in str(label_problem(["half\udc80"]))
    assert label_problem(["100% #1", "a:b;c", "Grünfink, männlich", "two words", "猫"]) is None


def test_nothing_to_prune_is_found_before_the_first_trial(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe(THREE + "export: {quantization: pruned}\n", table=table_path)
    monkeypatch.setattr("edgenas.export.quantization.compression._LEAST_WEIGHTS", 10**9)
    with pytest.raises(InputError, match=r"export\.quantization: 'pruned' finds nothing in space 'tiny_test'"):
        searched(recipe)
    assert not (Path(recipe.output) / recipe.name).exists()


def test_too_few_images_for_a_validation_part_are_found_before_the_first_trial(
    make_recipe: Make, tmp_path: Path, table_path: Path
) -> None:
    recipe = make_recipe(THREE, table=table_path)
    with np.load(str(recipe.data.path)) as arrays:
        kept = {"x_train": arrays["x_train"][:10], "y_train": np.arange(10)}
        np.savez(str(recipe.data.path), **(dict(arrays) | kept))
    with pytest.raises(InputError, match="too few images for a validation part"):
        searched(recipe)
