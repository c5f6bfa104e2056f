"""Replays algorithms on a tabular benchmark: the best accuracy so far after every sample, for many seeds at once."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgenas.environment import environment
from edgenas.search.algorithm import create_algorithm
from edgenas.search.benchmark.tabular import TabularBenchmark

SINGLE_THREADED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Replay:
    """One search on a table.

    Attributes:
        best: (samples,) best accuracy so far, in the table's unit; NaN before the first trial that did not fail.
            When the algorithm has nothing left to suggest, the last value is repeated.
        trials: how many architectures it suggested.
        seconds: processor time of the algorithm itself.
        train_seconds: (samples,) simulated training time so far; None when the table does not tell.
    """

    best: npt.NDArray[np.float64]
    trials: int
    seconds: float
    train_seconds: npt.NDArray[np.float64] | None


def replay_one(
    benchmark: TabularBenchmark,
    limits: Mapping[str, float],
    algorithm: str,
    options: Mapping[str, Any],
    samples: int,
    seed: int,
    until_best: bool = False,
) -> Replay:
    """Searches the table with one seed. Same arguments, same result but for ``seconds``.

    ``until_best`` ends the search at the best possible architecture: ``best`` is the same, sooner.
    """
    best_possible = benchmark.best(limits) if until_best else np.inf
    searcher = create_algorithm(algorithm, benchmark.problem(samples, limits), seed, options)
    best = np.full(samples, np.nan)
    train_seconds = np.zeros(samples)
    record, trials, seconds = np.nan, 0, 0.0
    while trials < samples and not record >= best_possible:
        start = time.process_time()
        suggestions = searcher.suggest(1)
        seconds += time.process_time() - start
        if not suggestions:
            break
        observation = benchmark.observe(trials, suggestions[0])
        if observation.reward is not None:
            record = float(np.fmax(record, observation.reward))
        if benchmark.train_seconds is not None:
            train_seconds[trials] = benchmark.train_seconds[benchmark.space.indices(np.array(suggestions))[0]]
        best[trials] = record
        start = time.process_time()
        searcher.update([observation])
        seconds += time.process_time() - start
        trials += 1
    best[trials:] = record
    return Replay(best, trials, seconds, None if benchmark.train_seconds is None else np.cumsum(train_seconds))


def replay_seeds(
    load: Callable[[], TabularBenchmark],
    limits: Mapping[str, float],
    algorithm: str,
    options: Mapping[str, Any],
    samples: int,
    seeds: Sequence[int],
    pool: ProcessPoolExecutor | None = None,
    until_best: bool = False,
) -> list[Replay]:
    """One replay per seed, in the order of the seeds, spread over the processes of ``pool`` (:func:`replay_pool`).

    ``load`` makes the benchmark where there is no pool; with one, each process has made its own.
    """
    if pool is None:
        benchmark = load()
        return [replay_one(benchmark, limits, algorithm, options, samples, seed, until_best) for seed in seeds]
    futures = [pool.submit(_replay_in_worker, limits, algorithm, options, samples, seed, until_best) for seed in seeds]
    return [future.result() for future in futures]


@contextmanager
def replay_pool(load: Callable[[], TabularBenchmark], processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that each make the benchmark once with ``load`` (picklable) and compute on one thread."""
    context = multiprocessing.get_context("spawn")
    with (
        environment(dict.fromkeys(SINGLE_THREADED, "1")),
        ProcessPoolExecutor(processes, mp_context=context, initializer=_prepare, initargs=(load,)) as pool,
    ):
        yield pool


_benchmark: TabularBenchmark | None = None


def _prepare(load: Callable[[], TabularBenchmark]) -> None:
    global _benchmark
    _benchmark = load()


def _replay_in_worker(
    limits: Mapping[str, float], algorithm: str, options: Mapping[str, Any], samples: int, seed: int, until_best: bool
) -> Replay:
    assert _benchmark is not None
    return replay_one(_benchmark, limits, algorithm, options, samples, seed, until_best)
