"""What trials bring each other, and what training tricks bring: transfer, distillation, stages, ensembles.

    python tools/bench_learning.py transfer --data-dir DIR [--set cifar10_jpeg] [--seeds 5] [--quick] --json OUT.json

``transfer``: the same search with and without weights of finished trials: trials and processor time until the best
short score of the plain one, and the rank correlation of short scores with the accuracy after a long training.

``distillation``: a student with the largest network as its teacher, for a fixed share of the loss and for one that
grows, against labels alone for as much processor time.

``progressive``: a training in stages of growing images against a plain one, for as many epochs and for as much time.

``ensemble``: ensembles of two towers against the best single network, under one latency budget, both measured.

``shape``: model_search against random and reinforce on a table of known architectures (``--table``): trials to the same
accuracy.

Times are of the processor, graphs and all, so that other work on the machine counts little.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarking.document import conduct
from benchmarking.options import BenchParser
from learning_bench.distillation import run_distillation
from learning_bench.ensemble import run_ensemble
from learning_bench.progressive import run_progressive
from learning_bench.shape import run_shape
from learning_bench.transfer import run_transfer

PARTS = {
    "transfer": run_transfer,
    "distillation": run_distillation,
    "progressive": run_progressive,
    "ensemble": run_ensemble,
    "shape": run_shape,
}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    options.seeds = options.seeds or (options.table_seeds if options.part == "shape" else 5)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(options.work or folder)
        work.mkdir(parents=True, exist_ok=True)
        return conduct(lambda options: PARTS[options.part](options, work), options)


def _parser() -> BenchParser:
    parser = BenchParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--set", default="cifar10_jpeg", help="name of the data set (default cifar10_jpeg)")
    parser.add_argument("--space", help="name or file of a space; by default a small one of the benchmark's own")
    parser.add_argument("--images", type=int, help="training images (default 10,000, with --quick 1,500)")
    parser.add_argument("--epochs", type=int, help="of long trainings (default 30, with --quick 6)")
    parser.add_argument("--trials", type=int, help="of a search (default 40, with --quick 12 or 8)")
    parser.add_argument("--short-epochs", type=int, help="of trials (default 3, with --quick or of ensemble 1)")
    parser.add_argument("--short-images", type=int, help="that they see (default 4,000, with --quick 600)")
    parser.add_argument("--finals", type=int, help="long trainings that transfer compares (default 20, with --quick 8)")
    parser.add_argument("--transfer", default="best", help="search.transfer where it is on (default best)")
    parser.add_argument("--device", default="local-cpu", help="of ensemble (default local-cpu)")
    parser.add_argument("--latency-ms", type=float, default=0.1, help="budget of ensemble (default 0.1)")
    parser.add_argument("--methods", default="", help="of ensemble, separated by commas (default all)")
    parser.add_argument("--table", help="of shape: csv file with one architecture per row")
    parser.add_argument("--architecture", metavar="COL", default="arch")
    parser.add_argument("--accuracy", metavar="COL", default="accuracy")
    parser.add_argument("--cost", metavar="COL", default="macs")
    parser.add_argument("--budget-fraction", type=float, default=0.5, help="of shape (default 0.5)")
    parser.add_argument("--table-seeds", type=int, default=20, help="seeds of shape where --seeds is not given")
    parser.add_argument("--work", help="folder for runs and finished seeds; by default a temporary one")
    parser.add_common(
        seeds=None,
        seeds_help="searches or trainings (default 5, of shape 20)",
        quick={},
        data_dir="folder of the data sets",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
