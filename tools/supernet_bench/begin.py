"""Steps until a training that begins with a supernet's weights is as good as one that began at random."""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from typing import Any

from edgenas.spaces.errors import InputError
from edgenas.supernet.inherited import variables_of
from edgenas.supernet.network import Supernet
from edgenas.supernet.training import SupernetTraining
from supernet_bench.claims import claim
from supernet_bench.ground import choose_architectures, make_ground
from supernet_bench.ranking import lesson_of, settings_of
from supernet_bench.truth import Training, open_cache, train_alone

_GOAL = 0.5


def run_begin(options: argparse.Namespace) -> dict[str, Any]:
    """The JSON document. Each shorter training has a whole schedule of its own."""
    ground, cache = make_ground(options), open_cache(options)
    rows, _ = choose_architectures(ground.space, options.networks)
    chosen = rows[: options.count]
    names = [str(ground.space.architecture(row)) for row in chosen]
    if not all(cache.has("truth 0", name) for name in names):
        raise InputError(f"{options.cache}: has no truth of the first {options.count} networks; run `truth` first")
    variant = options.variants.split(",")[0]
    supernet = Supernet(ground.space, seed=0)
    folder = options.work / f"{variant}_0.checkpoint"
    training = SupernetTraining(
        supernet, lesson_of(ground, 0), settings_of(options, ground.space, variant), folder=folder
    )
    if training.learner.step < training.steps:
        raise InputError(f"{folder}: has no finished supernet; run `rank` with the same options first")
    found = {}
    for row, name in zip(chosen, names, strict=True):
        training.learner.calibrate(supernet.plan(ground.space.architecture(row)))
        initial = variables_of(*supernet.decode(ground.space.architecture(row)))
        goal = cache.results["truth 0"][name]["accuracy"]
        reached = {}
        for epochs in range(1, options.epochs + 1):
            short = Training(f"{epochs} epochs, inherited", 1.0, epochs, seed=0, on_test=True)
            short = dataclasses.replace(short, learning_rate=options.short_rate)
            reached[epochs] = train_alone(ground, ground.space.architecture(row), short, initial)["accuracy"]
            print(
                f"{name}: {epochs} of {options.epochs} epochs {reached[epochs]:.4f}, from scratch {goal:.4f}",
                flush=True,
            )
            if reached[epochs] >= goal:
                break
        share = len(reached) / options.epochs if max(reached.values()) >= goal else float("inf")
        found[name] = {"scratch": goal, "inherited": reached, "share": share}
    median = statistics.median(one["share"] for one in found.values())
    return {
        "settings": {name: str(value) for name, value in vars(options).items() if name != "run"},
        "networks": found,
        "claims": [claim(f"steps to the accuracy from scratch, median share of {len(found)} networks", median, _GOAL)],
    }
