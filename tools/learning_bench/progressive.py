"""A training in stages of growing images against a plain one: its time, and its accuracy in equal time."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim, spread

from edgenas.training import Augmentation
from edgenas.training.settings import Progressive
from learning_bench.ground import Ground, make_ground


def run_progressive(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    ground = make_ground(options, folder)
    found = ground.seeds(lambda seed: _one_seed(ground, seed))
    share = spread([one["stages"]["cpu_seconds"] / one["plain"]["cpu_seconds"] for one in found])
    same = spread([one["stages"]["top1"] - one["plain"]["top1"] for one in found])
    equal = spread([one["stages, equal time"]["top1"] - one["plain"]["top1"] for one in found])
    return {
        "settings": {"stages": 4, "image_size": 0.5, "regularisation": 0.5, "randaugment": 4, "epochs": ground.epochs},
        "seeds": found,
        "figures": {"time_share": share, "gain_equal_epochs": same, "gain_equal_time": equal},
        "claims": [
            claim("share of the plain training's processor time for as many epochs", share["mean"], 0.6),
            claim("gain in accuracy for as many epochs", same["mean"], 0.0, least=True),
            claim("gain in accuracy in equal time", equal["mean"], 0.0, least=True),
        ],
    }


def _one_seed(ground: Ground, seed: int) -> dict[str, Any]:
    space = ground.space
    rows = space.sample(np.random.default_rng(seed), 50)
    network = max((space.decode(row) for row in rows), key=lambda one: one.macs)
    changes = Augmentation(randaugment=4)
    plain = ground.train(network, ground.settings(augmentation=changes), seed)
    staged = ground.settings(augmentation=changes, progressive=Progressive())
    stages = ground.train(network, staged, seed)
    epochs = max(1, round(ground.epochs * plain.cpu_seconds / stages.cpu_seconds))
    longer = ground.settings(epochs=epochs, augmentation=changes, progressive=Progressive())
    equal = ground.train(network, longer, seed)
    return {
        "seed": seed,
        "macs": network.macs,
        "plain": plain.to_json(),
        "stages": stages.to_json(),
        "stages, equal time": equal.to_json() | {"epochs": epochs},
    }
