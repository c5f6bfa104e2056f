"""How fast the search spaces are: loading, populations, costs and the exact cheapest architecture.

python tools/bench_spaces.py [--spaces tiny_edge,mobilenet_edgetpu_v2] [--rows 10000] [--repeats 5] [--json OUT]

Every figure is the median of the repeats in seconds, with the fastest and slowest beside it. Costs are MACs; a
predicted latency or energy takes as long. ``latency of 1e6`` is what a prediction adds up and solves where the table
tells fast and slow networks apart. ``1e6`` are a million architectures, the others ``--rows``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.latency.predict.cache_misses import CacheMisses
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.spaces.space.spec import space_names

#: Per multiply-accumulate, of the order of a server CPU's in float32: how fast it is solved depends on the range.
_WARM_MS, _COLD_MS = 3e-8, 6e-9


def timed(work: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Median, fastest and slowest of several calls, in seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return {"median": statistics.median(seconds), "min": min(seconds), "max": max(seconds)}


def bench(name: str, rows: int, repeats: int, seed: int) -> dict[str, Any]:
    """All figures of one space."""
    space = SearchSpace.load(name)
    rng = np.random.default_rng(seed)
    population, other = space.sample(rng, rows), space.sample(rng, rows)
    million = space.sample(rng, 1_000_000)
    arrays = space.cost_arrays(lambda entry: entry.graph.macs)
    warm_ms, cache_miss_ms = ({slot: rate * costs for slot, costs in arrays.items()} for rate in (_WARM_MS, _COLD_MS))
    works: dict[str, Callable[[], Any]] = {
        "load": lambda: SearchSpace.load(name),
        "sample": lambda: space.sample(rng, rows),
        "mutate": lambda: space.mutate(rng, population),
        "crossover": lambda: space.crossover(rng, population, other),
        "one_hot": lambda: space.one_hot(population),
        "population_cost": lambda: space.population_cost(population, arrays),
        "cost of 1e6": lambda: space.population_cost(million, arrays),
        "latency of 1e6": lambda: CacheMisses().network_ms(*space.population_costs(million, warm_ms, cache_miss_ms)),
        "cheapest": lambda: space.cheapest(arrays),
    }
    facts = {"decisions": len(space.decisions), "size": str(space.size), "signatures": len(space.signatures("int8"))}
    return facts | {"seconds": {what: timed(work, repeats) for what, work in works.items()}}


def main() -> None:
    """Prints the figures, and writes them with ``--json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", default=",".join(space_names()))
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = {
        name: bench(name, arguments.rows, arguments.repeats, arguments.seed) for name in arguments.spaces.split(",")
    }
    for name, facts in figures.items():
        print(f"{name}: {facts['decisions']} decisions, {facts['size']} networks, {facts['signatures']} signatures")
        for what, seconds in facts["seconds"].items():
            print(f"  {what:16} {seconds['median']:.4f} s ({seconds['min']:.4f} to {seconds['max']:.4f})")
    if arguments.json:
        settings = {"rows": arguments.rows, "repeats": arguments.repeats, "seed": arguments.seed}
        arguments.json.write_text(json.dumps({"settings": settings, "spaces": figures}, indent=2))


if __name__ == "__main__":
    main()
