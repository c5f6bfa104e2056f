"""A supernet is trained and scores the architectures of the truth; how well it orders them, beside the baselines."""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from benchmarking.claims import claim
from benchmarking.options import seeds_of

from edgenas.data.augmentation import Augmentation
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.supernet.families import Families
from edgenas.supernet.lesson import Lesson
from edgenas.supernet.network import Supernet
from edgenas.supernet.settings import SupernetSettings
from edgenas.supernet.training import SupernetProgress, SupernetTraining
from supernet_bench.ground import Ground, choose_architectures, make_ground
from supernet_bench.inherited import CANDIDATES, SHORT, features_of, smoothed, train_inherited
from supernet_bench.truth import Cache, open_cache, trainings
from supernet_bench.ways import Floats, Way, again, column, free_ways, print_table

_ALL_OFF = {"sandwich": False, "distillation": 0.0, "rank_weight": 0.0}
#: How the supernet is trained, one mechanism more at a time; ``default`` is what a recipe gets.
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "uniform": _ALL_OFF,
    "uniform-rank": {**_ALL_OFF, "rank_weight": 1.0},
    "sandwich": {**_ALL_OFF, "sandwich": True},
    "distillation": {**_ALL_OFF, "sandwich": True, "distillation": 1.0},
    "rank": {"sandwich": True, "distillation": 1.0, "rank_weight": 1.0},
}
_TRAINING = "#training"
#: A training of so many epochs on all images ranks well (tau 0.75), and costs ten times what a supernet may.
_USUAL_EPOCHS = 4


def run_rank(options: argparse.Namespace) -> dict[str, Any]:
    """The JSON document."""
    ground, cache = make_ground(options), open_cache(options)
    rows, inside = choose_architectures(ground.space, options.networks)
    names = [str(ground.space.architecture(row)) for row in rows]
    done = [one.name for one in trainings(options.epochs) if all(cache.has(one.name, name) for name in names)]
    truths = [name for name in done if name.startswith("truth")]
    if not truths:
        raise InputError(f"{options.cache}: no finished truth; run `truth` with the same options first")
    truth = np.mean([column(cache, name, names, "accuracy") for name in truths], axis=0)
    ways = free_ways(ground, rows)
    ways |= {
        name: Way(column(cache, name, names, "accuracy"), float(column(cache, name, names, "cpu_seconds").mean()))
        for name in done
        if name not in truths
    }
    known = features_of(ground, rows)
    for name in [name for name in done if name not in truths]:
        ways |= smoothed(name, ways[name], known, 0.0)
    if len(truths) > 1:
        ways["the truth again, other seed"] = again(cache, truths, names)
    for variant in options.variants.split(","):
        ways |= _supernet(ground, options, variant, rows, names, known)
    table = {name: way.figures(truth, inside) for name, way in ways.items()}
    print_table(table, len(rows), int(inside.sum()), truths)
    return {
        "networks": dict(zip(names, zip(truth.tolist(), inside.tolist(), strict=True), strict=True)),
        "truths": truths,
        "ways": table,
        "claims": _claims(
            table,
            options.variants.split(",")[0],
            float(column(cache, truths[0], names, "cpu_seconds").mean()) * _USUAL_EPOCHS / options.epochs,
        ),
    }


# The supernet -----------------------------------------------------------------------------------------------------


def settings_of(options: argparse.Namespace, space: SearchSpace, variant: str) -> SupernetSettings:
    if variant not in VARIANTS:
        raise InputError(f"--variants: unknown {variant!r}; expected some of {', '.join(VARIANTS)}")
    settings = SupernetSettings(
        epochs=10_000,
        batch_size=options.batch_size,
        random_networks=options.random_networks,
        learning_rate=options.learning_rate,
        scored_examples=None,
    )
    settings = dataclasses.replace(settings, **VARIANTS[variant])
    return dataclasses.replace(
        settings, max_steps=max(1, round(options.supernet_batches / cost_of_step(space, settings)))
    )


def cost_of_step(space: SearchSpace, settings: SupernetSettings) -> float:
    """Multiply-accumulates of a step, over those of training one random network: so all variants cost alike."""
    families = Families(space, 0)
    random, largest, smallest = (
        float(families.macs(rows).mean())
        for rows in (space.sample(np.random.default_rng(0), 1000), families.largest.rows, families.smallest.rows)
    )
    ends = largest + smallest if settings.sandwich else 0.0
    # The teacher answers once more, and forwards is a third of forwards and backwards.
    teacher = largest / 3 if settings.distillation else 0.0
    return settings.random_networks + (ends + teacher) / random


