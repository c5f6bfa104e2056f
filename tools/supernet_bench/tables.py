"""The controller alone, on tables of architectures with known accuracy and cost. Nothing is trained."""

from __future__ import annotations

import argparse
import dataclasses
import time
from typing import Any

import numpy as np
import numpy.typing as npt
from benchmarking.claims import claim
from benchmarking.options import located, seeds_of

from edgenas.search.benchmark.tabular import TabularBenchmark, load_table
from edgenas.study.objectives import Objective
from edgenas.supernet.controller import Controller, ControllerSettings
from edgenas.supernet.quality_model import Floats, Population

REWARDS = ("absolute", "soft", "hard")
SETTINGS = ControllerSettings(samples=4)


def run_tables(options: argparse.Namespace) -> dict[str, Any]:
    """The JSON document: each reward, and the absolute one with plain REINFORCE."""
    path = str(located(options.table, options.data_dir))
    table = load_table(path, options.architecture, options.accuracy, (options.cost,), None)
    target = options.budget_fraction * float(np.nanmax(table.costs[options.cost]))
    best = table.best({options.cost: target})
    seeds = seeds_of(options)
    settings = {kind: (kind, SETTINGS) for kind in REWARDS}
    settings["absolute, nothing expected"] = ("absolute", dataclasses.replace(SETTINGS, expected=0))
    found = {}
    for name, (kind, chosen) in settings.items():
        searched = TableSearch(table, options.cost, target, Objective(kind, {options.cost: target}), chosen)
        found[name] = [searched.run(options.samples // chosen.samples, seed) for seed in seeds]
    scale = 1.0 if np.nanmax(table.accuracy) > 1 else 100.0
    return {
        "table": path,
        "best_feasible": best,
        "target": target,
        "settings": {"samples": options.samples, "controller": SETTINGS.__dict__},
        "rewards": found,
        "summary": {name: summary(runs, best, scale) for name, runs in found.items()},
        "claims": claims({name: summary(runs, best, scale) for name, runs in found.items()}),
    }


def summary(runs: list[dict[str, float]], best: float, scale: float) -> dict[str, float]:
    """Means over the seeds: points below the best within the budget, and how far off the target."""

    def short(key: str) -> tuple[float, float]:
        values = scale * (best - np.array([run[key] for run in runs]))
        return float(values.mean()), float(values.std(ddof=1) if len(values) > 1 else 0.0)

    off = np.abs(np.array([run["ratio"] for run in runs]) - 1)
    result, probable = short("best_within"), short("probable_within")
    return {
        "result_short": result[0],
        "result_short_spread": result[1],
        "probable_short": probable[0],
        "probable_short_spread": probable[1],
        "largest_distance_from_target": float(off.max()),
        "different_samples": float(np.mean([run["different_samples"] for run in runs])),
    }


def claims(found: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    listed = []
    for name, figures in found.items():
        listed.append(claim(f"{name}: points below the best, of the result", figures["result_short"], 0.3))
        listed.append(
            claim(f"{name}: points below the best, of the most probable one within", figures["probable_short"], 0.3)
        )
        if name.startswith("absolute"):
            off = figures["largest_distance_from_target"]
            listed.append(claim(f"{name}: largest distance of the most probable one from the target", off, 0.05))
    return listed


@dataclasses.dataclass(frozen=True)
class TableSearch:
    """Searches of one table with one reward. The *result* is the sampled one of highest quality within the budget."""

    table: TabularBenchmark
    cost: str
    target: float
    objective: Objective
    settings: ControllerSettings

    def run(self, steps: int, seed: int) -> dict[str, float]:
        """One search of so many steps."""
        controller, rng = Controller(self.table.space, self.settings), np.random.default_rng(seed)
        start, seen = time.process_time(), [np.zeros(0, np.intp)]
        scale = 100.0 if np.nanmax(self.table.accuracy) > 1 else 1.0
        for step in range(steps):
            rows = controller.sample(rng, self.settings.samples)
            places = self.table.space.indices(rows)
            seen.append(places)
            controller.learn(rows, self.table.accuracy[places] / scale, self._reward(scale), step / steps, rng)
        places = np.unique(np.concatenate(seen))
        within = places[self._within(places)]
        probable = self.table.space.indices(controller.best()[None])[0]
        chosen = controller.best_within(lambda rows: self._within(self.table.space.indices(rows)), rng)
        return {
            "ratio": float(self.table.costs[self.cost][probable] / self.target),
            "accuracy": float(self.table.accuracy[probable]),
            "probable_within": float(self.table.accuracy[self.table.space.indices(chosen[None])[0]]),
            "best_within": float(self.table.accuracy[within].max()),
            "different_samples": len(places),
            "entropy": controller.entropy,
            "seconds": time.process_time() - start,
        }

    def _reward(self, scale: float) -> Any:
        def reward(qualities: Floats, rows: Population) -> Floats:
            costs = self.table.costs[self.cost][self.table.space.indices(rows)]
            return self.objective.rewards(qualities, {self.cost: costs})

        return reward

    def _within(self, places: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
        return np.asarray(self.table.costs[self.cost][places] <= self.target)
