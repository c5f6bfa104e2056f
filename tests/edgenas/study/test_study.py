"""The study: what is written is read back, by us and by Optuna's own tools."""

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.space.decision import Decision
from edgenas.study.study import STUDY_NAME, Study, Trial

DECISIONS = (Decision("kernel", ("3", "5", "7")), Decision("filters", ("16", "24")))


def start(study: Study, choices: tuple[int, ...] = (2, 0), **changes: object) -> Trial:
    values: dict = {"seed": 7, "predicted": {"latency_ms": 1.25, "macs": 1_000_000}, "files": "trials/{number}"}
    return study.start("20", choices, DECISIONS, **(values | changes))


def test_a_trial_is_read_back_by_another_process_view(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "study.db", {"space": "tiny", "seed": 3})
    assert start(study).state == "running"
    study.complete(0, metric="top1", metrics={"top1": 0.75}, reward=0.7, seconds=2.5)
    again = Study.open(tmp_path / "study.db")
    assert again.facts == {"space": "tiny", "seed": 3}
    assert again.trials == (
        Trial(
            number=0,
            architecture="20",
            choices=(2, 0),
            state="complete",
            seed=7,
            predicted={"latency_ms": 1.25, "macs": 1_000_000},
            top1=0.75,
            reward=0.7,
            seconds=2.5,
            metric="top1",
            metrics={"top1": 0.75},
            files="trials/0",
        ),
    )


def test_optuna_sees_decisions_as_parameters_and_the_reward_as_value(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "study.db")
    start(study)
    study.complete(0, metric="top1", metrics={"top1": 0.75}, reward=0.7, seconds=1)
    (trial,) = optuna.load_study(study_name=STUDY_NAME, storage=f"sqlite:///{tmp_path / 'study.db'}").trials
    assert trial.params == {"kernel": "7", "filters": "16"}
    assert trial.value == 0.7
    assert trial.user_attrs["top1"] == 0.75


def test_failed_trials_keep_their_reason_and_stay_failed(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "study.db")
    start(study)
    assert study.fail(0, error="loss became NaN in epoch 1", seconds=1).error == "loss became NaN in epoch 1"
    with pytest.raises(WorkError, match="trial 0 is failed already"):
        study.complete(0, metric="top1", metrics={"top1": 0.5}, reward=0.5, seconds=1)
    assert study.ranking == ()


def test_ranking_is_by_reward_then_by_number(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "study.db")
    for reward in (0.2, -0.1, 0.9, 0.9):
        study.complete(start(study).number, metric="top1", metrics={"top1": 0.5}, reward=reward, seconds=1)
    start(study)
    assert [trial.number for trial in study.ranking] == [2, 3, 0, 1]


def test_measured_costs_are_added_to_finished_trials(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "study.db")
    start(study)
    study.complete(0, metric="top1", metrics={"top1": 0.5}, reward=0.5, seconds=1)
    study.record_measured(0, {"latency_ms": 1.5})
    study.record_measured(0, {"size_bytes": 40_000})
    assert study.trial(0).measured == {"latency_ms": 1.5, "size_bytes": 40_000}


def test_an_interrupted_trial_counts_its_attempts(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "study.db")
    start(study)
    again = Study.open(tmp_path / "study.db")
    assert [trial.state for trial in again.trials] == ["running"]
    assert again.retry(0).attempts == 2
    assert again.trial(0).seed == 7


def test_results_must_be_finite(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "study.db")
    start(study)
    with pytest.raises(WorkError, match="finite"):
        study.complete(0, metric="top1", metrics={"top1": math.nan}, reward=0.1, seconds=1)


def test_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no study"):
        Study.open(tmp_path / "study.db")
    (tmp_path / "text.db").write_text("not a database, whatever its name says" * 100)
    with pytest.raises(InputError, match=r"text\.db: the study is damaged \(file is not a database\)"):
        Study.open(tmp_path / "text.db")
    Study.create(tmp_path / "study.db").close()
    with pytest.raises(InputError, match="exists already"):
        Study.create(tmp_path / "study.db")
    with pytest.raises(InputError, match="there is no trial 4"):
        Study.open(tmp_path / "study.db").trial(4)


def test_survives_kill_while_writing(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom tests_helper import start\nfrom edgenas.study.study import Study\n"
        "study = Study.create(sys.argv[1])\n"
        "for number in range(10_000):\n"
        "    start(study)\n"
        "    study.complete(number, metric='top1', metrics={'top1': 0.5}, reward=0.5, seconds=1)\n"
        "    print(number, flush=True)\n"
    )
    (tmp_path / "tests_helper.py").write_text(
        "from edgenas.spaces.space.decision import Decision\n"
        "def start(study):\n"
        "    return study.start('0', (0,), (Decision('kernel', ('3', '5')),), seed=0, predicted={})\n"
    )
    (tmp_path / "script.py").write_text(script)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "study.db")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(5)]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    trials = Study.open(tmp_path / "study.db").trials
    complete = [trial.number for trial in trials if trial.state == "complete"]
    assert complete[: len(told)] == told
    assert len(trials) - len(complete) <= 1


@pytest.mark.parametrize("name", ["what?", "a#b", "a{x}b", "100%41", "ü 猫"])
def test_any_folder_name_holds_a_study(tmp_path, name):
    path = tmp_path / name / "study.db"
    Study.create(path, {"seed": 3}).close()
    study = Study.open(path)
    assert study.facts == {"seed": 3}
    study.close()
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert path.stat().st_size
