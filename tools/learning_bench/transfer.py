"""The same search with and without transfer: trials and seconds to the same level, and how well short scores rank."""

from __future__ import annotations

import argparse
import math
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim, spread

from edgenas.latency.check.validation import spearman
from edgenas.recipe.recipe import Recipe
from edgenas.run.pipeline import run
from edgenas.study.candidates import Candidate, Evaluation, Evaluator
from edgenas.study.evaluation import ShortTrainingEvaluator
from edgenas.study.scheduler import InProcess
from edgenas.study.study import Study, Trial
from learning_bench.ground import Ground, make_ground

#: An architecture of a search and its short score.
Scored = tuple[str, float]


@dataclass
class Timed:
    """Short trainings, with the processor time of each by number."""

    recipe: Recipe
    trials: Path
    seconds: dict[int, float]

    def __call__(self) -> Evaluator:
        evaluate = ShortTrainingEvaluator(self.recipe, None, self.trials)()

        def timed(candidate: Candidate) -> float | Evaluation:
            start = time.process_time()
            found = evaluate(candidate)
            self.seconds[candidate.number] = time.process_time() - start
            return found

        return timed


def run_transfer(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    ground = make_ground(options, folder)
    trials = options.trials or (12 if options.quick else 40)
    searches = ground.seeds(lambda seed: _two_searches(ground, options.transfer, trials, seed))
    finals = ground.seeds(lambda seed: _final_accuracies(ground, searches[seed]["trials"], seed), "transfer-finals")
    found = [one | {"final": final} for one, final in zip(searches, finals, strict=True)]
    figures: dict[str, Any] = {name: spread([one[name] for one in found]) for name in ("trials_share", "seconds_share")}
    for name, search in (("rank_plain", "off"), ("rank_transfer", options.transfer)):
        figures[name] = spread([_rank(one["trials"][search], one["final"]) for one in found])
    level = f"to the plain search's best short score after {trials} trials"
    return {
        "settings": {"trials": trials, "transfer": options.transfer, "short": _short(ground)},
        "seeds": found,
        "figures": figures,
        "claims": [
            claim(f"share of the trials {level}", figures["trials_share"]["mean"], 0.5),
            claim(f"share of the processor time {level}", figures["seconds_share"]["mean"], 0.5),
            claim(
                "rank correlation of short scores with final accuracy, with transfer minus without",
                figures["rank_transfer"]["mean"] - figures["rank_plain"]["mean"],
                0.0,
                least=True,
            ),
        ],
    }


def _short(ground: Ground) -> str:
    return ground.short_training(epochs=1 if ground.options.quick else 3)


def _two_searches(ground: Ground, transfer: str, trials: int, seed: int) -> dict[str, Any]:
    plain, plain_seconds = _searched(ground, "off", trials, seed)
    helped, helped_seconds = _searched(ground, transfer, trials, seed)
    level = max(trial.score or 0.0 for trial in plain)
    reached = next((place for place, one in enumerate(helped) if (one.score or 0.0) >= level), None)
    # One that never reaches it counts as if it had with the trial after the last.
    count = trials + 1 if reached is None else reached + 1
    spent = sum(list(helped_seconds.values())[:count]) / sum(plain_seconds.values())
    searches = (("off", plain), (transfer, helped))
    return {
        "seed": seed,
        "level": level,
        "trials_share": count / trials,
        "reached": reached is not None,
        "seconds_share": spent,
        "trials": {name: [(one.architecture, one.score or 0.0) for one in found] for name, found in searches},
    }


def _searched(ground: Ground, transfer: str, trials: int, seed: int) -> tuple[list[Trial], dict[int, float]]:
    text = (
        "device: {name: edgetpu-sim}\nbudget: {macs: 1.0e+9}\n"
        f"search:\n  trials: {trials}\n  algorithm: regularized_evolution\n"
        "  options: {population: 6, tournament: 3}\n"
        f"  transfer: {transfer}\n  {_short(ground)}\n"
    )
    recipe = ground.recipe(f"{transfer}-{seed}", seed, text)
    output = ground.folder / recipe.name
    timed = Timed(recipe, output / "trials", {})
    run(recipe, output=output, ship=False, quiet=True, evaluator=timed, scheduler=InProcess)
    with closing(Study.open(output / "study.db")) as study:
        return [trial for trial in study.trials if trial.state == "complete"], timed.seconds


def _final_accuracies(ground: Ground, searches: dict[str, list[Scored]], seed: int) -> dict[str, float]:
    """Test accuracy after a training from random weights, of as many architectures of either search."""
    count = ground.options.finals or (8 if ground.options.quick else 20)
    rng = np.random.default_rng(seed)
    texts: set[str] = set()
    for trials in searches.values():
        some = sorted({architecture for architecture, _ in trials})
        texts.update(rng.choice(some, min(len(some), count // 2), replace=False).tolist())
    space = ground.space
    networks = {text: space.decode(space.parse(text)) for text in sorted(texts)}
    return {text: ground.train(network, ground.settings(), seed).top1 for text, network in networks.items()}


def _rank(trials: list[Scored], final: dict[str, float]) -> float:
    """0 where all scores are equal: they rank nothing."""
    pairs = [(score, final[architecture]) for architecture, score in trials if architecture in final]
    found = spearman(*zip(*pairs, strict=True))
    return 0.0 if math.isnan(found) else found
