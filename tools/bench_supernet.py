"""How the supernet's controller does on tables of architectures with known accuracy and cost.

    python tools/bench_supernet.py --table T.csv --architecture arch --accuracy acc --cost macs --json OUT.json

The controller alone, as in ``edgenas.supernet``, with qualities from the table and the three rewards: how near its most
probable architecture comes to the target, and the best architecture within the budget among those that it sampled
(``different_samples`` says how much of the table these are). The target is the budget, a share of the largest cost.
Nothing is trained, so what a supernet adds to that is not measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.files import write_atomically
from edgenas.search.benchmark.tabular import TabularBenchmark, load_table
from edgenas.spaces.errors import InputError
from edgenas.study.objectives import Objective
from edgenas.supernet.controller import Controller, ControllerSettings

SETTINGS = ControllerSettings(learning_rate=0.01, samples=16)
REWARDS = ("absolute", "soft", "hard")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        result = run(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_atomically(Path(options.json), json.dumps(result, indent=2) + "\n")
    for claim in result["claims"]:
        print(
            f"{claim['claim']}: {claim['value']:.4g} (goal {claim['goal']:g}, {'met' if claim['met'] else 'not met'})"
        )
    return 0


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The JSON document."""
    table = load_table(options.table, options.architecture, options.accuracy, (options.cost,), None)
    target = options.budget_fraction * float(np.nanmax(table.costs[options.cost]))
    best = table.best({options.cost: target})
    scale = 100.0 if np.nanmax(table.accuracy) > 1 else 1.0
    steps = options.samples // SETTINGS.samples
    seeds = range(5 if options.quick else options.seeds)
    found = {
        kind: [search(table, options.cost, target, Objective(kind, {options.cost: target}), scale, steps, seed)
               for seed in seeds]
        for kind in REWARDS
    }  # fmt: skip
    absolute = found["absolute"]
    short = (best - float(np.mean([run["best_within"] for run in absolute]))) * 100 / scale
    off = max(abs(run["ratio"] - 1) for run in absolute)
    probable = (best - float(np.mean([run["accuracy"] for run in absolute]))) * 100 / scale
    return {
        "table": options.table,
        "best_feasible": best,
        "target": target,
        "settings": {"samples": steps * SETTINGS.samples, "seeds": list(seeds), "controller": SETTINGS.__dict__},
        "rewards": found,
        "claims": [
            _claim("points below the best within the budget, of the best sampled one", short, 0.3),
            _claim("points below the best within the budget, of the most probable one (may be over it)", probable, 0.3),
            _claim("largest distance of the most probable one from the target, absolute reward", off, 0.05),
        ],
    }


def search(
    table: TabularBenchmark, cost: str, target: float, objective: Objective, scale: float, steps: int, seed: int
) -> dict[str, float]:
    """One search: cost over target and accuracy of the most probable architecture, and the best one within budget."""
    controller, rng = Controller(table.space, SETTINGS), np.random.default_rng(seed)
    start, best_within = time.process_time(), float("nan")
    seen: set[int] = set()
    for step in range(steps):
        rows = controller.sample(rng, SETTINGS.samples)
        places = table.space.indices(rows)
        seen.update(places.tolist())
        costs, accuracies = table.costs[cost][places], table.accuracy[places]
        best_within = float(np.fmax.reduce(accuracies[costs <= target], initial=best_within))
        pairs = zip(accuracies / scale, costs, strict=True)
        rewards = np.array([objective.reward(float(quality), {cost: float(price)}) for quality, price in pairs])
        controller.learn(rows, rewards, step / steps)
    place = table.space.indices(controller.best()[None])[0]
    return {
        "ratio": float(table.costs[cost][place] / target),
        "accuracy": float(table.accuracy[place]),
        "best_within": best_within,
        "different_samples": len(seen),
        "entropy": controller.entropy,
        "seconds": time.process_time() - start,
    }


def _claim(text: str, value: float, goal: float) -> dict[str, Any]:
    return {"claim": text, "value": value, "goal": goal, "met": bool(value <= goal)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--table", required=True, help="csv file with one architecture per row")
    parser.add_argument("--architecture", metavar="COL", required=True, help="text column: 2101 or 8:16:8")
    parser.add_argument("--accuracy", metavar="COL", required=True, help="column to maximise, of full rows")
    parser.add_argument("--cost", metavar="COL", required=True, help="column under the budget")
    parser.add_argument("--budget-fraction", type=float, default=0.5, help="share of the largest cost (default 0.5)")
    parser.add_argument("--samples", type=int, default=16_000, help="architectures per search (default 16,000)")
    parser.add_argument("--seeds", type=int, default=20, help="searches per reward (default 20)")
    parser.add_argument("--quick", action="store_true", help="5 seeds")
    parser.add_argument("--json", required=True, metavar="OUT", help="where the figures go")
    return parser


if __name__ == "__main__":
    sys.exit(main())
