"""How long a report of a long search takes to write, and how large it is.

python tools/bench_report.py [--trials 3000] [--space tiny_edge] [--repeats 3] [--seeds 1] [--quick] [--data-dir DIR]
                             [--json OUT]

The search is made up: random architectures with random accuracies in a study as a run writes it, without any training,
so that the figures are those of the report alone. The bundle, the latency table and the training curves that a whole
run adds do not grow with the number of trials.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim
from benchmarking.document import conduct
from benchmarking.options import BenchParser, seeds_of

from edgenas.recipe.recipe import Recipe
from edgenas.report import build_report
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.study.damage import IDENTITY, OUTCOME, identity_checksum, outcome_checksum
from edgenas.study.study import Study

GOAL_SECONDS, GOAL_MB = 10.0, 8.0


def make_run(folder: Path, space: SearchSpace, trials: int, seed: int, data_dir: Path | None) -> None:
    """A run folder with a finished search of so many trials."""
    folder.mkdir(parents=True)
    recipe = Recipe.parse(
        f"name: long\ndata: {{name: fashion_mnist}}\nspace: {{name: {space.name}}}\ndevice: {{name: edgetpu-sim}}\n"
        f"budget: {{latency_ms: 1.0}}\nsearch: {{trials: {trials}}}\n",
        "the recipe of this benchmark",
    )
    if data_dir:
        recipe = recipe.with_data_directory(data_dir)
    (folder / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    rng = np.random.default_rng(seed)
    rows = space.sample(rng, trials)
    study = Study.create(folder / "study.db", {"space": space.name, "device": "edgetpu-sim", "limits": LIMITS})
    predicted = {"latency_ms": 1.0, "energy_mj": 1.0, "macs": 1e6, "params": 1e5, "size_bytes": 1e5}
    try:
        first = study.start(
            str(space.architecture(rows[0])), [int(choice) for choice in rows[0]], space.decisions, seed=0,
            predicted=predicted, files="trials/{number}",
        )  # fmt: skip
        study.complete(first.number, metric="top1", metrics={"top1": 0.5}, reward=0.5, seconds=10.0)
    finally:
        study.close()
    _copy_trial(folder / "study.db", space, rows, rng, predicted)


LIMITS = {"latency_ms": 1.0}


def _copy_trial(
    path: Path, space: SearchSpace, rows: Any, rng: np.random.Generator, predicted: dict[str, float]
) -> None:
    """Copies of the first trial, with other architectures and figures: as Optuna would write them, but all at once."""
    database = sqlite3.connect(path)
    trial = _rows(database, "trials")[0]
    params = _rows(database, "trial_params")
    attributes = _rows(database, "trial_user_attributes")
    value = _rows(database, "trial_values")[0]
    names = [decision.name for decision in space.decisions]
    for number in range(1, len(rows)):
        trial_id = trial["trial_id"] + number
        top1, latency_ms = rng.uniform(0.3, 0.9), rng.uniform(0.5, 1.2)
        told: dict[str, Any] = {
            "architecture": str(space.architecture(rows[number])),
            "choices": [int(choice) for choice in rows[number]],
            "seed": number,
            "predicted": predicted | {"latency_ms": latency_ms, "energy_mj": 2 * latency_ms},
            "top1": top1,
            "metrics": {"top1": top1},
        }
        whole = {one["key"]: json.loads(one["value_json"]) for one in attributes} | told
        options = {
            decision.name: decision.options[choice]
            for decision, choice in zip(space.decisions, told["choices"], strict=True)
        }
        told[IDENTITY] = whole[IDENTITY] = identity_checksum(whole, options)
        told[OUTCOME] = outcome_checksum(whole, "COMPLETE", top1)
        _insert(database, "trials", trial | {"trial_id": trial_id, "number": number})
        for param in params:
            choice = rows[number][names.index(param["param_name"])]
            _insert(database, "trial_params", param | {"trial_id": trial_id, "param_value": float(choice)}, "param_id")
        for attribute in attributes:
            text = json.dumps(told[attribute["key"]]) if attribute["key"] in told else attribute["value_json"]
            changed = attribute | {"trial_id": trial_id, "value_json": text}
            _insert(database, "trial_user_attributes", changed, "trial_user_attribute_id")
        _insert(database, "trial_values", value | {"trial_id": trial_id, "value": top1}, "trial_value_id")
    database.commit()
    database.close()


def _rows(database: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    found = database.execute(f"select * from {table}")
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def _insert(database: sqlite3.Connection, table: str, row: dict[str, Any], numbered: str = "") -> None:
    row = {name: value for name, value in row.items() if name != numbered}
    places = ", ".join("?" * len(row))
    database.execute(f"insert into {table} ({', '.join(row)}) values ({places})", tuple(row.values()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints seconds and MB, and writes them with ``--json``."""
    parser = BenchParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=3000)
    parser.add_argument("--space", default="tiny_edge")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="leave the run folder of the last seed here")
    parser.add_common(
        seeds_help="studies", quick={"repeats": 1, "seeds": 1}, data_dir="folder of full data sets, for test pictures"
    )
    return conduct(bench, parser.parse_args(arguments))


def bench(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of all studies."""
    space = SearchSpace.load(options.space)
    seeds = seeds_of(options)
    found = []
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="edgenas-report-") as scratch:
            last = options.keep is not None and seed == seeds[-1]
            folder = options.keep if last else Path(scratch) / "run"
            make_run(folder, space, options.trials, seed, options.data_dir)
            seconds, cpu_seconds = [], []
            for _ in range(options.repeats):
                start, cpu_start = time.perf_counter(), time.process_time()
                path = build_report(folder)
                seconds.append(round(time.perf_counter() - start, 3))
                cpu_seconds.append(round(time.process_time() - cpu_start, 3))
            mb = round(path.stat().st_size / 1e6, 3)
            found.append({"seed": seed, "seconds": seconds, "cpu_seconds": cpu_seconds, "mb": mb})
        print(
            f"seed {seed}: {options.trials} trials, {max(seconds):.1f} s at most ({max(cpu_seconds):.1f} s of CPU), "
            f"{mb:.2f} MB",
            flush=True,
        )
    what = f"report of {options.trials:,} trials"
    claims = [
        claim(f"seconds for a {what}", max(max(one["seconds"]) for one in found), GOAL_SECONDS),
        claim(f"MB of a {what}", max(one["mb"] for one in found), GOAL_MB),
    ]
    return {"reports": found, "claims": claims}


if __name__ == "__main__":
    sys.exit(main())
