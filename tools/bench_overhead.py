"""What a search costs besides training: CPU seconds a trial for suggesting it, and for keeping the record of it.

python tools/bench_overhead.py [--space tiny_edge] [--algorithms auto,random] [--trials 1000] [--workers 1] [--busy 0]
                               [--seeds 1] [--quick] [--data-dir DIR] [--json OUT]

A whole search as ``edgenas search`` runs it, on the simulated device, with workers that answer at once. The figures
are those that the run itself writes into its log every 100 trials. ``--busy N`` lets N processes compute all the time
beside it, as trainings do.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarking.claims import claim
from benchmarking.document import conduct
from benchmarking.options import BenchParser, seeds_of

from edgenas.recipe.recipe import Recipe
from edgenas.run.log import read_log
from edgenas.run.pipeline import run
from edgenas.study.workers import Candidate, Evaluator

SHOWN_AFTER = (100, 300, 500, 1000)
#: CPU seconds a trial that a suggestion of ``auto`` may take between 300 and 500 trials.
GOAL_SECONDS = 0.06


def formula(candidate: Candidate) -> float:
    """An accuracy for any architecture, at once: larger options are better, with a little noise."""
    digits = [int(letter) for letter in candidate.architecture if letter.isdigit()]
    return sum(digits) / (9 * len(digits)) + candidate.seed % 100 / 1e4


def make_formula() -> Evaluator:
    """What a worker makes once."""
    return formula


def one_search(algorithm: str, arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    """One search; the cost of its trials by how many there were."""
    with tempfile.TemporaryDirectory(prefix="edgenas-overhead-") as folder:
        recipe = Recipe.parse(
            f"""
name: overhead
seed: {seed}
data: {{name: fashion_mnist}}
space: {{name: {arguments.space}}}
device: {{name: edgetpu-sim}}
budget: {{latency_ms: {arguments.latency_ms}}}
search: {{trials: {arguments.trials}, workers: {arguments.workers}, algorithm: {algorithm}}}
""",
            "the recipe of this benchmark",
        )
        if arguments.data_dir:
            recipe = recipe.with_data_directory(arguments.data_dir)
        output = Path(folder) / "run"
        run(recipe, output=output, ship=False, quiet=True, evaluator=make_formula)
        told = [event for event in read_log(output / "log.jsonl") if event["event"] == "search_overhead"]
    return {
        str(event["after"]): {
            name: round(event[f"{name}_seconds"] / event["trials"], 5) for name in ("suggest", "bookkeeping")
        }
        for event in told
    }


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that compute until the end."""
    processes = [multiprocessing.get_context("spawn").Process(target=_spin, daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def _spin() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        sum(range(1_000_000))


def claims(found: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What ``auto`` may cost late in a search."""
    late = [
        place["suggest"]
        for seed in found.get("auto", [])
        for after, place in seed.items()
        if int(after) in (400, 500) or (int(after) > 200 and len(seed) < 4)
    ]
    if not late:
        return []
    words = "CPU seconds for a suggestion of auto inside a run, 300 to 500 trials"
    return [claim(words, round(sum(late) / len(late), 5), GOAL_SECONDS)]


def bench(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of all searches."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in options.algorithms.split(",")}
    with busy(options.busy):
        for name in found:
            for seed in seeds_of(options):
                found[name].append(one_search(name, options, seed))
                for after, place in found[name][-1].items():
                    if int(after) in SHOWN_AFTER:
                        print(
                            f"{name:24} seed {seed}, trial {int(after):5}: {place['suggest']:.4f} s to suggest, "
                            f"{place['bookkeeping']:.4f} s to keep the record",
                            flush=True,
                        )
    return {"algorithms": found, "claims": claims(found)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures, and writes them with ``--json``."""
    parser = BenchParser(description=__doc__)
    parser.add_argument("--space", default="tiny_edge")
    parser.add_argument("--latency-ms", type=float, default=1.05, help="budget on the simulated device")
    parser.add_argument("--algorithms", default="auto,random")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside the search")
    parser.add_common(
        seeds_help="searches of each algorithm",
        quick={"algorithms": "auto", "trials": 300, "seeds": 1},
        data_dir="folder of full data sets; without it, the images that come with EdgeNAS",
    )
    return conduct(bench, parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
