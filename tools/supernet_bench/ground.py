"""What all rankings are compared on: images, and architectures of a space drawn at random and from one cost band."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from image_sets import load_set

from edgenas.data.dataset import Dataset, Split, stratified_holdout
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.supernet.families import Families
from edgenas.tasks import get_task
from edgenas.tasks.task import Task

#: The band is so wide each way, as a share of its middle.
BAND = 0.2
#: Middle of the band, as a share of the way through the space's random architectures ordered by cost.
_MIDDLE = 0.4
_DRAWN = 4000


@dataclass(frozen=True)
class Ground:
    """Images and space: weights learn from ``training``, cheap scores are of ``held_out``, the truth is of ``test``."""

    space: SearchSpace
    task: Task
    training: Split
    held_out: Split
    test: Split
    preprocessing: Any


def make_ground(options: argparse.Namespace) -> Ground:
    """The ground that the options describe. Raises InputError."""
    dataset = load_set(options.set, options.data_dir)
    return ground_of(dataset, options.space, options.images, options.held_out, options.test_images)


def ground_of(dataset: Dataset, space: str, images: int, held_out: int, test_images: int) -> Ground:
    pool = dataset.train.subset(images + held_out, 0)
    mask = stratified_holdout(pool.labels, held_out / len(pool), np.random.default_rng(0))
    task = get_task("classification")
    training = pool.take(~mask)
    return Ground(
        SearchSpace.load(space, input_shape=dataset.image_shape, classes=dataset.classes),
        task,
        training,
        pool.take(mask),
        dataset.test.subset(test_images, 0),
        task.fit(training),
    )


def choose_architectures(space: SearchSpace, count: int) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.bool_]]:
    """``count`` random architectures, every other one from a band of costs, and which of them lie in the band."""
    drawn = space.sample(np.random.default_rng(0), _DRAWN)
    macs = Families(space, 0).macs(drawn)
    middle = float(np.quantile(macs, _MIDDLE))
    inside = np.abs(macs / middle - 1) <= BAND
    chosen = np.arange(count)
    near = np.flatnonzero(inside)
    chosen[1::2] = near[near >= count][: count // 2]
    return drawn[chosen], inside[chosen]