def lesson_of(ground: Ground, seed: int) -> Lesson:
    return Lesson(
        ground.task, ground.space, ground.training, ground.held_out, ground.preprocessing, Augmentation(), seed
    )


def _supernet(
    ground: Ground,
    options: argparse.Namespace,
    variant: str,
    rows: npt.NDArray[np.int16],
    names: list[str],
    known: Floats,
) -> dict[str, Way]:
    """What the variant's supernets of all seeds rank by: scores, short trainings, a regression over all of it."""
    settings = settings_of(options, ground.space, variant)
    ways = {}
    for seed in seeds_of(options):
        name = f"supernet {variant}, seed {seed}"
        path = options.work / f"{variant}_{seed}.json"
        cache = Cache(path, open_cache(options).facts | {"settings": settings.to_dict()})
        complete = all(cache.has("scores", one) for one in (_TRAINING, *names))
        first = variant == options.variants.split(",")[0]
        if not complete or (first and not all(cache.has(SHORT.name, one) for one in names)):
            score_networks(ground, settings, seed, rows, cache, short=first)
        training = cache.results["scores"][_TRAINING]["cpu_seconds"]
        each = float(column(cache, "scores", names, "cpu_seconds").mean()) + training / CANDIDATES
        accuracy, loss = column(cache, "scores", names, "accuracy"), column(cache, "scores", names, "loss")
        ways[name] = Way(accuracy, each)
        ways[f"{name}, by likelihood"] = Way(-loss, each)
        if not first:
            continue
        short = f"{name}, {SHORT.name}"
        seconds = float(column(cache, SHORT.name, names, "cpu_seconds").mean())
        ways[short] = Way(column(cache, SHORT.name, names, "accuracy"), each + seconds)
        ways |= smoothed(short, ways[short], np.column_stack([known, accuracy, loss]), each)
    return ways


def score_networks(
    ground: Ground, settings: SupernetSettings, seed: int, rows: npt.NDArray[np.int16], cache: Cache, *, short: bool
) -> None:
    """Trains a supernet and keeps the scores of networks, and what they come to in a short training that goes on."""
    supernet = Supernet(ground.space, seed=seed)
    training = SupernetTraining(
        supernet, lesson_of(ground, seed), settings, folder=cache.path.with_suffix(".checkpoint")
    )
    # Of a training that was interrupted, all parts count.
    before = cache.results.get("scores", {}).get(_TRAINING, {}).get("cpu_seconds", 0.0)
    start = time.process_time()
    try:
        training.run(_say)
    finally:
        cache.put("scores", _TRAINING, {"cpu_seconds": before + time.process_time() - start})
    for row in rows:
        architecture = ground.space.architecture(row)
        if cache.has("scores", str(architecture)):
            continue
        start = time.process_time()
        targets, outputs = training.learner.answers(supernet.plan(architecture))
        found = {"accuracy": training.lesson.score(targets, outputs)}
        found["loss"] = float(training.lesson.loss(targets, list(outputs), 0.0))
        cache.put("scores", str(architecture), found | {"cpu_seconds": time.process_time() - start})
    if short:
        train_inherited(ground, training, rows, cache)


def _say(progress: SupernetProgress) -> None:
    if progress.step % 50 == 0:
        print(f"step {progress.step} of {progress.steps}: losses {progress.losses}", flush=True)


# What is said -----------------------------------------------------------------------------------------------------


def _claims(table: Mapping[str, Mapping[str, float]], variant: str, usual_seconds: float) -> list[dict[str, Any]]:
    """Of the first variant, by likelihood: its taus, and its cost beside that of a training which ranks well."""
    seeds = sum(f"supernet {variant}, seed {seed}" in table for seed in range(len(table)))
    own = [table[f"supernet {variant}, seed {seed}, by likelihood"] for seed in range(seeds)]
    mean = {key: float(np.mean([figures[key] for figures in own])) for key in own[0]}
    free = max(table[name]["tau_all"] for name in ("multiply-accumulates", "parameters", "depth"))
    listed = [
        claim("Kendall tau of the supernet, all networks", mean["tau_all"], 0.7, least=True),
        claim("Kendall tau of the supernet, in the band", mean["tau_band"], 0.5, least=True),
        claim("tau above the best of multiply-accumulates, parameters, depth", mean["tau_all"] - free, 0.0, least=True),
    ]
    listed.append(
        claim(
            f"cost of a candidate over that of {_USUAL_EPOCHS} epochs on all images",
            mean["cpu_seconds_per_candidate"] / usual_seconds,
            0.1,
        )
    )
    return listed
