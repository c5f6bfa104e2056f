"""Which weights stay, and which of them a candidate begins with."""

from pathlib import Path

import numpy as np
import pytest

from edgenas.study.keeping import KINDS, Bound, Finished, Keeping, sources
from edgenas.study.trial_weights import FolderWeights, SavedWeights


def finished(*rewards: float, params: float = 10) -> list[Finished]:
    return [Finished(number, (number % 2, number % 3), reward, params) for number, reward in enumerate(rewards)]


def numbers(kept: tuple[Finished, ...]) -> list[int]:
    return [one.number for one in kept]


def test_old_and_bad_ones_go_first_and_the_best_stays() -> None:
    trials = finished(0.9, 0.2, 0.5, 0.4, 0.6)
    keeping = Keeping(Bound(3, 1e9))
    assert numbers(keeping.before(3, trials)) == [0, 1, 2]
    assert numbers(keeping.before(4, trials)) == [0, 2, 3]
    assert numbers(keeping.before(5, trials))[0] == 0
    assert len(keeping.before(5, trials)) == 3


def test_the_bytes_are_bound_too_but_for_the_best() -> None:
    keeping = Keeping(Bound(10, 100))
    assert len(keeping.before(9, finished(0.1, 0.2, 0.3, 0.4))) == 2  # 40 bytes each
    assert numbers(Keeping(Bound(10, 1)).before(9, finished(0.3, 0.9, 0.4))) == [1]


def test_pinned_ones_stay() -> None:
    keeping = Keeping(Bound(2, 1e9, pinned=(1,)))
    assert 1 in numbers(keeping.before(9, finished(0.9, 0.1, 0.2, 0.3, 0.4)))


def test_what_is_kept_follows_from_the_trials_alone() -> None:
    rng = np.random.default_rng(0)
    trials = finished(*rng.random(30))
    stepwise = Keeping(Bound(4, 1e9))
    for number in range(31):
        found = stepwise.before(number, trials)
    assert found == Keeping(Bound(4, 1e9)).before(30, trials)
    assert stepwise.before(12, trials) == Keeping(Bound(4, 1e9)).before(12, trials)  # back to an interrupted one


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_finished_trial_it_begins_at_random(kind: str) -> None:
    assert sources(kind, (0, 0), []) == ()


def test_of_equally_near_parents_the_best_is_taken() -> None:
    kept = [Finished(0, (0, 1), 0.5, 1), Finished(1, (1, 0), 0.7, 1)]
    assert sources("parent", (0, 0), kept) == (1,)


def test_weights_come_back_and_are_pruned(tmp_path: Path) -> None:
    store = FolderWeights(tmp_path)
    arrays = {"stem.conv/kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}
    for number in (0, 1, 2):
        store.save(number, SavedWeights(arrays, 0.5 + number))
    (tmp_path / "1" / "trial.json").write_text("{}")
    found = store.load(2)
    assert found is not None
    assert found.loss == 2.5
    np.testing.assert_array_equal(found.arrays["stem.conv/kernel"], arrays["stem.conv/kernel"])
    store.prune({0})
    assert [store.has(number) for number in (0, 1, 2)] == [True, False, False]
    assert store.load(1) is None
    assert (tmp_path / "1" / "trial.json").exists()
    (tmp_path / "0" / "weights.npz").write_bytes(b"nonsense")
    assert store.load(0) is None
