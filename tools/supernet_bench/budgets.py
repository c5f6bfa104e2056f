"""Three budgets from one supernet: how much of each the shipped model uses when it is measured."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarking.claims import claim
from benchmarking.options import seeds_of

from edgenas.recipe.recipe import Recipe
from edgenas.run.pipeline import run
from edgenas.spaces.yaml_reading import dump_yaml
from supernet_bench.equal import device_section, image_file, margin

_LEAST = 0.85


def run_budgets(options: argparse.Namespace) -> dict[str, Any]:
    """The JSON document. Seeds after the first have a supernet, a search and trainings of their own."""
    options.work.mkdir(parents=True, exist_ok=True)
    data, _, _ = image_file(options)
    used: dict[str, dict[str, Any]] = {}
    for seed in seeds_of(options):
        used |= _one_seed(options, data, seed)
    return {
        "used": used,
        "claims": [
            claim(f"share of {limit} ms that the shipped model takes, measured", found["share"], _LEAST, least=True)
            for limit, found in used.items()
        ]
        + [claim("the largest of these shares", max(found["share"] for found in used.values()), 1.0)],
    }


def _one_seed(options: argparse.Namespace, data: Path, seed: int) -> dict[str, dict[str, Any]]:
    """What the shipped model of each budget takes."""
    limits = [float(text) for text in options.limits.split(",")]
    later = f", seed {seed}" if seed else ""
    supernet: dict[str, Any] = {"scores": options.scores, "trials": options.trials}
    if options.from_run:
        supernet["from_run"] = str(options.from_run.resolve())
    else:
        supernet |= {"epochs": 10_000, "max_steps": options.steps}
    recipe = Recipe.parse(
        dump_yaml(
            {
                "name": f"budgets-{seed}" if seed else "budgets",
                "seed": seed,
                "data": {"path": str(data)},
                "space": {"name": options.space},
                "device": device_section(options),
                "budget": {"latency_ms": [limit * options.slack for limit in limits]},
                "search": {
                    "algorithm": "supernet",
                    "finalists": 1,
                    "latency_margin": margin(options),
                    "training": {
                        "epochs": options.short_epochs,
                        "images": options.short_images,
                        "batch_size": 64,
                    },
                },
                "supernet": supernet,
                "training": {"epochs": options.epochs, "batch_size": 64},
            }
        ),
        "the recipe of this benchmark",
    )
    result = run(recipe, resume=True, quiet=True, output=options.work / recipe.name)
    used = {}
    for one in result.bundles:
        limit = one.budget["latency_ms"] / options.slack
        measured = dict(one.export.measured)
        # With slack, the median is that of a busy machine: what quiet visits take says what would be used otherwise.
        decisive = measured.get("latency_ms" if options.slack == 1 else "latency_quiet_ms", 0.0)
        used[f"{limit:g}{later}"] = {
            "measured_ms": measured.get("latency_ms"),
            "quiet_ms": measured.get("latency_quiet_ms"),
            "share": decisive / limit,
            "top1": one.export.scores[2] if one.export.done else None,
        }
        print(one.words, flush=True)
    return used
