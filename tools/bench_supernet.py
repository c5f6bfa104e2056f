"""How well a supernet ranks, what it costs, and how its controller does.

    python tools/bench_supernet.py tables --table T.csv --architecture arch --accuracy acc --cost macs --json OUT.json
    python tools/bench_supernet.py truth --data-dir DIR --cache truth.json
    python tools/bench_supernet.py rank --data-dir DIR --cache truth.json --json rank.json
    python tools/bench_supernet.py cost --data-dir DIR --json cost.json
    python tools/bench_supernet.py target --data-dir DIR --json target.json
    python tools/bench_supernet.py equal --data-dir DIR --work DIR --json equal.json
    python tools/bench_supernet.py begin --work DIR --json begin.json
    python tools/bench_supernet.py budgets --data-dir DIR --work DIR --json budgets.json

``tables``: the controller alone, with qualities from a table, for each reward. The *result* is the best architecture
within the budget among those sampled; the most probable one is judged too. ``different_samples`` says how much of the
table was looked at. The target is the budget, a share of the largest cost.

``truth``: random architectures of a space, half of them within 20 % of one number of multiply-accumulates, are trained
alone, and shortly as a search would. Each result is kept at once: run again, it goes on.

``rank``: a supernet is trained, scores the same architectures, and Kendall's tau with the truth stands beside that of
multiply-accumulates, parameters, depth and short trainings, with the cost of a ranked candidate.

``cost``: processor time of a step and peak memory, beside those of the space's largest network trained alone.

``target``: supernet and controller are trained together towards a cost in the middle of the space; how far what the
search ends with is from it, and how far the most probable option of every decision.

``equal``: the result of a one-shot search beside those of `auto` and `random` with as many seconds of search, and
beside the widest MobileNetV2 and MobileNetEdgeTPUV2 under the same measured latency; the same final training for all.
The first seed trains the references with and without their first two strides, the others the better of each family.

``begin``: steps that the networks of ``equal`` need to be as good as from scratch when they begin with the weights of a
supernet. ``--work`` is that of ``equal``.

``budgets``: one supernet for several latency budgets, and how much of each the shipped model uses.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarking.document import conduct
from benchmarking.options import NOT_USED, BenchParser
from supernet_bench.begin import run_begin
from supernet_bench.budgets import run_budgets
from supernet_bench.cost import run_cost
from supernet_bench.equal import run_equal
from supernet_bench.ranking import VARIANTS, run_rank
from supernet_bench.tables import REWARDS, run_tables
from supernet_bench.target import run_target
from supernet_bench.truth import run_truth

from edgenas.supernet.settings import SupernetSettings


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    return conduct(options.run, options)


#: What ``--quick`` sets where images are needed; ``truth`` and ``rank`` must agree.
QUICK_IMAGES = {"images": 600, "held_out": 200, "test_images": 300, "networks": 6}
QUICK_SEARCH = {"images": 800, "test_images": 500, "epochs": 1, "steps": 20, "scores": 8, "trials": 2} | {
    "short_epochs": 1,
    "short_images": 300,
}
#: By part, how many seeds there are usually, what a seed is, and the quick settings.
COMMON = {
    "tables": (20, "searches per reward", {"seeds": 5}),
    "truth": (2, "trainings of each network", QUICK_IMAGES | {"seeds": 1, "epochs": 2}),
    "rank": (1, "supernets of each variant", QUICK_IMAGES | {"epochs": 2, "supernet_batches": 200}),
    "cost": (1, "measurements, of which the median counts", QUICK_IMAGES | {"batch_size": 16, "steps": 5}),
    "target": (5, "searches of each reward", QUICK_IMAGES | {"rewards": "absolute", "steps": 60, "seeds": 1}),
    "equal": (3, "searches of each way", QUICK_SEARCH | {"seeds": 1}),
    "begin": (1, "seeds of equal; three networks each", {"epochs": "1"}),
    "budgets": (1, "supernets", QUICK_SEARCH),
}


def _parser() -> BenchParser:
    parser = BenchParser(description=__doc__)
    parts = parser.add_subparsers(required=True, metavar="PART")
    for name, run, adders in (
        ("tables", run_tables, (add_table_options,)),
        ("truth", run_truth, (add_ground_options, add_truth_options)),
        ("rank", run_rank, (add_ground_options, add_truth_options, add_rank_options)),
        ("cost", run_cost, (add_ground_options, add_cost_options)),
        ("target", run_target, (add_ground_options, add_target_options)),
        ("equal", run_equal, (add_search_options, add_equal_options)),
        ("begin", run_begin, (add_begin_options,)),
        ("budgets", run_budgets, (add_search_options, add_budgets_options)),
    ):
        part = parts.add_parser(name)
        for add in adders:
            add(part)
        seeds, words, quick = COMMON[name]
        what = {"tables": "folder of the table", "begin": NOT_USED}.get(name, "folder of the data sets")
        part.add_common(seeds=seeds, seeds_help=words, quick=quick, data_dir=what)
        part.set_defaults(run=run)
    return parser


def add_ground_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--set", default="cifar10_jpeg", help="name of the data set (default cifar10_jpeg)")
    parser.add_argument("--space", default="tiny_edge")
    parser.add_argument("--images", type=int, default=10_000, help="training images (default 10,000)")
    parser.add_argument("--held-out", type=int, default=2500, help="images of cheap scores (default 2,500)")
    parser.add_argument("--test-images", type=int, default=5000, help="test images of the truth (default 5,000)")
    parser.add_argument("--networks", type=int, default=24, help="half of them in one cost band (default 24)")


def add_table_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--table", required=True, help="csv file with one architecture per row")
    parser.add_argument("--architecture", metavar="COL", required=True, help="text column: 2101 or 8:16:8")
    parser.add_argument("--accuracy", metavar="COL", required=True, help="column to maximise, of full rows")
    parser.add_argument("--cost", metavar="COL", required=True, help="column under the budget")
    parser.add_argument("--budget-fraction", type=float, default=0.5, help="share of the largest cost (default 0.5)")
    parser.add_argument("--samples", type=int, default=4000, help="architectures per search (default 4,000)")


def add_truth_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--epochs", type=int, default=10, help="of the truth (default 10)")
    parser.add_argument("--cache", type=Path, required=True, help="file that results are kept in")


def add_rank_options(parser: argparse.ArgumentParser) -> None:
    defaults = SupernetSettings()
    parser.add_argument(
        "--supernet-batches", type=int, default=12_000, help="that networks learn from (default 12,000)"
    )
    parser.add_argument("--batch-size", type=int, default=32, help="examples in each of them (default 32)")
    parser.add_argument("--random-networks", type=int, default=defaults.random_networks, help="of a step")
    parser.add_argument("--learning-rate", type=float, default=defaults.learning_rate, help="of the supernet")
    parser.add_argument(
        "--variants", default="default", help=f"separated by commas, the first is judged: {', '.join(VARIANTS)}"
    )
    parser.add_argument("--work", type=Path, default=Path("supernet_bench"), help="folder of checkpoints and scores")


def add_cost_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=30, help="that are timed (default 30)")


def add_target_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--latency-table", type=Path, help="of `edgenas profile`; without it, multiply-accumulates")
    parser.add_argument("--rewards", default=",".join(REWARDS), help="separated by commas (default all)")
    parser.add_argument("--steps", type=int, default=600, help="of supernet and controller (default 600)")
    parser.add_argument("--batch-size", type=int, default=32)


def add_search_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--set", default="cifar10_jpeg", help="name of the data set (default cifar10_jpeg)")
    parser.add_argument("--space", default="tiny_edge")
    parser.add_argument("--device", default="local-cpu", help="that latencies are measured on (default local-cpu)")
    parser.add_argument("--latency-table", type=Path, help="of the device and space; made where it is not given")
    parser.add_argument("--images", type=int, default=10_000, help="training images (default 10,000)")
    parser.add_argument("--test-images", type=int, default=10_000, help="test images (default 10,000)")
    parser.add_argument("--epochs", type=int, default=10, help="of the final training (default 10)")
    parser.add_argument("--steps", type=int, default=2000, help="of the supernet (default 2,000)")
    parser.add_argument("--scores", type=int, default=120, help="networks scored (default 120)")
    parser.add_argument("--trials", type=int, default=6, help="best scored networks trained shortly (default 6)")
    parser.add_argument("--short-epochs", type=int, default=2, help="of a short training (default 2)")
    parser.add_argument("--short-images", type=int, default=4000, help="of a short training (default 4,000)")
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs; a second call goes on")
    parser.add_argument(
        "--slack",
        type=float,
        default=1.0,
        help="on a busy machine, the measured median may be so many times the budget; predictions may not (default 1)",
    )


def add_equal_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--latency-ms", type=float, default=0.25, help="the budget (default 0.25)")


def add_budgets_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from-run", type=Path, help="run whose supernet is searched, of the same space and images")
    parser.add_argument("--limits", default="0.12,0.18,0.25", help="ms, separated by commas (default 0.12,0.18,0.25)")


def add_begin_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs of `equal`; a second call goes on")
    parser.add_argument(
        "--epochs", default="3,6,9", help="of the shorter trainings, separated by commas (default 3,6,9)"
    )


if __name__ == "__main__":
    sys.exit(main())
