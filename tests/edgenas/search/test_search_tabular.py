"""Tabular benchmarks: reading, what is missing or double, and replaying."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.search import algorithm_names
from edgenas.search.algorithm import algorithm_class
from edgenas.search.benchmark.replay import replay_one
from edgenas.search.benchmark.tabular import TabularBenchmark, TabularDecision, TabularSpace, load_table
from edgenas.spaces.errors import InputError


def table(tmp_path: Path, rows: str, header: str = "arch,acc,cost") -> TabularBenchmark:
    path = tmp_path / "t.csv"
    path.write_text(f"{header}\n{rows}\n")
    return load_table(path, "arch", "acc", ("cost",))


def random_benchmark(seed: int, counts: tuple[int, ...] = (3, 4, 2, 3), share: float = 1.0) -> TabularBenchmark:
    """A grid, or a share of it, with additive accuracy and cost, and a few failing rows."""
    rng = np.random.default_rng(seed)
    rows = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), axis=-1).reshape(-1, len(counts))
    rows = rows[rng.random(len(rows)) < share]
    gains = [rng.normal(size=count) for count in counts]
    accuracy = 0.8 + 0.02 * sum(gain[rows[:, place]] for place, gain in enumerate(gains))
    accuracy[rng.random(len(rows)) < 0.05] = np.nan
    decisions = tuple(TabularDecision(f"d{i}", tuple(map(str, range(count)))) for i, count in enumerate(counts))
    return TabularBenchmark(TabularSpace(decisions, rows), accuracy, {"cost": 1.0 + rows.sum(axis=1)})


def test_options_are_ordered_as_numbers(tmp_path: Path) -> None:
    space = table(tmp_path, "8:64,1,1\n16:8,2,2\n8:8,3,3").space
    assert [decision.options for decision in space.decisions] == [("8", "16"), ("8", "64")]
    assert space.option_counts == (2, 2)
    assert space.size == 3


def test_what_the_table_lacks_is_not_feasible(tmp_path: Path) -> None:
    benchmark = table(tmp_path, "00,1,1\n01,2,2\n10,3,3")
    problem = benchmark.problem(10, {})
    population = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.int16)
    assert problem.feasible(population).tolist() == [True, True, True, False]
    assert np.isnan(problem.costs(population)["cost"][3])


def test_repeated_architectures_have_the_mean_accuracy(tmp_path: Path) -> None:
    benchmark = table(tmp_path, "00,1,1\n01,2,2\n00,4,1")
    assert benchmark.space.size == 2
    assert benchmark.observe(0, (0, 0)).reward == 2.5


def test_a_missing_accuracy_replays_as_a_failed_trial(tmp_path: Path) -> None:
    benchmark = table(tmp_path, "00,,1\n01,2,2")
    assert benchmark.observe(3, (0, 0)).state == "failed"
    assert benchmark.best({"cost": 5.0}) == 2.0


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("00,1,1\n011,2,2", "'011' has 3 decisions"),
        ("00,1,1\n01,high,2", r"row 3, column 'acc': expected a number, found 'high'"),
        ("00,1,1\n00,2,2", "occurs with different 'cost'"),
        ("00,,1", "column 'acc' holds no number"),
        ("", "holds no rows"),
        ("0:,1,1", "decisions"),
    ],
)
def test_unreadable_tables_are_explained(tmp_path: Path, rows: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        table(tmp_path, rows)


def test_a_budget_that_nothing_fits_is_refused() -> None:
    with pytest.raises(InputError, match="no architecture"):
        random_benchmark(0).problem(5, {"cost": 0.5})


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), share=st.sampled_from([0.3, 0.7, 1.0]))
def test_populations_stay_in_the_table(seed: int, share: float) -> None:
    space = random_benchmark(seed, share=share).space
    rng = np.random.default_rng(seed)
    sample = space.sample(rng, 50)
    assert (space.indices(sample) >= 0).all()
    assert (space.rows[space.indices(sample)] == sample).all()
    mutated = space.mutate(rng, sample)
    assert ((mutated != sample).sum(axis=1) == 1).all()
    crossed = space.crossover(rng, sample, sample[::-1])
    assert (space.indices(crossed) >= 0).all()
    assert (space.crossover(rng, sample, sample) == sample).all()
    assert (space.one_hot(sample).sum(axis=1) == 4).all()


@pytest.mark.parametrize("name", [name for name in algorithm_names() if not name.startswith("test_")])
def test_every_algorithm_searches_a_table_with_holes_and_failures(name: str) -> None:
    if algorithm_class(name).missing():
        pytest.skip(str(algorithm_class(name).missing()))
    benchmark = random_benchmark(3, share=0.6)
    limits = {"cost": 6.0}
    replay = replay_one(benchmark, limits, name, {}, 20, seed=1)
    assert replay.trials == 20
    finite = replay.best[np.isfinite(replay.best)]
    assert (np.diff(finite) >= 0).all()
    assert finite[-1] <= benchmark.best(limits)


def test_a_search_ends_with_the_table() -> None:
    benchmark = random_benchmark(3, counts=(3, 3))
    replay = replay_one(benchmark, {"cost": 4.0}, "auto", {}, 20, seed=1)
    assert replay.trials == int(benchmark.feasible({"cost": 4.0}).sum())
    assert replay.best[-1] == benchmark.best({"cost": 4.0})
