"""Ensembles against the best single network under one latency budget, each trained, exported and measured."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarking.claims import claim, spread

from edgenas.run.ensemble.settings import METHODS, EnsembleSettings
from edgenas.run.ensemble.ship import ship_ensemble
from edgenas.run.opening import open_searched, working
from edgenas.run.pipeline import go_on, run
from edgenas.run.result import RunResult
from edgenas.spaces.errors import WorkError
from edgenas.study.scheduler import InProcess
from learning_bench.ground import Ground, make_ground


def run_ensemble(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    ground = make_ground(options, folder)
    methods = [name for name in options.methods.split(",") if name] or list(METHODS)
    found = ground.seeds(lambda seed: _one_seed(ground, methods, seed))
    figures, claims = {}, []
    for method in methods:
        gains = [one[method]["top1"] - one["single"]["top1"] for one in found if "top1" in one[method]]
        if gains:
            figures[method] = spread(gains)
        text = f"{method} ensemble over the best single network within {options.latency_ms} ms, test accuracy"
        claims.append(claim(text, figures[method]["mean"] if gains else None, 0.0, least=True))
    return {
        "settings": {"device": options.device, "latency_ms": options.latency_ms, "epochs": ground.epochs},
        "seeds": found,
        "figures": figures,
        "claims": claims,
    }


def _one_seed(ground: Ground, methods: list[str], seed: int) -> dict[str, Any]:
    """The best network of a search within the budget, and ensembles of one within half of it, each for all of it."""
    budget = ground.options.latency_ms
    single = _searched(ground, "single", seed, budget, ship=True)
    result: dict[str, Any] = {"seed": seed, "single": _figures(single.export)}
    towers = _searched(ground, "towers", seed, budget / 2, ship=False)
    for method in methods:
        context = open_searched(towers.run, None)
        settings = EnsembleSettings(method, towers=2, pool=3, budget=(f"latency_ms={budget}",))
        try:
            with working(context):
                go_on(context)
                shipped = ship_ensemble(context, settings)
        except WorkError as error:
            result[method] = {"error": str(error)}
            continue
        result[method] = _figures(shipped.export) | {"trials": shipped.ensemble.numbers}
    return result


def _searched(ground: Ground, name: str, seed: int, latency_ms: float, *, ship: bool) -> RunResult:
    options = ground.options
    trials = options.trials or (8 if options.quick else 40)
    text = (
        f"device: {{name: {options.device}}}\nbudget: {{latency_ms: {latency_ms}}}\n"
        f"search:\n  trials: {trials}\n  finalists: 1\n  {ground.short_training(epochs=1)}\n"
        f"training: {{epochs: {ground.epochs}, batch_size: 64}}\nexport: {{accuracy_drop: 1}}\n"
    )
    recipe = ground.recipe(f"{name}-{seed}", seed, text)
    output = ground.folder / recipe.name
    return run(recipe, output=output, ship=ship, quiet=True, resume=output.is_dir(), scheduler=InProcess)


def _figures(record: Any) -> dict[str, Any]:
    metric, _, score = record.scores
    return {
        metric: score,
        "latency_ms": record.measured["latency_ms"],
        "kind": record.latency_kind,
        "trial": record.trial,
    }
