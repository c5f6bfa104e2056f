"""Synthetic tables: every kind reads back, repeats with its seed, and is what it says."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from edgenas.search.benchmark.tabular import TabularBenchmark, load_table

_spec = importlib.util.spec_from_file_location("synthetic", Path(__file__).parents[2] / "tools" / "synthetic_table.py")
assert _spec is not None
assert _spec.loader is not None
tool = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)


def read(path: Path) -> TabularBenchmark:
    return load_table(path, "arch", "accuracy", ("cost",))


@pytest.mark.parametrize("kind", ["noisy", "plateau", "missing"])
def test_a_table_reads_back_and_repeats_with_its_seed(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "made" / "table.csv"
    assert tool.main(["--kind", kind, "--seed", "3", "--out", str(out)]) == 0
    benchmark = read(out)
    feasible = benchmark.feasible({"cost": 0.5 * benchmark.costs["cost"].max()})
    assert 0.1 < feasible.mean() < 0.95
    assert out.read_text() == tool.table_csv(kind, 3) != tool.table_csv(kind, 4)


@pytest.mark.parametrize("kind", tool.KINDS)
def test_the_largest_is_not_simply_the_best(kind: str) -> None:
    rows, accuracy, cost = tool.KINDS[kind](np.random.default_rng(0))
    assert len(rows) == len(np.unique(rows, axis=0)) == len(accuracy) == len(cost)
    assert np.isfinite(accuracy).all()
    assert (cost > 0).all()
    affordable = cost <= cost.max() / 2
    assert accuracy[affordable].max() > accuracy[affordable][np.argmax(cost[affordable])]


def test_a_plateau_has_many_equally_good_ones() -> None:
    _, accuracy, cost = tool.plateau(np.random.default_rng(0))
    affordable = accuracy[cost <= cost.max() / 2]
    assert (affordable == affordable.max()).sum() > 5
