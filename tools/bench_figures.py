"""How well a table that is made of a few given figures predicts and orders other networks of its space.

    python tools/bench_figures.py --space nas_bench_201 --source cpu.csv --device edgetpu-sim --json figures.json

A simulated device plays the one that nobody can reach: it is asked for all networks, and the first ``--networks`` of
them are the given figures. ``--source`` is the table whose shape is taken; without it, the amounts of work are. Beside
the error on the other networks stand what leave-one-out had said, and the order (Spearman). ``--true-table`` takes the
figures from the table of another device instead. Each seed draws other networks.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim
from benchmarking.document import conduct
from benchmarking.options import BenchParser, located, seeds_of
from benchmarking.tables import TABLES
from numpy.typing import NDArray

from edgenas.devices import Measurement, get_device
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency import LatencyTable, Predictor
from edgenas.latency.check.validation import Accuracy
from edgenas.latency.transfer.figures import GivenFigures
from edgenas.latency.transfer.from_figures import profile_from_figures
from edgenas.spaces.space.population import Population
from edgenas.spaces.space.search_space import SearchSpace

GOAL_SPEARMAN = 0.9


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures, and writes them with ``--json``."""
    parser = BenchParser(description=__doc__)
    parser.add_argument("--space", default="nas_bench_201")
    parser.add_argument("--source", type=Path)
    parser.add_argument("--device", default="edgetpu-sim")
    parser.add_argument("--true-table", type=Path)
    parser.add_argument("--networks", type=int, default=10)
    parser.add_argument("--held-out", type=int, default=100)
    parser.add_argument("--choices", type=int, default=20, help="how many times a seed chooses figures at random")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_common(
        seeds_help="draws of networks",
        quick={"held_out": 40, "choices": 5},
        data_dir=f"{TABLES}; --source and --true-table are looked up in it",
    )
    return conduct(bench, parser.parse_args(arguments), show)


def bench(options: argparse.Namespace) -> dict[str, Any]:
    """The runs of all seeds and choices, their medians, and the claim."""
    space = SearchSpace.load(options.space)
    source, true_table = (
        None if path is None else LatencyTable.load(located(path, options.data_dir))
        for path in (options.source, options.true_table)
    )
    runs = [found for seed in seeds_of(options) for found in one_seed(options, space, source, true_table, seed)]
    middle = {name: statistics.median(found[name] for found in runs) for name in ("spearman", "mape", "leave_one_out")}
    return {
        "median": middle,
        "worst_spearman": min(found["spearman"] for found in runs),
        "runs": runs,
        "claims": [claim("median Spearman on the other networks", middle["spearman"], GOAL_SPEARMAN, least=True)],
    }


def one_seed(
    options: argparse.Namespace,
    space: SearchSpace,
    source: LatencyTable | None,
    true_table: LatencyTable | None,
    seed: int,
) -> list[dict[str, Any]]:
    """Networks of one seed: each choice makes some of them figures, and is judged on the rest."""
    rng = np.random.default_rng(seed)
    population = np.unique(space.sample(rng, 2 * (options.networks + options.held_out)), axis=0)
    population = rng.permutation(population)[: options.networks + options.held_out]
    if true_table is None:
        true_ms = simulated(space, population, options.device)
    else:
        true_ms = Predictor(true_table).population(space, population)
    runs = []
    for _ in range(options.choices):
        order = rng.permutation(len(population))
        runs.append({"seed": seed} | run(space, population[order], true_ms[order], options.networks, source))
    return runs


def show(found: Mapping[str, Any]) -> None:
    middle = found["median"]
    print(
        f"{len(found['runs'])} choices: Spearman {middle['spearman']:.3f} (worst {found['worst_spearman']:.3f}), error "
        f"{middle['mape']:.1%}, leave-one-out said {middle['leave_one_out']:.1%}"
    )


def simulated(space: SearchSpace, population: Population, device: str) -> NDArray[np.float64]:
    """(N,) what a device that always gives the same number says of each network, in ms."""
    target = get_device(device)
    models = {str(place): write_tflite(space.decode(row).graph, "int8") for place, row in enumerate(population)}
    outcomes = target.measure_many(models)
    found = [outcomes[name] for name in models]
    return np.array([outcome.min for outcome in found if isinstance(outcome, Measurement)], np.float64)


def run(
    space: SearchSpace, population: Population, true_ms: NDArray[np.float64], count: int, source: LatencyTable | None
) -> dict[str, Any]:
    """A table from the first networks' figures, and how it does on the others."""
    given = tuple(space.architecture(row) for row in population[:count])
    figures = GivenFigures("figures.csv", given, true_ms[:count], np.full(count, np.nan))
    with tempfile.TemporaryDirectory() as folder:
        result = profile_from_figures(space, "other", figures, source=source, table_path=Path(folder, "table.csv"))
    accuracy = Accuracy.of(Predictor(result.table).population(space, population)[count:], true_ms[count:])
    return {"spearman": accuracy.spearman, "mape": accuracy.mape, "leave_one_out": result.error["mape"]}


if __name__ == "__main__":
    sys.exit(main())
