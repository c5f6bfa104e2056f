"""Damaged studies: found on opening, told in one line with what can be saved, never changed, never a traceback."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgenas.spaces.errors import InputError
from edgenas.spaces.space.decision import Decision
from edgenas.study.damage import back_up, backup_path, file_problem
from edgenas.study.study import Study, StudyDamagedError, Trial

DECISIONS = (Decision("kernel", ("3", "5", "7")), Decision("filters", ("16", "24")))
TRIALS = 13


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with complete, failed, stopped and running trials."""
    path = tmp_path_factory.mktemp("whole") / "study.db"
    study = Study.create(path, {"space": "tiny", "seed": 3, "limits": {"latency_ms": 0.5}})
    for number in range(TRIALS):
        choices = (number % 3, number % 2)
        predicted = {"latency_ms": 0.1 + number / 100, "macs": 1_000_000 + number}
        study.start("".join(map(str, choices)), choices, DECISIONS, seed=number, predicted=predicted)
        if number % 4 == 2:
            study.fail(number, error="the loss became NaN", seconds=0.5)
        elif number % 4 == 3:
            study.stop(number, curve=[0.1, 0.2], expected_reward=0.3, error="stopped", seconds=0.5)
        elif number < TRIALS - 1:
            study.complete(
                number, metric="top1", metrics={"top1": 0.5 + number / 100}, reward=0.4, seconds=1.0, curve=[0.25, 0.5]
            )
    study.record_measured(0, {"latency_ms": 0.125})
    study.close()
    return path


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(whole, tmp_path / "study.db"))


def read(path: Path) -> tuple[Trial, ...]:
    study = Study.open(path)
    try:
        return study.trials
    finally:
        study.close()


def read_or_refusal(path: Path) -> tuple[Trial, ...] | str:
    try:
        return read(path)
    except InputError as error:
        return str(error)


def flip_bytes(content: bytearray, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 9)):
        content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))


def flip_used_bytes(content: bytearray, rng: np.random.Generator) -> None:
    used = np.flatnonzero(np.frombuffer(bytes(content), np.uint8))
    for place in rng.choice(used, 3):
        content[place] ^= 1 << int(rng.integers(8))


def truncate(content: bytearray, rng: np.random.Generator) -> None:
    del content[int(rng.integers(len(content))) :]


