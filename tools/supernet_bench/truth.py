"""Stand-alone trainings: the truth that a ranking is compared with, and the short ones that are its baselines.

Every result is kept in a file at once, by architecture, recipe and seed, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.files import write_atomically
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.decision import Architecture
from edgenas.training.evaluation import evaluate
from edgenas.training.settings import TrainingSettings
from edgenas.training.train import train
from supernet_bench.ground import Ground, choose_architectures, make_ground

_BATCH = 64


@dataclass(frozen=True)
class Training:
    """A stand-alone training: ``images`` of the training part for some epochs, with a schedule of its own."""

    name: str
    share: float
    epochs: int
    seed: int
    on_test: bool = False
    learning_rate: float = TrainingSettings.learning_rate

    def settings(self) -> TrainingSettings:
        return TrainingSettings(epochs=self.epochs, batch_size=_BATCH, learning_rate=self.learning_rate)


#: The truth is found with at most so many seeds; the proxies have the next ones.
MOST_TRUTHS = 10


def trainings(epochs: int, seeds: int = MOST_TRUTHS) -> list[Training]:
    """The truth with each seed, and the proxies, in the order of what is missed most when time runs out."""
    truths = [Training(f"truth {seed}", 1.0, epochs, seed=seed, on_test=True) for seed in range(seeds)]
    return [
        *truths[:1],
        Training("2 epochs on 40 %", 0.4, 2, seed=MOST_TRUTHS),
        *truths[1:],
        Training("half the epochs", 1.0, max(1, epochs // 2), seed=MOST_TRUTHS + 1),
    ]


class Cache:
    """Results by name of training and architecture; the file of another ground or recipe is refused."""

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.path, self.facts = path, dict(facts)
        self.results: dict[str, dict[str, dict[str, float]]] = {}
        if path.is_file():
            found = json.loads(path.read_text())
            if found["facts"] != self.facts:
                raise InputError(f"{path}: made with {found['facts']}, not {self.facts}; take another --cache")
            self.results = found["results"]

    def put(self, training: str, architecture: str, result: Mapping[str, float]) -> None:
        self.results.setdefault(training, {})[architecture] = dict(result)
        write_atomically(self.path, json.dumps({"facts": self.facts, "results": self.results}, indent=1) + "\n")

    def has(self, training: str, architecture: str) -> bool:
        return architecture in self.results.get(training, {})


def open_cache(options: argparse.Namespace) -> Cache:
    names = ("set", "space", "images", "held_out", "test_images", "networks", "epochs")
    return Cache(options.cache, {name: getattr(options, name) for name in names} | {"batch_size": _BATCH})


def run_truth(options: argparse.Namespace) -> dict[str, Any]:
    """Trains whatever the cache lacks. The JSON document; nothing is claimed of the truth itself."""
    if options.seeds > MOST_TRUTHS:
        raise InputError(f"--seeds: expected at most {MOST_TRUTHS}, found {options.seeds}")
    cache, ground = open_cache(options), make_ground(options)
    rows, _ = choose_architectures(ground.space, options.networks)
    for training in trainings(options.epochs, options.seeds):
        for number, row in enumerate(rows):
            architecture = ground.space.architecture(row)
            if cache.has(training.name, str(architecture)):
                continue
            result = train_alone(ground, architecture, training)
            cache.put(training.name, str(architecture), result)
            print(f"{training.name}: {number + 1} of {len(rows)}: {result}", flush=True)
    return {"results": cache.results, "claims": []}


def train_alone(
    ground: Ground,
    architecture: Architecture,
    training: Training,
    initial: Mapping[str, np.ndarray] | None = None,
) -> dict[str, float]:
    """Accuracy and processor seconds of one training, from random weights where no others are given."""
    network = ground.space.decode(architecture)
    examples = ground.training.subset(round(training.share * len(ground.training)), 0)
    start, wall = time.process_time(), time.monotonic()
    done = train(
        network,
        examples,
        training.settings(),
        task=ground.task,
        seed=training.seed,
        preprocessing=ground.preprocessing,
        initial=initial,
    )
    judged = ground.test if training.on_test else ground.held_out
    metrics = evaluate(done.model, judged, task=ground.task, preprocessing=ground.preprocessing)
    seconds = {"cpu_seconds": time.process_time() - start, "seconds": time.monotonic() - wall}
    return {"accuracy": float(metrics[ground.task.metric] or 0.0)} | seconds
