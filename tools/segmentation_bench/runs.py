"""Runs of EdgeNAS for benchmarks: a search under a budget, and one network trained the same way."""

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
    """Where everything is, what all recipes share (task, data), and how long is trained and searched."""

    work: Path
    shared: Mapping[str, Any]
    table: Path
    trials: int
    short_epochs: int
    epochs: int
    batch: int

    def training(self, epochs: int) -> dict[str, Any]:
        return {"epochs": epochs, "batch_size": self.batch, "learning_rate": 4e-3, "label_smoothing": 0.0}


def searched(plan: Plan, name: str, space: Path, latency_ms: float, seed: int) -> dict[str, Any]:
    """``metrics.json`` of what a search ships."""
    recipe = {
        "space": {"path": str(space)},
        "budget": {"latency_ms": latency_ms},
        "search": {"trials": plan.trials, "finalists": 2, "training": plan.training(plan.short_epochs)},
    }
    return _shipped(plan, f"{name}-{seed}", recipe, seed)


def trained(plan: Plan, name: str, architecture: Path, seed: int) -> dict[str, Any]:
    """``metrics.json`` of one network, trained as long as what a search ships."""
    return _shipped(plan, f"{name}-{seed}", {"space": {"architecture": str(architecture)}}, seed)


def _shipped(plan: Plan, name: str, parts: dict[str, Any], seed: int) -> dict[str, Any]:
    folder = plan.work / "runs" / name
    if not (folder / "bundle" / "metrics.json").is_file():
        recipe = {
            "name": name,
            "seed": seed,
            "output": str(plan.work / "runs"),
            **plan.shared,
            "device": {"name": "local-cpu", **({"table": str(plan.table)} if "budget" in parts else {})},
            "training": plan.training(plan.epochs),
            "export": {"accuracy_drop": 1.0, "calibration_images": 100},
            **parts,
        }
        path = plan.work / f"{name}.yaml"
        path.write_text(yaml.safe_dump(recipe, sort_keys=False))
        run(Recipe.load(path), quiet=True, resume=folder.is_dir())
    return read_metrics(folder / "bundle")
