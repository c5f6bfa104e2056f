"""One-shot search beside others at equal cost: the same data, budget, CPU time of search, and final training for all.

Every contender is a run of the product in ``--work``: searches by ``edgenas run``, the references as ``edgenas train``
does them. A second call goes on where the first was interrupted.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim
from benchmarking.options import seeds_of
from image_sets import load_set

from edgenas.devices import get_device
from edgenas.export.files import write_atomically
from edgenas.recipe.recipe import Recipe
from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import RunResult, run
from edgenas.run.records import ExportRecord
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.spaces.yaml_reading import dump_yaml
from supernet_bench.spent import Spent
from supernet_bench.widths import REFERENCES, scaled, widest

ONE_SHOT = "supernet"
ALGORITHMS = (ONE_SHOT, "auto", "random")
#: References as published, and with the first two strides taken out, as small images need it.
_FIRST_STRIDES = (0, 2)
_POINT = 0.01
#: Share of the budget that predictions keep free.
_MARGIN = 0.05
#: Trials of the searches that tell what one costs.
_PROBES = (1, 4)


def run_equal(options: argparse.Namespace) -> dict[str, Any]:
    """The JSON document."""
    if options.latency_ms <= 0:
        raise InputError("--latency-ms must be above 0")
    options.work.mkdir(parents=True, exist_ok=True)
    data, shape, classes = image_file(options)
    references, runs = _references(options, shape, classes), list[dict[str, dict[str, float]]]()
    for seed in seeds_of(options):
        runs.append(_one_seed(options, data, references, seed))
        references = _best_of_each(runs[0], references)
    common = [name for name in runs[0] if all(name in one for one in runs)]
    means = {name: statistics.fmean(one[name]["top1"] for one in runs) for name in common}
    scaled_ones = [name for name in means if name.startswith("mobilenet")]
    cost = statistics.fmean(one[ONE_SHOT]["search_cpu"] / one[ONE_SHOT]["ship_cpu"] for one in runs)
    claims = [
        claim("top1 above auto", means[ONE_SHOT] - means["auto"], 0.0, least=True),
        claim("top1 above random", means[ONE_SHOT] - means["random"], 0.0, least=True),
        claim("CPU seconds of the search over those of final training and export", cost, 3.0),
    ]
    if scaled_ones:
        best = max(scaled_ones, key=lambda name: means[name])
        above = means[ONE_SHOT] - means[best]
        claims.insert(0, claim(f"top1 above {best}, {options.seeds} seed(s)", above, _POINT, least=True))
    return {
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


def device_section(options: argparse.Namespace) -> dict[str, str]:
    """Of a recipe: the device, and its table where one is given."""
    table = {"table": str(options.latency_table.resolve())} if options.latency_table else {}
    return {"name": options.device, **table}


def _one_seed(
    options: argparse.Namespace, data: Path, references: Mapping[str, Network], seed: int
) -> dict[str, dict[str, float]]:
    found = {ONE_SHOT: _searched(options, data, seed, ONE_SHOT, options.trials)}
    trials = _trials_for(options, data, found[ONE_SHOT]["search_cpu"])
    for algorithm in ALGORITHMS[1:]:
        found[algorithm] = _searched(options, data, seed, algorithm, trials)
    for label, network in references.items():
        path = options.work / f"{network.name}-{label[-1]}.yaml"
        path.write_text(dump_yaml(network.to_dict()))
        # No budget: it was found by the same measurement, and a busy moment must not end the comparison.
        recipe = _recipe(options, data, seed, path.stem, {"architecture": str(path.resolve())})
        found[label] = _figures(run(recipe, resume=True, quiet=True, output=options.work / recipe.name))
        print(f"seed {seed}, {label}: {network.name}, {found[label]}", flush=True)
    return found


def _references(options: argparse.Namespace, shape: tuple[int, ...], classes: int) -> dict[str, Network]:
    """The widest reference networks that keep the budget when measured, found once for all seeds."""
    path = options.work / "references.json"
    if path.is_file():
        return {label: Network.from_dict(known) for label, known in json.loads(path.read_text()).items()}
    device, found = get_device(options.device), {}
    for name, first_strides in itertools.product(REFERENCES, _FIRST_STRIDES):

        def make(width: float, name: str = name, first_strides: int = first_strides) -> Network:
            return scaled(name, width, input_shape=shape, classes=classes, first_strides=first_strides)

        network = widest(make, lambda model: device.measure(model).median, options.latency_ms)
        label = f"{name}, strides removed: {first_strides}"
        if network is None:
            print(f"{label}: no width keeps {options.latency_ms} ms", flush=True)
        else:
            found[label] = network
    write_atomically(path, json.dumps({label: network.to_dict() for label, network in found.items()}))
    return found


def _best_of_each(found: Mapping[str, Mapping[str, float]], references: Mapping[str, Network]) -> dict[str, Network]:
    """Of each reference family, the one that was best for the first seed: what later seeds train."""
    kept: dict[str, Network] = {}
    for name in REFERENCES:
        labels = [label for label in references if label.startswith(name)]
        if labels:
            best = max(labels, key=lambda label: found[label]["top1"])
            kept[best] = references[best]
    return kept


def _searched(options: argparse.Namespace, data: Path, seed: int, algorithm: str, trials: int) -> dict[str, float]:
    recipe = _recipe(options, data, seed, algorithm, {"name": options.space}, algorithm, trials)
    spent, output = Spent(options.work / "spent"), options.work / recipe.name
    if not (output / "bundle").is_dir():
        with spent.on(f"search {recipe.name}"):
            run(recipe, resume=True, quiet=True, output=output, ship=False)
    with spent.on(f"ship {recipe.name}"):
        result = run(recipe, resume=True, quiet=True, output=output)
    seconds = {f"{part}_cpu": spent.seconds(f"{part} {recipe.name}") or 0.0 for part in ("search", "ship")}
    found = _figures(result) | {"trials": float(trials)} | seconds
    print(f"seed {seed}, {algorithm}: {found}", flush=True)
    return found


def _trials_for(options: argparse.Namespace, data: Path, seconds: float) -> int:
    """Trials of a search that takes so many processor seconds, by two random searches of different length."""
    spent, taken = Spent(options.work / "spent"), []
    for trials in _PROBES:
        recipe = _recipe(options, data, trials, "probe", {"name": options.space}, "random", trials)
        if spent.seconds(f"search {recipe.name}") is None:
            with spent.on(f"search {recipe.name}"):
                run(recipe, resume=True, quiet=True, output=options.work / recipe.name, ship=False)
        taken.append(spent.seconds(f"search {recipe.name}") or 0.0)
    each = (taken[1] - taken[0]) / (_PROBES[1] - _PROBES[0])
    return max(2, 1 + round((seconds - taken[0]) / each))


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
    values["device"] = device_section(options)
    values["budget"] = {"latency_ms": options.latency_ms * options.slack}
    values["search"] = {"algorithm": algorithm, "finalists": 1, "training": short, "latency_margin": margin(options)}
    if algorithm == ONE_SHOT:
        values["supernet"] = {"trials": trials, "max_steps": options.steps, "epochs": 10_000, "scores": options.scores}
    else:
        values["search"]["trials"] = trials
    return Recipe.parse(dump_yaml(values), "the recipe of this benchmark")


def margin(options: argparse.Namespace) -> float:
    """The share of a budget that predictions keep free, so that they are held against the same with any slack."""
    return 1 - (1 - _MARGIN) / float(options.slack)


def float_top1(folder: RunFolder) -> float:
    """Of a finished run: its float model's accuracy on test images."""
    return float(folder.read(ExportRecord).scores[1] or 0.0)


def _figures(result: RunResult) -> dict[str, float]:
    """Accuracy of the float model and of the file, and measured latencies."""
    _, score, shipped = result.export.scores
    found = {
        "top1": float(shipped),
        "top1_float": float(score),
        "latency_ms": float(result.export.measured["latency_ms"]),
    }
    if "latency_quiet_ms" in result.export.measured:
        found["latency_quiet_ms"] = float(result.export.measured["latency_quiet_ms"])
    return found
