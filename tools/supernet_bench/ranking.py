"""A supernet is trained and scores the architectures of the truth; how well it orders them, beside the baselines."""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgenas.data.augmentation import Augmentation
from edgenas.spaces.errors import InputError
from edgenas.supernet.families import Families
from edgenas.supernet.lesson import Lesson
from edgenas.supernet.network import Supernet
from edgenas.supernet.ranking import kendall_tau
from edgenas.supernet.settings import SupernetSettings
from edgenas.supernet.training import SupernetProgress, SupernetTraining
from supernet_bench.claims import claim
from supernet_bench.ground import Ground, choose_architectures, make_ground
from supernet_bench.truth import Cache, open_cache, trainings

Floats = npt.NDArray[np.float64]

#: What is changed of the defaults, one mechanism at a time, to see what it brings.
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "no-rank-loss": {"rank_weight": 0.0},
    "labels-only": {"distillation": 0.0},
    "one-random": {"random_networks": 1},
    "faster": {"learning_rate": 4e-3},
    "slower": {"learning_rate": 1e-3},
}
_TRAINING = "#training"
#: Candidates that the cost of a supernet's training is shared by.
CANDIDATES = 100


def run_rank(options: argparse.Namespace) -> dict[str, Any]:
    """The JSON document."""
    ground, cache = make_ground(options), open_cache(options)
    rows, inside = choose_architectures(ground.space, options.networks)
    names = [str(ground.space.architecture(row)) for row in rows]
    done = [one.name for one in trainings(options.epochs) if all(cache.has(one.name, name) for name in names)]
    truths = [name for name in done if name.startswith("truth")]
    if not truths:
        raise InputError(f"{options.cache}: no finished truth; run `truth` with the same options first")
    truth = np.mean([_column(cache, name, names, "accuracy") for name in truths], axis=0)
    ways = _free(ground, rows)
    ways |= {
        name: Way(_column(cache, name, names, "accuracy"), float(_column(cache, name, names, "cpu_seconds").mean()))
        for name in done
        if name not in truths
    }
    if len(truths) > 1:
        ways["the truth again, other seed"] = _again(cache, truths, names)
    for variant in options.variants.split(","):
        ways |= _supernet(ground, options, variant, rows, names)
    table = {name: way.figures(truth, inside) for name, way in ways.items()}
    print_table(table, len(rows), int(inside.sum()), truths)
    return {
        "settings": {name: str(value) for name, value in vars(options).items() if name != "run"},
        "networks": dict(zip(names, zip(truth.tolist(), inside.tolist(), strict=True), strict=True)),
        "truths": truths,
        "ways": table,
        "claims": _claims(table, options.variants.split(",")[0]),
    }


@dataclasses.dataclass(frozen=True)
class Way:
    """A way to rank: a score for each network, processor seconds for each candidate, and of another truth if any."""

    scores: Floats
    seconds: float
    truth: Floats | None = None

    def figures(self, truth: Floats, inside: npt.NDArray[np.bool_]) -> dict[str, float]:
        """Tau over all networks and within the band, with bootstrapped standard errors, and the cost."""
        truth = truth if self.truth is None else self.truth
        found = {"cpu_seconds_per_candidate": self.seconds}
        for name, chosen in (("all", np.ones(len(truth), bool)), ("band", inside)):
            scores, wanted = self.scores[chosen], truth[chosen]
            found[f"tau_{name}"] = kendall_tau(scores, wanted)
            found[f"error_{name}"] = _error(scores, wanted)
        return found


def _error(scores: Floats, truth: Floats) -> float:
    """Standard error of tau by the choice of networks: jackknife, which draws no network twice."""
    count = len(scores)
    left_out = [kendall_tau(np.delete(scores, place), np.delete(truth, place)) for place in range(count)]
    return float(np.sqrt((count - 1) * np.var(left_out)))


def _column(cache: Cache, training: str, names: list[str], key: str) -> Floats:
    return np.array([cache.results[training][name][key] for name in names])


def _free(ground: Ground, rows: npt.NDArray[np.int16]) -> dict[str, Way]:
    """What is known of networks without any training."""
    space = ground.space
    params = space.population_cost(rows, space.cost_arrays(lambda entry: float(entry.graph.params)))
    depth = space.population_cost(rows, space.cost_arrays(lambda entry: 1.0))
    return {
        "multiply-accumulates": Way(Families(space, 0).macs(rows), 0.0),
        "parameters": Way(params, 0.0),
        "depth": Way(depth, 0.0),
    }


def _again(cache: Cache, truths: list[str], names: list[str]) -> Way:
    first, second = (_column(cache, name, names, "accuracy") for name in truths[:2])
    return Way(first, float(_column(cache, truths[0], names, "cpu_seconds").mean()), truth=second)


