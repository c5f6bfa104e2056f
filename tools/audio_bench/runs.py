"""Runs of EdgeNAS on spoken keywords: a search under a number of parameters, and one network trained the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edgenas.export.bundle.bundle import read_metrics
from edgenas.recipe.recipe import Recipe
from edgenas.run.pipeline import run


@dataclass(frozen=True)
class Plan:
    """Where everything is, and how long is trained and searched."""

    work: Path
    data: str
    data_dir: Path
    space: str
    device: str
    trials: int
    short_epochs: int
    epochs: int
    options: Mapping[str, Any]

    def training(self, epochs: int) -> dict[str, Any]:
        return {
            "epochs": epochs,
            "batch_size": 64,
            "learning_rate": 4e-3,
            # Of the averaged weights: about a fifth of the training, however long it is.
            "ema_decay": round(1 - 1 / max(10, 8 * epochs), 4),
        }


@dataclass(frozen=True)
class Shipped:
    """What a run has shipped."""

    folder: Path

    @property
    def metrics(self) -> dict[str, Any]:
        return read_metrics(self.folder)

    @property
    def model(self) -> bytes:
        return (self.folder / "model.tflite").read_bytes()

    def figures(self) -> dict[str, Any]:
        """Accuracies on the test part, sizes, memory, and the modelled latency on the microcontroller."""
        found = self.metrics
        return {
            "architecture": found["architecture"] or found["name"],
            "top1": {kind: found["metrics"][kind]["top1"] for kind in ("float", "tflite")},
            "params": found["params"],
            "macs": found["macs"],
            "size_bytes": found["size_bytes"],
            "arena_bytes": (found.get("micro") or {}).get("arena_bytes"),
            "modelled_ms": {device: values["median"] for device, values in found["latency_ms"].items()},
        }


def searched(plan: Plan, name: str, algorithm: str, params: int, seed: int) -> Shipped:
    """The best of a search's finds under so many parameters."""
    recipe = {
        "space": {"name": plan.space},
        "budget": {"params": params},
        "search": {
            "algorithm": algorithm,
            "trials": plan.trials,
            "finalists": min(3, plan.trials),
            "training": plan.training(plan.short_epochs),
        },
    }
    return _shipped(plan, f"{name}-{seed}", recipe, seed)


def trained(plan: Plan, name: str, architecture: str, seed: int) -> Shipped:
    """One network, trained as long as what a search ships."""
    return _shipped(plan, f"{name}-{seed}", {"space": {"architecture": architecture}}, seed)


def _shipped(plan: Plan, name: str, parts: dict[str, Any], seed: int) -> Shipped:
    folder = plan.work / "runs" / name
    if not (folder / "bundle" / "metrics.json").is_file():
        recipe = {
            "name": name,
            "seed": seed,
            "output": str(plan.work / "runs"),
            "task": "audio_classification",
            "task_options": dict(plan.options),
            "data": {"name": plan.data, "directory": str(plan.data_dir)},
            "device": {"name": plan.device},
            "training": plan.training(plan.epochs),
            "export": {"accuracy_drop": 1.0, "calibration_images": 300},
            **parts,
        }
        plan.work.mkdir(parents=True, exist_ok=True)
        path = plan.work / f"{name}.yaml"
        path.write_text(yaml.safe_dump(recipe, sort_keys=False))
        run(Recipe.load(path), quiet=True, resume=folder.is_dir())
    return Shipped(folder / "bundle")
