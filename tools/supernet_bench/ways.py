"""Ways to rank networks: a score for each, what a candidate costs, and Kendall's tau with the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgenas.supernet.families import Families
from edgenas.supernet.ranking import kendall_tau
from supernet_bench.ground import Ground
from supernet_bench.truth import Cache

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Way:
    """A way to rank: a score for each network, processor seconds for each candidate, and of another truth if any."""

    scores: Floats
    seconds: float
    truth: Floats | None = None

    def figures(self, truth: Floats, inside: npt.NDArray[np.bool_]) -> dict[str, float]:
        """Tau over all networks and within the band, with bootstrapped standard errors, and the cost."""
        truth = truth if self.truth is None else self.truth
        found = {"cpu_seconds_per_candidate": self.seconds}
        for name, chosen in (("all", np.ones(len(truth), bool)), ("band", inside)):
            scores, wanted = self.scores[chosen], truth[chosen]
            found[f"tau_{name}"] = kendall_tau(scores, wanted)
            found[f"error_{name}"] = _error(scores, wanted)
        return found


def _error(scores: Floats, truth: Floats) -> float:
    """Standard error of tau by the choice of networks: jackknife, which draws no network twice."""
    count = len(scores)
    left_out = [kendall_tau(np.delete(scores, place), np.delete(truth, place)) for place in range(count)]
    return float(np.sqrt((count - 1) * np.var(left_out)))


def column(cache: Cache, training: str, names: list[str], key: str) -> Floats:
    return np.array([cache.results[training][name][key] for name in names])


def free_ways(ground: Ground, rows: npt.NDArray[np.int16]) -> dict[str, Way]:
    """What is known of networks without any training."""
    space = ground.space
    params = space.population_cost(rows, space.cost_arrays(lambda entry: float(entry.graph.params)))
    depth = space.population_cost(rows, space.cost_arrays(lambda entry: 1.0))
    return {
        "multiply-accumulates": Way(Families(space, 0).macs(rows), 0.0),
        "parameters": Way(params, 0.0),
        "depth": Way(depth, 0.0),
    }


def again(cache: Cache, truths: list[str], names: list[str]) -> Way:
    first, second = (column(cache, name, names, "accuracy") for name in truths[:2])
    return Way(first, float(column(cache, truths[0], names, "cpu_seconds").mean()), truth=second)


def print_table(table: Mapping[str, Mapping[str, float]], count: int, near: int, truths: list[str]) -> None:
    print(f"Kendall's tau with {' and '.join(truths)}: {count} networks, {near} of them in the band")
    print(f"{'ranked by':<40} {'all':>14} {'in the band':>14} {'CPU s each':>11}")
    for name, found in table.items():
        taus = [f"{found[f'tau_{part}']:.2f} +- {found[f'error_{part}']:.2f}" for part in ("all", "band")]
        print(f"{name:<40} {taus[0]:>14} {taus[1]:>14} {found['cpu_seconds_per_candidate']:>11.2f}")
