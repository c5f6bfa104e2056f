"""What all parts of the benchmark stand on: a subset of a data set, a space, sizes, and trainings by processor time."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from image_sets import load_set

from edgenas.data.dataset import Dataset, Split
from edgenas.data.loading import load_dataset
from edgenas.export.files import write_atomically
from edgenas.recipe.recipe import Recipe
from edgenas.spaces.network import Network
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.tasks import get_task
from edgenas.training import TrainingSettings, evaluate, train

#: A space whose networks are built and trained in seconds on one CPU.
SMALL_SPACE = """\
name: learning_bench
task: classification
input_shape: [32, 32, 3]
classes: 10
stem: {block: conv, filters: 8, kernel: 3, stride: 2}
stages:
  - stride: 2
    filters: [8, 16, 24]
    depth: [1, 2]
    layers:
      - blocks:
          - {block: ibn, kernel: [3, 5], expansion: [2, 4]}
          - {block: fused_ibn, expansion: [1, 2]}
  - stride: 2
    filters: [16, 32, 48]
    depth: [1, 2]
    layers:
      - blocks:
          - {block: ibn, kernel: [3, 5], expansion: [2, 4]}
          - {block: fused_ibn, expansion: [1, 2]}
head:
  - {block: classifier, dropout: 0.1}
"""


@dataclass(frozen=True)
class Trained:
    """A test accuracy and the processor seconds that its training took, graphs included."""

    top1: float
    cpu_seconds: float
    steps: int
    model: Any

    def to_json(self) -> dict[str, float]:
        return {"top1": self.top1, "cpu_seconds": self.cpu_seconds, "steps": self.steps}


@dataclass(frozen=True)
class Ground:
    """Data, space and settings. ``path`` is the subset as a file, for recipes; ``folder`` is for runs."""

    data: Dataset
    path: Path
    space_path: Path
    folder: Path
    epochs: int
    options: argparse.Namespace

    @property
    def space(self) -> SearchSpace:
        task = get_task("classification")
        return SearchSpace.load(self.space_path, **task.space_arguments(self.data))

    @property
    def training(self) -> Split:
        return self.data.train

    def settings(self, **others: Any) -> TrainingSettings:
        return TrainingSettings(**({"epochs": self.epochs, "batch_size": 64} | others))

    def train(self, network: Network, settings: TrainingSettings, seed: int, **others: Any) -> Trained:
        """Trains on all training images; the accuracy is on the test images."""
        task = get_task("classification")
        preprocessing = task.fit(self.training)
        start = time.process_time()
        done = train(network, self.training, settings, task=task, seed=seed, preprocessing=preprocessing, **others)
        seconds = time.process_time() - start
        metrics = evaluate(done.model, self.data.test, task=task, preprocessing=preprocessing)
        return Trained(metrics["top1"], seconds, done.steps, done.model)

    def seeds(self, one_seed: Callable[[int], dict[str, Any]], name: str = "") -> list[dict[str, Any]]:
        """What each seed found. A finished one is kept in the folder, and not done again with the same settings."""
        without = ("seeds", "work", "json")
        settings = {key: str(value) for key, value in vars(self.options).items() if key not in without}
        found = []
        for seed in range(self.options.seeds):
            path = self.folder / f"{name or self.options.part}-{seed}.json"
            kept = json.loads(path.read_text()) if path.is_file() else {}
            if kept.get("settings") != settings:
                kept = {"settings": settings, "found": one_seed(seed)}
                write_atomically(path, json.dumps(kept, indent=1, default=float) + "\n")
            found.append(kept["found"])
        return found

    def short_training(self, epochs: int) -> str:
        """The trainings of a search's trials in a recipe, for so many epochs unless asked for otherwise."""
        options = self.options
        images = options.short_images or (600 if options.quick else 4000)
        return f"training: {{epochs: {options.short_epochs or epochs}, images: {images}, batch_size: 64}}"

    def recipe(self, name: str, seed: int, text: str) -> Recipe:
        """A recipe on this data and space; ``text`` is its budget, device and search."""
        head = f"name: {name}\nseed: {seed}\ndata: {{path: {self.path}}}\nspace: {{path: {self.space_path}}}\n"
        return Recipe.parse(head + text, "the benchmark's recipe")


def make_ground(options: argparse.Namespace, folder: Path) -> Ground:
    quick = options.quick
    images = options.images or (1500 if quick else 10_000)
    data = load_set(options.set, options.data_dir)
    train_part = data.train.subset(images, seed=0)
    test_part = data.test.subset(1500 if quick else 5000, seed=0)
    path = folder / "subset.npz"
    np.savez(
        path,
        x_train=train_part.images,
        y_train=train_part.labels,
        x_test=test_part.images,
        y_test=test_part.labels,
    )
    space = folder / "space.yaml"
    space.write_text(SMALL_SPACE)
    epochs = options.epochs or (6 if quick else 30)
    return Ground(load_dataset(str(path)), path, Path(options.space or space), folder, epochs, options)
