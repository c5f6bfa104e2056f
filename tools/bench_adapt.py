"""How well a table is adapted to another device from ten networks, where the other device's true table is known.

    python tools/bench_adapt.py --space tiny_edge --source cpu.csv --target edgetpu-sim.csv --json adapt.json
    python tools/bench_adapt.py --quick --json adapt.json

Both tables must hold the whole space. The latencies of the ten networks, and of the networks that the result is held
against, are what the target's own table predicts (its own error is printed), so nothing is measured here. Tables of
another precision may be given: they stand for another device, and only the shapes of their blocks count. Beside the
error of the adapted table stand what leave-one-out had said, and the error of one scale for all.

A table that is not given is taken from ``--data-dir``, or made: of ``--source-device`` and of ``--target-device``.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim
from benchmarking.document import conduct
from benchmarking.options import BenchParser, seeds_of
from benchmarking.tables import TABLES, quiet_settings, table_of

from edgenas.latency import LatencyTable, Predictor
from edgenas.latency.check.validation import Accuracy
from edgenas.latency.transfer.adaptation import CLASSES, Splitter, choose_networks, fit_adaptation, population_parts
from edgenas.spaces.space.search_space import SearchSpace

GOAL_ERROR = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = BenchParser(description=__doc__)
    parser.add_argument("--space", default="tiny_edge")
    parser.add_argument("--source", type=Path, help="table of the device that is known")
    parser.add_argument("--target", type=Path, help="table of the other one")
    parser.add_argument("--source-device", default="local-cpu", help="whose table is made where no source is given")
    parser.add_argument("--target-device", default="edgetpu-sim", help="the same for the target")
    parser.add_argument("--networks", type=int, default=10)
    parser.add_argument("--held-out", type=int, default=500)
    parser.add_common(
        seeds=3,
        seeds_help="choices of networks",
        lists=True,
        quick={"held_out": 200},
        data_dir=TABLES,
    )
    return conduct(bench, parser.parse_args(arguments))


def bench(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of all choices of networks."""
    space = SearchSpace.load(options.space)
    source, source_words = known_table(options, space, options.source, options.source_device)
    target, target_words = known_table(options, space, options.target, options.target_device)
    target = as_precision(target, source.precision)
    print(Predictor(target).describe_error())
    splitter = Splitter(source)
    runs = [run(space, splitter, target, options.networks, options.held_out, seed) for seed in seeds_of(options)]
    for found in runs:
        print(
            f"seed {found['seed']}: {found['adapted']['mape']:.1%} on {options.held_out} networks (largest "
            f"{found['adapted']['max_error']:.1%}, Spearman {found['adapted']['spearman']:.3f}); leave-one-out said "
            f"{found['leave_one_out']['mape']:.1%}; one scale: {found['one_scale']['mape']:.1%} (Spearman "
            f"{found['one_scale']['spearman']:.3f})"
        )
    mean, one_scale = (float(np.mean([found[way]["mape"] for found in runs])) for way in ("adapted", "one_scale"))
    return {
        "source": source_words,
        "target": target_words,
        "networks": options.networks,
        "runs": runs,
        "claims": [
            claim(f"mean error of the table adapted with {options.networks} networks", mean, GOAL_ERROR),
            claim("the same; the goal is the error of one scale for all", mean, one_scale),
        ],
    }


def known_table(
    options: argparse.Namespace, space: SearchSpace, given: Path | None, device: str
) -> tuple[LatencyTable, str]:
    return table_of(given, options.data_dir, space, device, "int8", quiet_settings(options))


def as_precision(table: LatencyTable, precision: str) -> LatencyTable:
    """The table with its signatures renamed to another precision."""
    rows = {f"{signature.rpartition('/')[0]}/{precision}": row for signature, row in table.rows.items()}
    return dataclasses.replace(table, rows=rows, precision=precision)


def run(
    space: SearchSpace, splitter: Splitter, target: LatencyTable, count: int, held_out: int, seed: int
) -> dict[str, Any]:
    """One choice of networks, and how the fit does on others."""
    truth = Predictor(target)
    networks, _ = choose_networks(space, splitter, count, seed=seed)
    parts = np.array([splitter.network(network) for network in networks])
    measured = np.array([truth.predict(network).latency_ms for network in networks])
    adaptation = fit_adaptation(parts, measured)
    population = space.sample(np.random.default_rng(10_000 + seed), held_out)
    others, true_ms = population_parts(space, splitter, population), truth.population(space, population)
    predicted = np.array([adaptation.network_ms(row) for row in others])
    sums = parts[:, : len(CLASSES)].sum(axis=1) / measured
    one_scale = others[:, : len(CLASSES)].sum(axis=1) * sums.sum() / (sums**2).sum()
    return {
        "seed": seed,
        "adapted": vars(Accuracy.of(predicted, true_ms)),
        "one_scale": vars(Accuracy.of(one_scale, true_ms)),
        "leave_one_out": vars(adaptation.accuracy),
    }


if __name__ == "__main__":
    sys.exit(main())
