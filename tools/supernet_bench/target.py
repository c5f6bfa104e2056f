"""Supernet and controller trained together towards a cost in the middle of a space: where the search ends."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim
from benchmarking.options import seeds_of

from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.study.objectives import Objective
from edgenas.supernet.controller import ControllerSettings
from edgenas.supernet.families import Families
from edgenas.supernet.network import Supernet
from edgenas.supernet.quality_model import Floats, Population
from edgenas.supernet.settings import SupernetSettings
from edgenas.supernet.training import SupernetTraining
from supernet_bench.ground import Ground, make_ground
from supernet_bench.ranking import lesson_of

_CHOICE = 5


def run_target(options: argparse.Namespace) -> dict[str, Any]:
    """The JSON document."""
    ground = make_ground(options)
    costs = _costs(ground, options.latency_table)
    drawn = costs(ground.space.sample(np.random.default_rng(0), 4000))
    target = float(np.median(drawn))
    runs: dict[str, list[dict[str, float]]] = {}
    for kind in options.rewards.split(","):
        for seed in seeds_of(options):
            found = search(ground, costs, target, kind, seed, options)
            runs.setdefault(kind, []).append(found)
            print(f"{kind}, seed {seed}: {found}", flush=True)
    return {
        "target": target,
        "runs": runs,
        "claims": [
            claim(f"{kind}: largest distance from the target", max(abs(run["ratio"] - 1) for run in found), 0.05)
            for kind, found in runs.items()
        ],
    }


def search(
    ground: Ground,
    costs: Callable[[Population], Floats],
    target: float,
    kind: str,
    seed: int,
    options: argparse.Namespace,
) -> dict[str, float]:
    """One search: costs over the target, of what it ends with, of its most probable options, of what it draws."""
    objective = Objective(kind, {"cost": target})
    settings = SupernetSettings(epochs=10_000, max_steps=options.steps, batch_size=options.batch_size)

    def reward(qualities: Floats, rows: Population) -> Floats:
        return objective.rewards(qualities, {"cost": costs(rows)})

    def at_the_end(qualities: Floats, rows: Population) -> Floats:
        return objective.at_the_end.rewards(qualities, {"cost": costs(rows)})

    start = time.process_time()
    training = SupernetTraining(
        Supernet(ground.space, seed=seed),
        lesson_of(ground, seed),
        settings,
        reward=reward,
        controller=ControllerSettings(),
    )
    training.run()
    assert training.controller is not None
    controller = training.controller
    chosen = controller.most_rewarding(at_the_end, np.random.default_rng([seed, _CHOICE]))
    drawn = costs(controller.sample(np.random.default_rng([seed, _CHOICE]), 1000))
    return {
        "ratio": float(costs(chosen[None])[0] / target),
        "ratio_probable": float(costs(controller.best()[None])[0] / target),
        "ratio_drawn": float(drawn.mean() / target),
        "entropy": controller.entropy,
        "cpu_seconds": time.process_time() - start,
    }


def _costs(ground: Ground, table: Path | None) -> Callable[[Population], Floats]:
    """Predicted latencies by a table, else multiply-accumulates."""
    if table is None:
        return Families(ground.space, 0).macs
    predictor = Predictor(LatencyTable.load(table))
    return lambda rows: predictor.population(ground.space, rows)