# The supernet -----------------------------------------------------------------------------------------------------


def settings_of(options: argparse.Namespace, variant: str) -> SupernetSettings:
    if variant not in VARIANTS:
        raise InputError(f"--variants: unknown {variant!r}; expected some of {', '.join(VARIANTS)}")
    given = {"epochs": options.supernet_epochs, "batch_size": options.batch_size, "scored_examples": None}
    return dataclasses.replace(SupernetSettings(**given), **VARIANTS[variant])


def lesson_of(ground: Ground, seed: int) -> Lesson:
    return Lesson(
        ground.task, ground.space, ground.training, ground.held_out, ground.preprocessing, Augmentation(), seed
    )


def _supernet(
    ground: Ground, options: argparse.Namespace, variant: str, rows: npt.NDArray[np.int16], names: list[str]
) -> dict[str, Way]:
    """The variant's supernets of all seeds; a name with several seeds stands for the mean of their taus."""
    settings = settings_of(options, variant)
    ways = {}
    for seed in range(options.seeds):
        name = f"supernet {variant}, seed {seed}"
        path = options.work / f"{variant}_{seed}.json"
        cache = Cache(path, open_cache(options).facts | {"settings": settings.to_dict()})
        if not all(cache.has("scores", one) for one in (_TRAINING, *names)):
            score_networks(ground, settings, seed, rows, cache)
        training = cache.results["scores"][_TRAINING]["cpu_seconds"]
        each = float(_column(cache, "scores", names, "cpu_seconds").mean()) + training / CANDIDATES
        ways[name] = Way(_column(cache, "scores", names, "accuracy"), each)
        ways[f"{name}, by loss"] = Way(-_column(cache, "scores", names, "loss"), each)
    return ways


def score_networks(
    ground: Ground, settings: SupernetSettings, seed: int, rows: npt.NDArray[np.int16], cache: Cache
) -> None:
    """Trains a supernet and keeps the scores of networks."""
    supernet = Supernet(ground.space, seed=seed)
    training = SupernetTraining(
        supernet, lesson_of(ground, seed), settings, folder=cache.path.with_suffix(".checkpoint")
    )
    start = time.process_time()
    training.run(_say)
    cache.put("scores", _TRAINING, {"cpu_seconds": time.process_time() - start})
    for row in rows:
        architecture = ground.space.architecture(row)
        start = time.process_time()
        targets, outputs = training.learner.answers(supernet.plan(architecture))
        found = {"accuracy": training.lesson.score(targets, outputs)}
        found["loss"] = float(training.lesson.loss(targets, list(outputs), 0.0))
        cache.put("scores", str(architecture), found | {"cpu_seconds": time.process_time() - start})


def _say(progress: SupernetProgress) -> None:
    if progress.step % 50 == 0:
        print(f"step {progress.step} of {progress.steps}: losses {progress.losses}", flush=True)


# What is said -----------------------------------------------------------------------------------------------------


def _claims(table: Mapping[str, Mapping[str, float]], variant: str) -> list[dict[str, Any]]:
    """Of the first variant: its taus, and its cost beside the dearest short training's."""
    own = [
        figures
        for name, figures in table.items()
        if name.startswith(f"supernet {variant}, seed") and "loss" not in name
    ]
    mean = {key: float(np.mean([figures[key] for figures in own])) for key in own[0]}
    free = max(table[name]["tau_all"] for name in ("multiply-accumulates", "parameters", "depth"))
    listed = [
        claim("Kendall tau of the supernet, all networks", mean["tau_all"], 0.7, least=True),
        claim("Kendall tau of the supernet, in the band", mean["tau_band"], 0.5, least=True),
        claim("tau above the best of multiply-accumulates, parameters, depth", mean["tau_all"] - free, 0.0, least=True),
    ]
    short = [figures["cpu_seconds_per_candidate"] for name, figures in table.items() if "epochs" in name]
    if short:
        share = mean["cpu_seconds_per_candidate"] / max(short)
        listed.append(claim("cost of a candidate over that of the longest short training", share, 0.1))
    return listed


def print_table(table: Mapping[str, Mapping[str, float]], count: int, near: int, truths: list[str]) -> None:
    print(f"Kendall's tau with {' and '.join(truths)}: {count} networks, {near} of them in the band")
    print(f"{'ranked by':<40} {'all':>14} {'in the band':>14} {'CPU s each':>11}")
    for name, found in table.items():
        taus = [f"{found[f'tau_{part}']:.2f} +- {found[f'error_{part}']:.2f}" for part in ("all", "band")]
        print(f"{name:<40} {taus[0]:>14} {taus[1]:>14} {found['cpu_seconds_per_candidate']:>11.2f}")
