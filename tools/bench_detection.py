"""Detection on blood cells and cards: searched networks beside scaled ones, the table's error, decoding, energy.

    python tools/bench_detection.py --data-dir DIR --seeds 3 --work det --json det.json
    python tools/bench_detection.py --data-dir DIR --quick --json det.json

Parts (``--parts``):

- ``table``: the latency table of a small Spaghetti space, and its error on random detectors of it.
- ``accuracy``: for each data set and seed a search in that space under ``--latency-ms``, and SSDLite-MobileNetV2 of the
  width whose measured latency comes nearest to that of what was found, trained the same way, and of the ``--ladder``'s
  other widths, for the energy at which it reaches the same. Mean average precision of the exported files on the test
  part, int8 beside float; energy on ``edgetpu-sim`` (simulated) and of this CPU (modelled from 3 W idle, 9 W active).
- ``decode``: the boxes of those files decoded and suppressed in NumPy, as ``run.py`` does it, beside those of TFLite's
  operator, on 100 images.
- ``faces``: a search for one class under an energy budget on two devices, on drawn faces: what the shipped file takes.

``DIR`` holds ``det_bccd.json`` and ``det_cards.json``, ``NAME_images.npz`` beside each (docs/detection.md, "packed").
What is finished is kept in ``--work`` and not done again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim
from benchmarking.document import conduct
from benchmarking.options import BenchParser, seeds_of
from benchmarking.tables import quiet_settings
from detection_bench.compared import decoding, energy_at, figures
from detection_bench.ground import SMALL_SPACE, cpu_with_watts, ssdlite
from segmentation_bench.ground import write_network
from segmentation_bench.runs import Plan, searched, trained

from edgenas.compare.side_by_side import measure_side_by_side
from edgenas.devices import get_device
from edgenas.export.bundle.bundle import read_metrics
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency import LatencyTable
from edgenas.latency.check.validation import validate
from edgenas.latency.profile.profiler import profile_space
from edgenas.recipe.recipe import Recipe
from edgenas.run.pipeline import run
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.spaces.space.search_space import SearchSpace

PARTS = ("table", "accuracy", "decode", "faces")
#: Data sets and their numbers of classes.
CLASSES = {"det_bccd": 3, "det_cards": 6}
#: Widths of SSDLite-MobileNetV2 among which the latency decides.
WIDTHS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.75, 1.0)
_TASK_OPTIONS = {"anchors": "fitted", "crop": [0.3, 1.0]}


def main(arguments: Sequence[str] | None = None) -> int:
    return conduct(bench, parse_arguments(arguments))


def bench(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Figures and claims after each part."""
    options.work.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Any] = {}
    claims: list[dict[str, Any]] = []
    for part in PARTS:
        if part in options.parts.split(","):
            parts[part], found = RUN[part](options)
            claims += found
            yield {"parts": parts, "claims": claims}


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = BenchParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--sets", default=",".join(CLASSES), help="which data sets")
    parser.add_argument("--size", type=int, default=128, help="sides of the pictures")
    parser.add_argument("--latency-ms", type=float, default=1.5, help="budget of the searches")
    parser.add_argument("--ladder", default="0.2,0.35,0.5", help="widths of SSDLite for its energy at equal precision")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--short-epochs", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--networks", type=int, default=30, help="random networks that the table is checked on")
    parser.add_argument("--work", type=Path, default=Path("detection"), help="folder that finished work is kept in")
    parser.add_common(
        seeds=3,
        seeds_help="searches of each data set",
        quick={"seeds": 1, "sets": "det_bccd", "size": 96, "latency_ms": 0.8, "trials": 3, "short_epochs": 2}
        | {"ladder": "", "epochs": 12, "networks": 10},
        data_dir="folder of det_bccd.json and det_cards.json",
        needs_data=True,
    )
    options = parser.parse_args(arguments)
    options.work, options.data_dir = options.work.resolve(), options.data_dir.resolve()
    return options