def zero_a_page(content: bytearray, rng: np.random.Generator) -> None:
    start = 4096 * int(rng.integers(len(content) // 4096))
    content[start : start + 4096] = bytes(4096)


def overwrite(content: bytearray, rng: np.random.Generator) -> None:
    start, length = int(rng.integers(len(content))), int(rng.integers(1, 2000))
    content[start : start + length] = rng.bytes(len(content[start : start + length]))


def swap_pages(content: bytearray, rng: np.random.Generator) -> None:
    first, second = (4096 * int(page) for page in rng.choice(len(content) // 4096, 2, replace=False))
    content[first : first + 4096], content[second : second + 4096] = (
        content[second : second + 4096],
        content[first : first + 4096],
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("damage", [flip_bytes, flip_used_bytes, truncate, zero_a_page, overwrite, swap_pages])
def test_a_damaged_file_is_refused_in_one_line_or_holds_what_it_held(
    whole: Path, copy: Path, damage: Callable[[bytearray, np.random.Generator], None], seed: int
) -> None:
    expected = read(whole)
    for attempt in range(4):
        content = bytearray(whole.read_bytes())
        damage(content, np.random.default_rng([seed, attempt]))
        copy.write_bytes(content)
        found = read_or_refusal(copy)
        if isinstance(found, str):
            assert found.startswith(f"{copy}: the study is damaged")
            assert found.isprintable()
            assert copy.read_bytes() == content
        else:
            assert found == expected


SWAPS = [
    "UPDATE trial_user_attributes SET value_json = '0.99' WHERE key = 'top1' AND trial_id = 1",
    "UPDATE trial_user_attributes SET value_json = '1.5' WHERE key = 'top1' AND trial_id = 2",
    "UPDATE trial_user_attributes SET value_json = 'true' WHERE key = 'top1' AND trial_id = 2",
    "UPDATE trial_user_attributes SET value_json = 'NaN' WHERE key = 'top1' AND trial_id = 2",
    "UPDATE trial_user_attributes SET value_json = '[0, 1' WHERE key = 'choices' AND trial_id = 2",
    "UPDATE trial_user_attributes SET value_json = '[0, 1]' WHERE key = 'choices' AND trial_id = 1",
    "UPDATE trial_user_attributes SET value_json = '\"two\"' WHERE key = 'seed'",
    "UPDATE trial_user_attributes SET value_json = '{\"latency_ms\": \"fast\"}' WHERE key = 'predicted'",
    "UPDATE trial_user_attributes SET value_json = NULL WHERE key = 'architecture' AND trial_id = 4",
    "UPDATE trial_user_attributes SET value_json = x'ff00' WHERE key = 'architecture' AND trial_id = 4",
    "UPDATE trial_user_attributes SET value_json = (SELECT value_json FROM trial_user_attributes WHERE key = "
    "'architecture' AND trial_id = 2) WHERE key = 'architecture' AND trial_id = 1",
    "DELETE FROM trial_user_attributes WHERE key = 'predicted'",
    "DELETE FROM trial_user_attributes WHERE key = 'top1' AND trial_id = 1",
    "UPDATE trial_values SET value = 9.0 WHERE trial_id = 1",
    "UPDATE trials SET state = 'RUNNING' WHERE trial_id = 1",
    "UPDATE trials SET state = 'WAITING' WHERE trial_id = 1",
    "UPDATE trial_values SET value = 'x' WHERE trial_id = 1",
    "UPDATE trial_values SET value = NULL WHERE trial_id = 1",
    "UPDATE trial_values SET value_type = 'WHATEVER' WHERE trial_id = 1",
    "DELETE FROM trial_values WHERE trial_id = 1",
    "UPDATE trial_params SET param_value = 7 WHERE trial_id = 1",
    "UPDATE trial_params SET param_value = 1 - param_value WHERE param_name = 'filters' AND trial_id = 1",
    "UPDATE trial_params SET distribution_json = '{}' WHERE trial_id = 1",
    "DELETE FROM trial_params WHERE trial_id = 3",
    "UPDATE trials SET state = 'COMPLETE' WHERE number = 2",
    "UPDATE trials SET state = 'FAIL' WHERE number = 0",
    "UPDATE trials SET state = 'DONE' WHERE number = 0",
    "UPDATE trials SET number = 70 WHERE number = 0",
    "UPDATE trials SET number = 1 WHERE number = 0",
    "UPDATE trials SET number = NULL WHERE number = 0",
    "UPDATE trials SET datetime_start = 'yesterday' WHERE number = 0",
    "DELETE FROM trials WHERE number = 4",
    "UPDATE studies SET study_name = 'other'",
    "UPDATE study_directions SET direction = 'MINIMIZE'",
    "DELETE FROM study_directions",
    "UPDATE study_user_attributes SET value_json = '{\"latency_ms\": -1}' WHERE key = 'limits'",
    "UPDATE study_user_attributes SET value_json = '{\"latency_ms\": 0.6}' WHERE key = 'limits'",
    "UPDATE study_user_attributes SET value_json = '7' WHERE key = 'measured:0'",
    "DROP TABLE trial_values",
    "ALTER TABLE trials RENAME COLUMN state TO condition",
    "DELETE FROM version_info",
    "DELETE FROM alembic_version",
    "UPDATE alembic_version SET version_num = 'v9'",
]


@pytest.mark.parametrize("statement", SWAPS)
def test_changed_values_are_refused_in_one_line(whole: Path, copy: Path, statement: str) -> None:
    database = sqlite3.connect(copy)
    database.execute(statement)
    database.commit()
    database.close()
    found = read_or_refusal(copy)
    if isinstance(found, str):
        assert found.startswith(f"{copy}: ")
        assert found.isprintable()
    else:  # what Optuna writes again by itself
        assert found == read(whole)
        assert "DELETE FROM version_info" in statement or "alembic" in statement


def test_a_study_without_checksums_is_read_and_its_ranges_checked(copy: Path) -> None:
    database = sqlite3.connect(copy)
    database.execute("DELETE FROM trial_user_attributes WHERE key LIKE 'checksum%'")
    database.execute("DELETE FROM study_user_attributes WHERE key LIKE 'checksum%'")
    database.commit()
    assert len(read(copy)) == TRIALS
    database.execute("UPDATE trial_user_attributes SET value_json = '-3' WHERE key = 'top1'")
    database.commit()
    database.close()
    with pytest.raises(StudyDamagedError, match="trial 0: its top1 cannot be -3"):
        read(copy)


def test_what_others_add_to_a_study_is_theirs(copy: Path) -> None:
    import optuna

    study = optuna.load_study(study_name="edgenas", storage=f"sqlite:///{copy}")
    study.set_user_attr("note", "of a colleague")
    study._storage.set_trial_user_attr(study.trials[-1]._trial_id, "note", [1, None])
    assert len(read(copy)) == TRIALS


def test_the_refusal_names_what_can_be_read_and_the_backup(copy: Path) -> None:
    back_up(copy)
    database = sqlite3.connect(copy)
    database.execute("UPDATE trials SET state = 'DONE' WHERE number = 0")
    database.commit()
    database.close()
    damaged = copy.read_bytes()
    with pytest.raises(StudyDamagedError) as caught:
        read(copy)
    words = str(caught.value)
    assert f"{TRIALS - 1} of its {TRIALS} trials can still be read" in words
    assert f"{backup_path(copy)} of " in words
    assert f"holds {TRIALS} trials" in words
    assert "--resume" in words
    assert copy.read_bytes() == damaged
    command = words.split("go on from it with: ")[1].split(", then --resume")[0]
    assert os.system(command) == 0
    assert len(read(copy)) == TRIALS


def test_without_a_backup_the_refusal_says_so(copy: Path) -> None:
    copy.write_bytes(bytes(1000))
    (copy.parent / "trials" / "0").mkdir(parents=True)
    (copy.parent / "trials" / "0" / "trial.json").write_text("{}")
    with pytest.raises(StudyDamagedError, match=r"no whole backup beside it \(study.db.bak\); 1 results are in"):
        read(copy)


def test_a_damaged_study_never_replaces_its_backup(copy: Path) -> None:
    study = Study.open(copy)
    study.back_up()
    before = backup_path(copy).read_bytes()
    assert file_problem(backup_path(copy)) is None
    database = sqlite3.connect(copy)
    database.execute("UPDATE trial_values SET value = 9.0 WHERE trial_id = 1")
    database.commit()
    database.close()
    with pytest.raises(StudyDamagedError):
        study.back_up()
    assert backup_path(copy).read_bytes() == before
    assert sorted(path.name for path in copy.parent.iterdir()) == ["study.db", "study.db.bak"]
    study.close()


@pytest.mark.parametrize("name", ["study 100% #1?.db", "a{b}c.db", "ü&x=1.db"])
def test_a_path_may_hold_what_has_a_meaning_in_a_url(tmp_path: Path, name: str) -> None:
    Study.create(tmp_path / name, {"seed": 1}).close()
    study = Study.open(tmp_path / name)
    study.back_up()
    study.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, f"{name}.bak"])
