"""Steps until a training that begins with a supernet's weights is as good as one that began at random.

The networks are those that the searches of ``equal`` ended with. Their trainings there began at random; here they begin
with the weights of that seed's supernet, and are shorter, each with a whole schedule of its own.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarking.claims import claim
from benchmarking.options import seeds_of

from edgenas.export.files import write_atomically
from edgenas.run.context import RunContext
from edgenas.run.folder import RunFolder
from edgenas.run.progress import Progress
from edgenas.run.records import ExportRecord
from edgenas.run.supernet import inherited_weights
from edgenas.spaces.errors import InputError
from edgenas.training.evaluation import evaluate
from edgenas.training.train import train
from supernet_bench.equal import ALGORITHMS, ONE_SHOT, float_top1

_GOAL = 0.5


def run_begin(options: argparse.Namespace) -> dict[str, Any]:
    """The JSON document. What is done is kept in ``--work``; a second call goes on."""
    kept = options.work / "begin.json"
    found: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.is_file() else {}
    epochs = sorted(int(text) for text in options.epochs.split(","))
    for seed in seeds_of(options):
        lender = _context(options.work / f"{ONE_SHOT}-{seed}")
        for algorithm in ALGORITHMS:
            _one_network(lender, _context(options.work / f"{algorithm}-{seed}"), epochs, found, kept)
    median = statistics.median(one["share"] for one in found.values())
    return {
        "networks": found,
        "claims": [claim(f"steps to the accuracy from scratch, median share of {len(found)} networks", median, _GOAL)],
    }


def _context(path: Path) -> RunContext:
    folder = RunFolder(path)
    if folder.read(ExportRecord).trial is None:
        raise InputError(f"{path}: no finished run; run `equal` with the same --work first")
    return RunContext(folder.read_recipe(), folder, Progress(quiet=True))


def _one_network(
    lender: RunContext, run: RunContext, epochs: list[int], found: dict[str, dict[str, Any]], kept: Path
) -> None:
    """Trains the network of a run from inherited weights, longer and longer until it is as good as from scratch."""
    name = run.folder.path.name
    with closing(run.open_study()) as study:
        architecture = study.trial(int(run.folder.read(ExportRecord).trial or 0)).architecture
    whole, goal = run.recipe.training.settings(), float_top1(run.folder)
    one = found.setdefault(name, {"architecture": architecture, "scratch": goal, "inherited": {}})
    training, _ = run.dataset.split(run.recipe.data.validation_fraction, run.recipe.seed)
    preprocessing = run.task.fit(training)
    for count in epochs:
        if str(count) in one["inherited"]:
            continue
        if max(one["inherited"].values(), default=0.0) >= goal:
            break
        settings = dataclasses.replace(whole, epochs=count)
        network = run.space.decode(run.space.parse(architecture))
        initial = inherited_weights(lender, architecture)
        arguments = {"task": run.task, "preprocessing": preprocessing}
        done = train(network, training, settings, seed=run.recipe.seed, initial=initial, **arguments)
        top1 = float(evaluate(done.model, run.dataset.test, **arguments)["top1"] or 0.0)
        one["inherited"][str(count)] = top1
        print(f"{name}: {count} of {whole.epochs} epochs {top1:.4f}, from scratch {goal:.4f}", flush=True)
        write_atomically(kept, json.dumps(found, indent=1))
    enough = [int(count) for count, top1 in one["inherited"].items() if top1 >= goal]
    one["share"] = min(enough) / whole.epochs if enough else float("inf")
