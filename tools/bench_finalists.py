"""What a longer training of the best few candidates brings: final accuracy with 1, 3 and 5 finalists at equal time.

    python tools/bench_finalists.py --data-dir DIR [--set cifar10_jpeg] [--seeds 3] [--quick] --json OUT.json

One search a seed. With finalists there are fewer trials, so that the images that are trained on are the same in number
from the first trial to the end of the final training; seconds stand beside. Costs are those of the simulated Edge TPU,
which is always the same. A random network within the budget gets the same final training.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim, spread
from benchmarking.document import conduct
from benchmarking.options import BenchParser
from image_sets import load_set

from edgenas.recipe.recipe import Recipe
from edgenas.run.context import RunContext
from edgenas.run.finalists import finalist_settings, train_finalist
from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import run
from edgenas.run.progress import Progress
from edgenas.run.train import run_training
from edgenas.search.sampling import random_feasible
from edgenas.spaces.network import Network
from edgenas.study.evaluation import derived_seed
from edgenas.study.study import Trial

FINALISTS = (1, 3, 5)
_RANDOM = -1


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        return conduct(lambda options: measure(options, Path(options.work or folder)), options)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The document that ``--json`` writes."""
    sizes = _sizes(options)
    data = _subset(options, sizes, folder)
    runs = [_one_seed(options, sizes, data, folder, seed) for seed in range(options.seeds)]
    spreads = {name: spread([one["top1"][name] for one in runs]) for name in runs[0]["top1"]}
    means, deviations = ({name: one[key] for name, one in spreads.items()} for key in ("mean", "deviation"))
    for name, mean in means.items():
        wide = "" if deviations[name] is None else f" +- {deviations[name]:.4f}"
        print(f"{name}: top1 {mean:.4f}{wide} on test images, {len(runs)} seed(s)")
    claims = [_above(means, f"finalists_{few}", "finalists_1") for few in FINALISTS[1:]]
    claims.append(_above(means, "finalists_3", "random"))
    return {
        "settings": sizes,
        "mean": means,
        "deviation": deviations,
        "runs": runs,
        "claims": claims,
    }


def _above(means: dict[str, float], way: str, other: str) -> dict[str, Any]:
    return claim(f"mean top1 of {way} above that of {other}", means[way] - means[other], 0.0, least=True)


def _sizes(options: argparse.Namespace) -> dict[str, int | float]:
    return {
        "train_images": options.images,
        "test_images": options.test_images,
        "trials": options.trials,
        "short_images": options.short_images,
        "short_epochs": 2,
        "epochs": options.epochs,
        "share": 0.2,
    }


def trials_with(few: int, sizes: dict[str, int | float], trained_images: int) -> int:
    """How many trials leave time for so many finalists.

    >>> sizes = {"trials": 60, "short_images": 4000, "short_epochs": 2, "epochs": 30, "share": 0.2}
    >>> [trials_with(few, sizes, 8_500) for few in (1, 3, 5)]
    [60, 40, 28]
    """
    if few == 1:
        return int(sizes["trials"])
    longer = few * round(sizes["share"] * sizes["epochs"]) * trained_images
    return max(few, int(sizes["trials"] - longer / (sizes["short_epochs"] * sizes["short_images"])))


def _subset(options: argparse.Namespace, sizes: dict[str, int | float], folder: Path) -> Path:
    data = load_set(options.set, options.data_dir)
    train = data.train.subset(int(sizes["train_images"]), seed=0)
    test = data.test.subset(int(sizes["test_images"]), seed=0)
    path = folder / "subset.npz"
    np.savez(path, x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)
    return path


def _recipe(options: argparse.Namespace, sizes: dict[str, int | float], data: Path, seed: int) -> Recipe:
    return Recipe.parse(
        f"name: finalists-{seed}\nseed: {seed}\ndata: {{path: {data}}}\nspace: {{name: {options.space}}}\n"
        f"device: {{name: edgetpu-sim}}\nbudget: {{macs: {int(options.macs)}}}\n"
        f"search:\n  trials: {sizes['trials']}\n  finalist_share: {sizes['share']}\n"
        f"  training: {{epochs: {sizes['short_epochs']}, images: {sizes['short_images']}, batch_size: 64}}\n"
        f"training: {{epochs: {sizes['epochs']}, batch_size: 64, initial: scratch}}\n",
        "the recipe of this benchmark",
    )


