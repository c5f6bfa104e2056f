"""Studies of a user's own function: alone, shared by several, and what happens when it fails."""

import threading
from pathlib import Path

import pytest

import edgenas
from edgenas.spaces.errors import InputError, WorkError
from edgenas.study.desk import Desk, Silence
from edgenas.study.store import open_study

SPACE = {"x": [0, 1, 2, 3, 4, 5], "y": ["a", "b"]}


def squared(values):
    return (values["x"] - 3) ** 2 + (values["y"] == "a")


def test_the_least_and_the_greatest_are_found():
    assert edgenas.minimize(squared, SPACE, trials=12).values == {"x": 3, "y": "b"}
    greatest = edgenas.minimize(squared, SPACE, trials=100, maximize=True, algorithm="random")
    assert (greatest.value, greatest.trials) == (10.0, 12)


def test_one_worker_gives_the_same_study_for_the_same_seed_and_goes_on_with_it(tmp_path: Path):
    for name in ("a.db", "b.db"):
        edgenas.minimize(squared, SPACE, trials=8, seed=3, study=tmp_path / name)
    first, second = (
        [(t.number, t.choices, t.seed, t.reward) for t in open_study(tmp_path / name).trials]
        for name in ("a.db", "b.db")
    )
    assert len(first) == 8
    assert first == second
    again = edgenas.minimize(lambda values: 1 / 0, SPACE, trials=8, seed=3, study=tmp_path / "a.db")
    assert again.trials == 8


def test_failures_are_kept_and_passing_ones_tried_again(tmp_path: Path):
    calls: list[int] = []

    def fragile(values):
        calls.append(values["x"])
        if values["x"] == 1:
            raise ValueError("does not fit")
        if values["x"] == 2:
            raise ConnectionResetError("peer")
        return float("nan") if values["x"] == 3 else 0.5

    found = edgenas.minimize(fragile, {"x": [0, 1, 2, 3], "z": [0, 1]}, trials=8, study=tmp_path / "s.db")
    assert (found.trials, found.failed) == (8, 6)
    assert {x: calls.count(x) for x in range(4)} == {0: 2, 1: 2, 2: 6, 3: 2}
    errors = {trial.error for trial in open_study(tmp_path / "s.db").trials if trial.error}
    assert errors == {"ValueError: does not fit", "ConnectionResetError: peer", "the value is nan"}
    with pytest.raises(WorkError, match=r"none of 2 trials has a value; the last reason: ValueError"):
        edgenas.minimize(lambda values: int("no number"), {"x": [0, 1]}, trials=2)


def test_several_share_a_study(tmp_path: Path):
    results = []

    def work(name: str) -> None:
        results.append(edgenas.minimize(squared, SPACE, trials=12, study=str(tmp_path / "s.db"), worker=name))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trials = open_study(tmp_path / "s.db").trials
    assert [trial.state for trial in trials] == ["complete"] * 12
    assert len({trial.architecture for trial in trials}) == 12
    assert {result.value for result in results} == {0.0}


def test_the_life_of_a_trial_by_hand(tmp_path: Path):
    with edgenas.Tuning(SPACE, study=tmp_path / "s.db", trials=3, worker="a", algorithm="random") as tuning:
        first, second = tuning.suggest(), tuning.suggest()
        assert first is not None
        assert second is not None
        assert tuning.report(first, 2)
        tuning.give_back(second)
        with pytest.raises(InputError, match="finite number"):
            tuning.report(second, float("inf"))
        again = tuning.suggest()
        assert again == second
        assert tuning.attempts(again) == 2
    with edgenas.Tuning(SPACE, study=tmp_path / "s.db", trials=3, worker="b", algorithm="random") as tuning:
        back = tuning.suggest()  # what a left behind
        assert back == second
        assert tuning.fail(back, "does not fit")
        assert tuning.result().value == 2.0


def test_a_silent_workers_trial_is_taken_and_its_late_result_not_used(tmp_path: Path):
    settings = {"study": tmp_path / "s.db", "trials": 1, "algorithm": "random", "grace_seconds": 0.4}
    dead = edgenas.Tuning(SPACE, worker="dead", beat_seconds=0.1, **settings)
    lost = dead.suggest()
    assert lost is not None
    dead._desk._stop.set()  # it hangs
    with edgenas.Tuning(SPACE, worker="alive", beat_seconds=0.1, **settings) as alive:
        taken = alive.suggest()
        assert taken == lost
        assert not dead.report(lost, 1.0)
        assert alive.report(taken, 0.25)
        assert alive.suggest() is None
        assert alive.result().value == 0.25
    dead.close()


def test_a_live_worker_keeps_its_trial(tmp_path: Path):
    settings = {"study": tmp_path / "s.db", "trials": 1, "algorithm": "random"}
    with edgenas.Tuning(SPACE, worker="slow", beat_seconds=0.1, grace_seconds=3.0, **settings) as slow:
        held = slow.suggest()
        assert held is not None
        with edgenas.Tuning(SPACE, worker="keen", beat_seconds=0.1, grace_seconds=3.0, **settings) as keen:
            for _ in range(3):
                assert keen.suggest(wait=False) is None
        assert slow.report(held, 1.0)


def test_silence_is_counted_by_the_listeners_own_clock():
    silence = Silence(10.0)
    assert silence.longer({1: "x", 2: "x"}, at=0.0) == []
    assert silence.longer({1: "x", 2: "y"}, at=9.0) == []
    assert silence.longer({1: "x", 2: "y"}, at=11.0) == [1]
    assert silence.longer({2: "y"}, at=20.0) == [2]


def test_another_study_is_refused(tmp_path: Path):
    edgenas.minimize(squared, SPACE, trials=1, study=tmp_path / "s.db")
    with pytest.raises(InputError, match="is the study of another seed: 0 there, 1 here"):
        edgenas.Tuning(SPACE, study=tmp_path / "s.db", seed=1)
    with pytest.raises(InputError, match="is the study of another space"):
        edgenas.Tuning({"x": [1, 2]}, study=tmp_path / "s.db")


@pytest.mark.parametrize("space", [{}, {"x": [1]}, {"x": "ab"}, {"x": [1, "1"]}, {1: [1, 2]}])
def test_spaces_that_are_none_are_refused(space):
    with pytest.raises(InputError, match=r"a space is a mapping|setting 'x'"):
        edgenas.minimize(squared, space)


def test_grace_is_longer_than_a_beat(tmp_path: Path):
    edgenas.minimize(squared, SPACE, trials=1, study=tmp_path / "s.db")
    with pytest.raises(WorkError, match="expected at least twice"):
        Desk(open_study(tmp_path / "s.db"), "a", beat_seconds=10, grace_seconds=5)
