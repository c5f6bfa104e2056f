"""How fast the search spaces are: loading, populations, costs and the exact cheapest architecture.

    python tools/bench_spaces.py [--spaces tiny_edge,mobilenet_edgetpu_v2] [--rows 10000] [--repeats 5] [--seeds 1]
                                 [--quick] [--json OUT]

Every figure is the median of the repeats of all seeds in seconds, with the fastest and slowest beside it. What is
claimed is processor time, since others use the machine too. Costs are MACs; a predicted latency or energy takes as
long. ``latency of 1e6`` is what a prediction adds up and solves where the table tells fast and slow networks apart.
``1e6`` are a million architectures, the others ``--rows``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from benchmarking.claims import claim, quantiles
from benchmarking.document import conduct
from benchmarking.options import BenchParser, seeds_of

from edgenas.latency.predict.cache_misses import CacheMisses
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.spaces.space.spec import space_names

#: Per multiply-accumulate, of the order of a server CPU's in float32: how fast it is solved depends on the range.
_WARM_MS, _COLD_MS = 3e-8, 6e-9
#: Of the space that this is judged on, the costs of a million architectures.
JUDGED, GOAL_SECONDS = "mobilenet_edgetpu_v2", 1.0


def timed(work: Callable[[], Any], repeats: int) -> list[tuple[float, float]]:
    """Seconds of several calls, by the clock and of the processor."""
    seconds = []
    for _ in range(repeats):
        start, cpu_start = time.perf_counter(), time.process_time()
        work()
        seconds.append((time.perf_counter() - start, time.process_time() - cpu_start))
    return seconds


def one_space(name: str, rows: int, repeats: int, seeds: Sequence[int]) -> dict[str, Any]:
    """All figures of one space."""
    space = SearchSpace.load(name)
    seconds: dict[str, list[tuple[float, float]]] = {}
    for seed in seeds:
        for what, found in seconds_of(space, rows, repeats, seed).items():
            seconds.setdefault(what, []).extend(found)
    facts = {"decisions": len(space.decisions), "size": str(space.size), "signatures": len(space.signatures("int8"))}
    return facts | {
        name: {
            what: quantiles([one[place] for one in found], "median", "min", "max") for what, found in seconds.items()
        }
        for place, name in enumerate(("seconds", "cpu_seconds"))
    }


def seconds_of(space: SearchSpace, rows: int, repeats: int, seed: int) -> dict[str, list[tuple[float, float]]]:
    """What each operation took, on the populations of one seed."""
    rng = np.random.default_rng(seed)
    population, other = space.sample(rng, rows), space.sample(rng, rows)
    million = space.sample(rng, 1_000_000)
    arrays = space.cost_arrays(lambda entry: entry.graph.macs)
    warm_ms, cache_miss_ms = ({slot: rate * costs for slot, costs in arrays.items()} for rate in (_WARM_MS, _COLD_MS))
    works: dict[str, Callable[[], Any]] = {
        "load": lambda: SearchSpace.load(space.name),
        "sample": lambda: space.sample(rng, rows),
        "mutate": lambda: space.mutate(rng, population),
        "crossover": lambda: space.crossover(rng, population, other),
        "one_hot": lambda: space.one_hot(population),
        "population_cost": lambda: space.population_cost(population, arrays),
        "cost of 1e6": lambda: space.population_cost(million, arrays),
        "latency of 1e6": lambda: CacheMisses().network_ms(*space.population_costs(million, warm_ms, cache_miss_ms)),
        "cheapest": lambda: space.cheapest(arrays),
    }
    return {what: timed(work, repeats) for what, work in works.items()}


def bench(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of all spaces."""
    seeds = seeds_of(options)
    figures = {name: one_space(name, options.rows, options.repeats, seeds) for name in options.spaces.split(",")}
    claims = []
    if JUDGED in figures:
        found = figures[JUDGED]["cpu_seconds"]
        claims = [
            claim(
                f"{JUDGED}: processor seconds for the MACs of 1,000,000 architectures",
                found["cost of 1e6"]["median"],
                GOAL_SECONDS,
            ),
            claim(f"{JUDGED}: processor seconds for their latencies", found["latency of 1e6"]["median"], GOAL_SECONDS),
        ]
    return {"spaces": figures, "claims": claims}


def show(found: Mapping[str, Any]) -> None:
    for name, facts in found["spaces"].items():
        print(f"{name}: {facts['decisions']} decisions, {facts['size']} networks, {facts['signatures']} signatures")
        for what, seconds in facts["seconds"].items():
            print(f"  {what:16} {seconds['median']:.4f} s ({seconds['min']:.4f} to {seconds['max']:.4f})")


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures, and writes them with ``--json``."""
    parser = BenchParser(description=__doc__)
    parser.add_argument("--spaces", default=",".join(space_names()), help="names, separated by commas (default all)")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_common(
        seeds_help="populations that are timed",
        quick={"spaces": f"tiny_edge,{JUDGED}", "rows": 2000, "repeats": 2},
    )
    return conduct(bench, parser.parse_args(arguments), show)


if __name__ == "__main__":
    sys.exit(main())
