"""Every algorithm on a real space with conditional decisions and a budget; finding algorithms of other packages."""

import copy
import sys
from pathlib import Path

import numpy as np
import pytest

from edgenas.search import algorithm, algorithm_class, algorithm_names, create_algorithm
from edgenas.search.algorithm import Observation
from edgenas.search.models.encoding import fresh_rows, marked_options, option_counts, row_keys
from edgenas.search.problem import Problem
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.search_space import SearchSpace


@pytest.fixture(scope="module")
def problem() -> Problem:
    space = SearchSpace.load("tiny_edge")
    arrays = space.cost_arrays(lambda entry: float(entry.graph.macs))
    sizes = space.population_cost(space.sample(np.random.default_rng(0), 200), arrays)
    cheapest, _ = space.cheapest(arrays)
    return Problem(
        space,
        24,
        lambda population: {"macs": space.population_cost(population, arrays)},
        {"macs": float(np.quantile(sizes, 0.3))},
        np.array(cheapest.choices, np.int16),
    )


@pytest.mark.parametrize("name", [name for name in algorithm_names() if not name.startswith("test_")])
def test_only_canonical_architectures_within_the_budget_and_none_twice(name: str, problem: Problem) -> None:
    if algorithm_class(name).missing():
        pytest.skip(str(algorithm_class(name).missing()))
    searcher = create_algorithm(name, problem, 0)
    rng = np.random.default_rng(0)
    for number in range(0, 24, 2):
        pair = searcher.suggest(2)
        searcher.update(
            Observation(number + place, choices, "complete", float(rng.random())) for place, choices in enumerate(pair)
        )
    rows = np.array([trial.choices for trial in searcher.trials], np.int16)
    assert len(np.unique(rows, axis=0)) == 24
    assert problem.feasible(rows).all()
    assert problem.space.contains(rows).all()  # type: ignore[attr-defined]


def test_inactive_decisions_are_marked(problem: Problem) -> None:
    counts = option_counts(problem.space)
    rows = problem.space.sample(np.random.default_rng(1), 50)
    marked = marked_options(problem.space, counts, rows)
    inactive = marked == np.array(counts)
    assert inactive.any()
    assert (rows[inactive] == 0).all()
    assert (marked[~inactive] == rows[~inactive]).all()
    assert inactive.sum() == 50 * len(counts) - problem.space.one_hot(rows).sum()


def test_equal_rows_have_equal_keys_and_others_do_not(problem: Problem) -> None:
    rows = np.unique(problem.space.sample(np.random.default_rng(2), 500), axis=0)
    assert len(np.unique(row_keys(rows))) == len(rows)
    assert (row_keys(rows) == row_keys(rows.copy())).all()
    doubled = np.concatenate([rows[:5], rows[:3], rows[5:8]])
    assert (fresh_rows(doubled, row_keys(rows[1:3])) == np.concatenate([rows[:1], rows[3:8]])).all()


def test_an_installed_package_offers_an_algorithm_by_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Problem
) -> None:
    """Just what `pip install` leaves behind: a module, and metadata that declare the entry point."""
    (tmp_path / "their_package.py").write_text(
        "import dataclasses\n"
        "from edgenas.search import Algorithm\n"
        "from edgenas.search.sampling import random_feasible\n\n\n"
        "class Theirs(Algorithm):\n"
        "    @dataclasses.dataclass(frozen=True)\n"
        "    class Options:\n"
        "        patience: int = 3\n\n"
        "    def propose(self, rng):\n"
        "        rows = random_feasible(self.problem, rng, self.seen)\n"
        "        return rows[0] if len(rows) else None\n"
    )
    metadata = tmp_path / "their_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[edgenas.algorithms]\nthirdparty = their_package:Theirs\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(algorithm, "_REGISTRY", copy.deepcopy(algorithm._REGISTRY))
    assert "thirdparty" in algorithm_names()
    assert "their_package" not in sys.modules, "names are listed without importing what offers them"
    searcher = create_algorithm("thirdparty", problem, 0, {"patience": 5})
    assert searcher.options.patience == 5
    assert len(set(searcher.suggest(4))) == 4
    with pytest.raises(InputError, match="did you mean 'patience'"):
        create_algorithm("thirdparty", problem, 0, {"patiense": 5})
