"""Trials to the same accuracy on a table of known architectures: model_search, random, and the policy gradient."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim
from benchmarking.options import located

from edgenas.search.benchmark.replay import replay_one
from edgenas.search.benchmark.tabular import load_table
from edgenas.spaces.errors import InputError

_OTHERS = ("random", "reinforce")
_TRIALS = 100


def run_shape(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    if not (options.table and options.architecture and options.accuracy and options.cost):
        raise InputError("shape: needs --table, --architecture, --accuracy and --cost")
    table = load_table(
        str(located(options.table, options.data_dir)), options.architecture, options.accuracy, (options.cost,)
    )
    limits = {options.cost: options.budget_fraction * float(np.nanmax(table.costs[options.cost]))}
    samples = 1000 if options.quick else 4000
    curves = {
        name: np.mean(
            [
                replay_one(table, limits, name, {}, samples if name in _OTHERS else _TRIALS, seed).best
                for seed in range(options.seeds)
            ],
            axis=0,
        )
        for name in ("model_search", *_OTHERS)
    }
    level = float(curves["model_search"][-1])
    reached: dict[str, int | None] = {}
    for name in _OTHERS:
        places = np.flatnonzero(curves[name] >= level)
        reached[name] = int(places[0]) + 1 if len(places) else None
    claims = []
    for name, goal in (("random", 1.0), ("reinforce", 1.0)):
        count = reached[name]
        words = f"trials of {name} for the mean accuracy of model_search after {_TRIALS}, as a ratio"
        if count is None:
            words += f" (not reached with {samples}: at least)"
        claims.append(claim(words, (count or samples) / _TRIALS, goal, least=True))
    return {
        "settings": {"table": options.table, "limits": limits, "samples": samples},
        "level": level,
        "trials": reached,
        "claims": claims,
    }