def plan_of(options: argparse.Namespace, data: str) -> Plan:
    shared = {
        "task": "detection",
        "task_options": _TASK_OPTIONS,
        "data": {"path": str(options.data_dir / f"{data}.json"), "image_size": [options.size, options.size]},
    }
    table = options.work / f"table-{data}-{options.size}.csv"
    work = options.work / data
    work.mkdir(parents=True, exist_ok=True)
    return Plan(work, shared, table, options.trials, options.short_epochs, options.epochs, options.batch)


def space_for(options: argparse.Namespace, data: str) -> SearchSpace:
    return SearchSpace.load(SMALL_SPACE, input_shape=(options.size, options.size, 3), classes=CLASSES[data])


def profile_table(options: argparse.Namespace, data: str) -> LatencyTable:
    path = plan_of(options, data).table
    profile_space(
        space_for(options, data),
        get_device("local-cpu"),
        precision="int8",
        table_path=path,
        settings=quiet_settings(options),
    )
    return LatencyTable.load(path)


def table(options: argparse.Namespace) -> tuple[Any, list[dict[str, Any]]]:
    data = options.sets.split(",")[0]
    found = validate(
        space_for(options, data),
        get_device("local-cpu"),
        profile_table(options, data),
        networks=options.networks,
        seed=1,
        settings=quiet_settings(options),
    )
    told = found.to_json()
    claims = [
        claim(f"table's error on {options.networks} random detectors, MAPE", told["mape"], 0.03),
        claim("share of them predicted within 10 %", told["within_10pct"], 1.0, least=True),
    ]
    return told, claims


def nearest_width(options: argparse.Namespace, data: str, latency_ms: float) -> float:
    """The width whose untrained file takes nearest to so long."""
    models = {str(each): write_tflite(baseline(options, data, each).graph, "int8") for each in WIDTHS}
    found = measure_side_by_side(get_device("local-cpu"), models, settings=quiet_settings(options))
    return float(min(found, key=lambda name: abs(np.log(found[name]["quiet_ms"] / latency_ms))))


def baseline(options: argparse.Namespace, data: str, width: float) -> Network:
    return ssdlite(width, (options.size, options.size, 3), CLASSES[data])


def trained_baseline(options: argparse.Namespace, data: str, width: float, seed: int) -> dict[str, Any]:
    plan, network = plan_of(options, data), baseline(options, data, width)
    path = write_network(network, plan.work / f"{network.name}.yaml")
    trained(plan, network.name, path, seed)
    return {"width": width, **figures(plan.work / "runs" / f"{network.name}-{seed}")}


def accuracy(options: argparse.Namespace) -> tuple[Any, list[dict[str, Any]]]:
    rows = []
    for data in options.sets.split(","):
        profile_table(options, data)
        for seed in seeds_of(options):
            plan = plan_of(options, data)
            searched(plan, "searched", SMALL_SPACE, options.latency_ms, seed)
            ours = figures(plan.work / "runs" / f"searched-{seed}")
            width = nearest_width(options, data, ours["latency_ms"])
            equal = trained_baseline(options, data, width, seed)
            ladder = [float(each) for each in options.ladder.split(",") if each and float(each) != width]
            others = [equal, *(trained_baseline(options, data, each, seed) for each in ladder)]
            score = float(ours["metrics"]["tflite"]["map"])
            ratios = {
                device: ours["energy_mj"][device] / energy_at(score, others, device) for device in ours["energy_mj"]
            }
            rows.append({"data": data, "seed": seed, "searched": ours, "baselines": others, "energy_ratio": ratios})
    return rows, accuracy_claims(rows)


