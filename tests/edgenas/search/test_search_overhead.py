"""What a search costs besides its evaluations."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from edgenas.run.overhead import LOGGED_TRIALS, SearchOverhead, overhead_words
from edgenas.search.algorithm import Algorithm
from edgenas.search.blas_threads import one_blas_thread


def blas_threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_suggestions_use_one_thread_and_give_the_others_back() -> None:
    before = blas_threads()
    seen: list[list[int]] = []

    class Probe(Algorithm):
        def propose(self, rng: np.random.Generator) -> np.ndarray:
            seen.append(blas_threads())
            return np.array([len(self.history)], np.int16)

    Probe(None, 0).suggest(2)  # type: ignore[arg-type]
    assert len(seen) == 2
    assert all(set(threads) <= {1} for threads in seen)
    assert blas_threads() == before


def test_threads_are_given_back_after_an_error() -> None:
    before = blas_threads()
    with pytest.raises(ValueError, match="broken"), one_blas_thread():
        raise ValueError("broken")
    assert blas_threads() == before


def test_cpu_seconds_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 1.0, 3.0, 3.5, 4.0])
    monkeypatch.setattr("edgenas.run.overhead.time.process_time", lambda: next(now))
    overhead = SearchOverhead({"trials": 10, "suggest_seconds": 5.0, "bookkeeping_seconds": 1.0})
    with overhead.suggesting():
        pass
    overhead.count(2)
    assert overhead.to_json() == {"trials": 12, "suggest_seconds": 7.0, "bookkeeping_seconds": 3.0}
    assert overhead_words({"trials": 0}) == ""


def test_the_log_hears_of_a_hundred_trials_at_a_time() -> None:
    overhead = SearchOverhead()
    overhead.count(LOGGED_TRIALS - 1)
    assert overhead.lately() is None
    overhead.count()
    told = overhead.lately()
    assert told is not None
    assert (told["after"], told["trials"]) == (LOGGED_TRIALS, LOGGED_TRIALS)
    assert overhead.lately() is None
