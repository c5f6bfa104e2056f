"""One-shot search beside others at equal cost: the same data, budget, seconds of search and final training for all.

Every contender is a run of the product in ``--work``: searches by ``edgenas run``, the references as ``edgenas train``
does them. A second call goes on where the first was interrupted.
"""

from __future__ import annotations

import argparse
import statistics
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from image_sets import load_set

from edgenas.devices import get_device
from edgenas.recipe.recipe import Recipe
from edgenas.run.context import RunContext
from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import RunResult, run
from edgenas.run.progress import Progress
from edgenas.run.records import ScoreRecord, SearchRecord, SupernetRecord, TrainRecord
from edgenas.spaces.errors import InputError
from edgenas.spaces.yaml_reading import dump_yaml
from supernet_bench.claims import claim
from supernet_bench.widths import REFERENCES, scaled, widest

ONE_SHOT = "supernet"
#: References as published, and with the first two strides taken out, as small images need it.
_FIRST_STRIDES = (0, 2)
_POINT = 0.01


def run_equal(options: argparse.Namespace) -> dict[str, Any]:
    """The JSON document."""
    if options.seeds < 1 or options.latency_ms <= 0:
        raise InputError("--seeds and --latency-ms must be above 0")
    options.work.mkdir(parents=True, exist_ok=True)
    data, shape, classes = image_file(options)
    runs = [_one_seed(options, data, shape, classes, seed) for seed in range(options.seeds)]
    common = [name for name in runs[0] if all(name in one for one in runs)]
    means = {name: statistics.fmean(one[name]["top1"] for one in runs) for name in common}
    references = [name for name in means if name.startswith("mobilenet")]
    cost = statistics.fmean(one[ONE_SHOT]["search_seconds"] / one[ONE_SHOT]["train_seconds"] for one in runs)
    claims = [
        claim("top1 above auto", means[ONE_SHOT] - means["auto"], 0.0, least=True),
        claim("top1 above random", means[ONE_SHOT] - means["random"], 0.0, least=True),
        claim("seconds of the search over those of one final training", cost, 3.0),
    ]
    if references:
        best = max(references, key=lambda name: means[name])
        above = means[ONE_SHOT] - means[best]
        claims.insert(0, claim(f"top1 above {best}, {options.seeds} seed(s)", above, _POINT, least=True))
    return {
        "settings": {name: str(value) for name, value in vars(options).items() if name != "run"},
        "runs": runs,
        "mean_top1": means,
        "claims": claims,
    }


def image_file(options: argparse.Namespace) -> tuple[Path, tuple[int, ...], int]:
    """File with the images that all contenders share, their shape, and the number of classes."""
    dataset = load_set(options.set, options.data_dir)
    train, test = dataset.train.subset(options.images, 0), dataset.test.subset(options.test_images, 0)
    path = options.work / "images.npz"
    if not path.is_file():
        np.savez(path, x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)
    return path.resolve(), tuple(dataset.image_shape), dataset.classes


def _one_seed(
    options: argparse.Namespace, data: Path, shape: tuple[int, ...], classes: int, seed: int
) -> dict[str, dict[str, float]]:
    found = {ONE_SHOT: _searched(options, data, seed, ONE_SHOT, options.trials)}
    trials = max(2, round(found[ONE_SHOT]["search_seconds"] / found[ONE_SHOT]["trial_seconds"]))
    for algorithm in ("auto", "random"):
        found[algorithm] = _searched(options, data, seed, algorithm, trials)
    device = get_device(options.device)
    for name in REFERENCES:
        for first_strides in _FIRST_STRIDES:

            def make(width: float, name: str = name, first_strides: int = first_strides) -> Any:
                return scaled(name, width, input_shape=shape, classes=classes, first_strides=first_strides)

            network = widest(make, lambda model: device.measure(model).median, options.latency_ms)
            label = f"{name}, {first_strides} strides less"
            if network is None:
                print(f"seed {seed}, {label}: no width keeps {options.latency_ms} ms", flush=True)
                continue
            path = options.work / f"{network.name}-{first_strides}.yaml"
            path.write_text(dump_yaml(network.to_dict()))
            # No budget: it was found by the same measurement, and a busy moment must not end the comparison.
            recipe = _recipe(
                options, data, seed, f"{network.name}-{first_strides}", {"architecture": str(path.resolve())}
            )
            found[label] = _figures(run(recipe, resume=True, quiet=True, output=options.work / recipe.name))
            print(f"seed {seed}, {label}: {network.name}, {found[label]}", flush=True)
    return found


def _searched(options: argparse.Namespace, data: Path, seed: int, algorithm: str, trials: int) -> dict[str, float]:
    recipe = _recipe(options, data, seed, algorithm, {"name": options.space}, algorithm, trials)
    result = run(recipe, resume=True, quiet=True, output=options.work / recipe.name)
    found = _figures(result) | {"trials": float(trials)}
    print(f"seed {seed}, {algorithm}: {found}", flush=True)
    return found


def _recipe(
    options: argparse.Namespace,
    data: Path,
    seed: int,
    name: str,
    space: dict[str, str],
    algorithm: str | None = None,
    trials: int = 0,
) -> Recipe:
    """The recipe of a contender; all have data, device and final training in common."""
    values: dict[str, Any] = {
        "name": f"{name}-{seed}",
        "seed": seed,
        "data": {"path": str(data)},
        "space": space,
        "device": {"name": options.device},
        "training": {"epochs": options.epochs, "batch_size": 64, "initial": "scratch"},
    }
    if algorithm is None:
        return Recipe.parse(dump_yaml(values), "the recipe of this benchmark")
    short = {"epochs": options.short_epochs, "images": options.short_images, "batch_size": 64}
    values["budget"] = {"latency_ms": options.latency_ms}
    values["search"] = {"algorithm": algorithm, "finalists": 1, "training": short}
    if algorithm == ONE_SHOT:
        values["supernet"] = {"trials": trials, "max_steps": options.steps, "epochs": 10_000, "scores": options.scores}
    else:
        values["search"]["trials"] = trials
    return Recipe.parse(dump_yaml(values), "the recipe of this benchmark")


def _figures(result: RunResult) -> dict[str, float]:
    """Accuracy of the float model and of the file, measured latencies, and what search and training took."""
    folder = RunFolder(result.run)
    search = sum(folder.read(kind).seconds for kind in (SupernetRecord, ScoreRecord, SearchRecord))
    _, score, shipped = result.export.scores
    found = {
        "top1": float(shipped),
        "top1_float": float(score),
        "latency_ms": float(result.export.measured["latency_ms"]),
        "search_seconds": search,
        "train_seconds": folder.read(TrainRecord).seconds,
    }
    if "latency_quiet_ms" in result.export.measured:
        found["latency_quiet_ms"] = float(result.export.measured["latency_quiet_ms"])
    if not result.is_fixed:
        recipe = folder.read_recipe()
        with closing(RunContext(recipe, folder, Progress(quiet=True)).open_study()) as study:
            seconds = [trial.seconds for trial in study.trials if trial.seconds]
        found["trial_seconds"] = statistics.fmean(seconds)
    return found