def accuracy_claims(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def points(row: dict[str, Any], which: str, kind: str) -> float:
        found = row["searched"] if which == "searched" else row["baselines"][0]
        return 100 * float(found["metrics"][kind]["map"])

    gains = [points(row, "searched", "tflite") - points(row, "baseline", "tflite") for row in rows]
    drops = [points(row, which, "float") - points(row, which, "tflite") for row in rows for which in ("searched", "b")]
    speeds = [row["searched"]["latency_ms"] / row["baselines"][0]["latency_ms"] for row in rows]
    energy = {device: mean([row["energy_ratio"][device] for row in rows]) for device in rows[0]["energy_ratio"]}
    return [
        claim(
            "points of mAP over SSDLite-MobileNetV2 of the same measured latency, mean", mean(gains), 2.0, least=True
        ),
        claim("its latency by that of the searched networks, largest difference", mean_off(speeds), 0.1),
        claim("points of mAP that int8 loses, mean", mean(drops), 0.5),
        claim("energy on edgetpu-sim (simulated) by that of SSDLite at equal mAP", energy["edgetpu-sim"], 0.7),
        claim("energy of this CPU (modelled) by that of SSDLite at equal mAP", energy["cpu"], 0.8),
    ]


def mean(values: list[float]) -> float:
    return round(statistics.fmean(values), 3)


def mean_off(ratios: list[float]) -> float:
    return round(max(abs(ratio - 1) for ratio in ratios), 3)


def decode(options: argparse.Namespace) -> tuple[Any, list[dict[str, Any]]]:
    rows = {}
    for data in options.sets.split(","):
        folder = plan_of(options, data).work / "runs" / "searched-0"
        if not (folder / "bundle").is_dir():
            raise InputError(f"{folder}: no finished search; run the part accuracy first")
        rows[data] = decoding(folder)
    shown = min(row["images"] for row in rows.values())
    claims = [
        claim(
            f"boxes that only one of NumPy and TFLite's operator finds in {shown} images", _most(rows, "other_boxes"), 0
        ),
        claim("largest difference of an edge or score between the two", _most(rows, "most_difference"), 1e-4),
        claim(
            "difference of mAP between the two, points",
            max(100 * abs(row["map"] - row["map_operator"]) for row in rows.values()),
            0.01,
        ),
    ]
    return rows, claims


def _most(rows: dict[str, dict[str, Any]], name: str) -> float:
    return float(max(row[name] for row in rows.values()))


def faces(options: argparse.Namespace) -> tuple[Any, list[dict[str, Any]]]:
    """The shipped recipe, and the same on this CPU with watts."""
    home = Path(os.environ.get("EDGENAS_HOME") or options.work / "home")
    os.environ["EDGENAS_HOME"] = str(home)
    (home / "devices").mkdir(parents=True, exist_ok=True)
    device = cpu_with_watts(home / "devices").stem
    given = Recipe.load(Path(__file__).parents[1] / "edgenas" / "recipes" / "face_detection.yaml")
    rows, claims = {}, []
    for name, budget in ((given.device.name, given.budget.energy_mj), (device, options.latency_ms * 6.0)):
        document = given.model_dump(mode="json", exclude_unset=True)
        document |= {"name": f"faces-{name}", "output": str(options.work / "faces"), "device": {"name": name}}
        document["budget"] = {"energy_mj": budget}
        if options.quick:
            document["search"] |= {"trials": 3}
            document["search"]["training"] |= {"epochs": 1}
            document["training"] |= {"epochs": 12}
        recipe = Recipe.model_validate(document)
        folder = options.work / "faces" / recipe.name
        if not (folder / "bundle" / "metrics.json").is_file():
            run(recipe, quiet=True, resume=folder.is_dir())
        metrics = read_metrics(folder / "bundle")
        used = metrics["energy_mj"][name] / budget
        rows[name] = {key: metrics[key] for key in ("metrics", "group_ap", "energy_mj", "budget", "macs", "params")}
        claims.append(claim(f"energy of the shipped face detector on {name} by its budget", round(used, 3), 1.0))
    return rows, claims


RUN = {"table": table, "accuracy": accuracy, "decode": decode, "faces": faces}

if __name__ == "__main__":
    sys.exit(main())
