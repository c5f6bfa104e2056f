"""Damaged files of a run are named and refused; nothing is deleted."""

import shutil
from pathlib import Path

import pytest

from edgenas.run.pipeline import export_trial
from edgenas.spaces.errors import InputError
from edgenas.study.study import StudyDamagedError
from tests.edgenas.run.safety.searching import THREE, Make, complete, searched


def test_a_damaged_study_is_refused_by_everything_that_opens_it(make_recipe: Make, table_path: Path) -> None:
    from edgenas.report import build_report

    recipe = make_recipe(THREE, table=table_path)
    result = searched(recipe)
    assert (result.run / "study.db.bak").is_file()
    content = bytearray((result.run / "study.db").read_bytes())
    content[100:4000] = bytes(3900)
    (result.run / "study.db").write_bytes(content)
    for action in (
        lambda: searched(recipe, resume=True),
        lambda: export_trial(result.run),
        lambda: export_trial(result.run, 1),
        lambda: build_report(result.run),
    ):
        with pytest.raises(StudyDamagedError, match=r"study is damaged.*study\.db\.bak of .* holds 3 trials"):
            action()
    assert (result.run / "study.db").read_bytes() == content
    shutil.copy(result.run / "study.db.bak", result.run / "study.db")
    assert searched(recipe, resume=True).trials == 3


@pytest.mark.parametrize(
    "steps",
    [
        '"search"',
        '{"search": 3}',
        '{"search": {"seconds": "long"}}',
        '{"choose": {"trial": "one"}}',
        '{"choose": {"trial": -1}}',
        '{"choose": {"rejected": []}}',
        '{"export": {"done": true, "trial": 1}}',
    ],
)
def test_a_damaged_state_is_refused_and_deletes_nothing(make_recipe: Make, table_path: Path, steps: str) -> None:
    recipe = make_recipe(THREE, table=table_path)
    result = searched(recipe)
    (result.run / "state.json").write_text(f'{{"format": 1, "steps": {steps}}}')
    with pytest.raises(InputError, match=r"state\.json: not the state of a run.*Delete it and continue with --resume"):
        searched(recipe, resume=True)
    assert complete(result.run) == 3
    (result.run / "state.json").unlink()
    assert searched(recipe, resume=True).trials == 3


def test_a_damaged_table_of_a_run_is_made_again_when_it_is_deleted(make_recipe: Make, table_path: Path) -> None:
    recipe = make_recipe(THREE, table=table_path)
    result = searched(recipe)
    (result.run / "table.csv").write_bytes(b"\x00\xff nothing")
    with pytest.raises(InputError, match=r"It is the run's copy: delete .*table\.csv and continue with --resume"):
        searched(recipe, resume=True)
    (result.run / "table.csv").unlink()
    assert searched(recipe, resume=True).trials == 3
    assert (result.run / "table.csv").read_bytes() == table_path.read_bytes()
