"""What a teacher brings at equal processor time, with a fixed share of the loss and with one that grows."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim, spread

from edgenas.spaces.network import Network
from edgenas.tasks import get_task
from edgenas.training.losses import Distillation, taught
from learning_bench.ground import Ground, make_ground

_SHARE = 0.5


def run_distillation(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    ground = make_ground(options, folder)
    found = ground.seeds(lambda seed: _one_seed(ground, seed))
    figures = {
        f"{name}, {against}": spread([one[name]["top1"] - one[labels]["top1"] for one in found])
        for name in ("fixed", "ramp")
        for against, labels in (("equal time", "labels, equal time"), ("equal epochs", "labels"))
    }
    ramp = figures["ramp, equal time"]["mean"] - figures["fixed, equal time"]["mean"]
    return {
        "settings": {"share": _SHARE, "temperature": 2.0, "epochs": ground.epochs},
        "seeds": found,
        "figures": figures,
        "claims": [claim(f"gain in final accuracy, {name}", figures[name]["mean"], 0.0, least=True) for name in figures]
        + [claim("ramp over fixed", ramp, 0.0, least=True)],
    }


def _one_seed(ground: Ground, seed: int) -> dict[str, Any]:
    space, task, settings = ground.space, get_task("classification"), ground.settings()
    teacher = ground.train(_largest(ground), ground.settings(epochs=2 * ground.epochs), seed)
    student = space.decode(space.sample(np.random.default_rng(seed), 1)[0])
    plain = ground.train(student, settings, seed)
    result = {"teacher": teacher.to_json(), "labels": plain.to_json()}
    distance = Distillation(task, teacher.model, 2.0)
    spent = 0.0
    for name, ramped in (("fixed", False), ("ramp", True)):
        losses = taught(task, distance, settings.label_smoothing, share=_SHARE, ramped=ramped)
        done = ground.train(student, settings, seed, losses=losses)
        result[name] = done.to_json()
        spent = max(spent, done.cpu_seconds)
    longer = ground.settings(epochs=max(ground.epochs, round(ground.epochs * spent / plain.cpu_seconds)))
    result["labels, equal time"] = ground.train(student, longer, seed).to_json()
    return {"seed": seed, **result}


def _largest(ground: Ground) -> Network:
    space = ground.space
    return max((space.decode(row) for row in space.sample(np.random.default_rng(0), 200)), key=lambda one: one.macs)