def _one_seed(
    options: argparse.Namespace, sizes: dict[str, int | float], data: Path, folder: Path, seed: int
) -> dict[str, Any]:
    recipe, began = _recipe(options, sizes, data, seed), time.monotonic()
    found = run(recipe, ship=False, quiet=True, output=folder / f"seed-{seed}", resume=True)
    context = RunContext(recipe, RunFolder(found.run), Progress(quiet=True))
    trained = len(context.dataset.split(recipe.data.validation_fraction, seed)[0])
    finals = _Finals(context)
    top1: dict[str, float] = {}
    seconds: dict[str, float] = {}
    chosen: dict[str, int] = {}
    settings = finalist_settings(recipe)
    with closing(context.open_study()) as study:
        for few in FINALISTS:
            trials = study.trials[: trials_with(few, sizes, trained)]
            best = _ranking(trials)[:few]
            scores = {one.number: one.score or 0.0 for one in best}
            spent = sum(one.seconds or 0.0 for one in trials)
            if few > 1:
                longer = {one.number: train_finalist(context, study, one.number, settings, "finalist") for one in best}
                scores = {number: record.score or 0.0 for number, record in longer.items()}
                spent += sum(record.seconds or 0.0 for record in longer.values())
            number = max(scores, key=lambda one: scores[one])
            name = f"finalists_{few}"
            network = context.space.decode(context.space.parse(study.trial(number).architecture))
            top1[name], final = finals.of(number, network)
            chosen[name], seconds[name] = number, spent + final
            print(f"seed {seed}, {name}: {len(trials)} trials, trial {number}, top1 {top1[name]:.4f}", flush=True)
    problem = context.costs.problem(context.limits, 1)
    row = random_feasible(problem, np.random.default_rng([seed, 1]), set())[0]
    top1["random"], seconds["random"] = finals.of(_RANDOM, context.space.decode(row))
    print(f"seed {seed}, random: top1 {top1['random']:.4f}", flush=True)
    return {
        "seed": seed,
        "top1": top1,
        "chosen": chosen,
        "trials": {str(few): trials_with(few, sizes, trained) for few in FINALISTS},
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "wall_seconds": round(time.monotonic() - began, 1),
    }


def _ranking(trials: Sequence[Trial]) -> list[Trial]:
    complete = [trial for trial in trials if trial.state == "complete"]
    return sorted(complete, key=lambda trial: (-(trial.reward or 0.0), trial.number))


class _Finals:
    """Final trainings of networks, each done once: (top1 on the test images, seconds)."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.known: dict[int, tuple[float, float]] = {}

    def of(self, number: int, network: Network) -> tuple[float, float]:
        if number not in self.known:
            self.known[number] = self._train(number, network)
        return self.known[number]

    def _train(self, number: int, network: Network) -> tuple[float, float]:
        from edgenas.training import evaluate

        context = self.context
        done = run_training(
            context,
            number,
            network,
            context.recipe.training.settings(),
            seed=derived_seed(context.recipe.seed, 2, abs(number)),
            folder=context.folder.path / "bench" / str(number),
            title="train",
        )
        found = evaluate(
            done.result.model,
            context.dataset.test,
            task=context.task,
            preprocessing=done.preprocessing,
            outputs=network.outputs,
        )
        return float(found[context.task.metric]), done.result.seconds


def _parser() -> BenchParser:
    parser = BenchParser(description=__doc__)
    parser.add_argument("--set", default="cifar10_jpeg", help="name of a data set in it")
    parser.add_argument("--space", default="tiny_edge")
    parser.add_argument("--macs", type=float, default=4e6, help="the budget")
    parser.add_argument("--trials", type=int, default=60, help="of the search without finalists (default 60)")
    parser.add_argument("--epochs", type=int, default=30, help="of the final training (default 30)")
    parser.add_argument("--images", type=int, default=10_000, help="training images (default 10,000)")
    parser.add_argument("--short-images", type=int, default=4000, help="of a trial (default 4,000)")
    parser.add_argument("--test-images", type=int, default=5000, help="(default 5,000)")
    parser.add_argument("--work", help="folder to keep the runs in, so that a second call goes on")
    parser.add_common(
        seeds=3,
        seeds_help="searches",
        quick={"trials": 14, "epochs": 6, "images": 2000, "short_images": 800, "test_images": 1000},
        data_dir="folder of the data sets",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
