"""Segmentation on CamVid: searched networks beside scaled ones, the fused arg-max, the table's error, the BiFPN.

    python tools/bench_segmentation.py --data-dir DIR --seeds 3 --work seg --json seg.json
    python tools/bench_segmentation.py --data-dir DIR --quick --json seg.json

Parts (``--parts``):

- ``fused``: int8 networks at 240x320, and ``autoseg_xs`` at 512x512, that end in labels, with the arg-max at full
  resolution and fused at a quarter of the sides, each as one operator and as a chain: quiet latency of the whole file,
  memory of its tensors.
- ``table``: the latency table of a small Autoseg space, and its error on random networks of it.
- ``accuracy``: for each seed a search in that space under ``--latency-ms``, and MobileNetV2 + DeepLabV3+ of the width
  whose measured latency comes nearest to that of what was found, trained the same way. Mean IoU of the exported files
  on the test part, int8 beside float, and of the fused arg-max beside the plain one.
- ``bifpn``: the same search with the BiFPN fixed as EfficientDet has it.

``DIR/camvid_320x240.npz`` holds JPEG files (``train_jpeg``, ``train_len``, ``m_train``, likewise ``val`` and ``test``).
What is finished is kept in ``--work`` and not done again.
"""

from __future__ import annotations

import argparse
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
from segmentation_bench.fused import ENDS, latencies, scores
from segmentation_bench.ground import SMALL_SPACE, camvid, deeplab, fixed_neck, write_network
from segmentation_bench.runs import Plan, searched, trained

from edgenas.compare.side_by_side import measure_side_by_side
from edgenas.devices import get_device
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency import LatencyTable
from edgenas.latency.check.validation import validate
from edgenas.latency.profile.profiler import profile_space
from edgenas.spaces.blocks import LabelMap
from edgenas.spaces.network import Network
from edgenas.spaces.space.search_space import SearchSpace

CLASSES = 11
PARTS = ("fused", "table", "accuracy", "bifpn")
#: Widths of MobileNetV2 + DeepLabV3+ among which the latency decides.
WIDTHS = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.75, 1.0)


def main(arguments: Sequence[str] | None = None) -> int:
    return conduct(bench, parse_arguments(arguments))


def bench(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Figures and claims after each part."""
    parts: dict[str, Any] = {}
    claims: list[dict[str, Any]] = []
    plan = make_plan(options)
    for part in PARTS:
        if part in options.parts.split(","):
            parts[part], found = RUN[part](options, plan)
            claims += found
            yield {"parts": parts, "claims": claims}


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = BenchParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--height", type=int, default=96)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--latency-ms", type=float, default=1.0, help="budget of the searches, deployed")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--short-epochs", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--images", type=int, help="at most so many of each part of CamVid")
    parser.add_argument("--networks", type=int, default=30, help="random networks that the table is checked on")
    parser.add_argument("--work", type=Path, default=Path("segmentation"), help="folder that finished work is kept in")
    parser.add_common(
        seeds=3,
        seeds_help="searches",
        quick={"seeds": 1, "height": 48, "width": 64, "latency_ms": 0.4, "trials": 3, "short_epochs": 1, "epochs": 4}
        | {"images": 60, "networks": 10},
        data_dir="folder of camvid_320x240.npz",
        needs_data=True,
    )
    return parser.parse_args(arguments)


def make_plan(options: argparse.Namespace) -> Plan:
    work = options.work.resolve()
    size = (options.height, options.width)
    name = f"camvid-{size[0]}x{size[1]}-{options.images or 'all'}.npz"
    data = camvid(options.data_dir, size, work / name, options.images)
    table = work / f"table-{size[0]}x{size[1]}.csv"
    shared = {"task": "segmentation", "data": {"path": str(data)}}
    return Plan(work, shared, table, options.trials, options.short_epochs, options.epochs, options.batch)


def fused(options: argparse.Namespace, plan: Plan) -> tuple[Any, list[dict[str, Any]]]:
    rows = latencies((240, 320), quiet_settings(options), seed=0)
    claims = []
    for name, row in rows.items():
        for how in ("", " chain"):
            ratio = row[f"plain{how}"]["quiet_ms"] / row[f"fused{how}"]["quiet_ms"]
            text = f"{name}: latency of the plain{how} arg-max by that of the fused one"
            claims.append(claim(text, round(ratio, 3), 1.3, least=True))
    return rows, claims


def space_of(options: argparse.Namespace, path: Path) -> SearchSpace:
    """A space as a run has it: with the labels behind it."""
    height, width = options.height, options.width
    space = SearchSpace.load(path, input_shape=(height, width, 3), classes=CLASSES)
    return space.ending_in(LabelMap(height, width, height, width))


def table(options: argparse.Namespace, plan: Plan) -> tuple[Any, list[dict[str, Any]]]:
    space, device = space_of(options, SMALL_SPACE), get_device("local-cpu")
    profile_table(options, plan, space)
    found = validate(
        space,
        device,
        LatencyTable.load(plan.table),
        networks=options.networks,
        seed=1,
        settings=quiet_settings(options),
    )
    told = found.to_json()
    claims = [
        claim(f"table's error on {options.networks} random networks, MAPE", told["mape"], 0.03),
        claim("share of them predicted within 10 %", told["within_10pct"], 1.0, least=True),
    ]
    return told, claims


def profile_table(options: argparse.Namespace, plan: Plan, space: SearchSpace) -> None:
    profile_space(
        space, get_device("local-cpu"), precision="int8", table_path=plan.table, settings=quiet_settings(options)
    )


def nearest_width(options: argparse.Namespace, latency_ms: float) -> tuple[Network, float]:
    """The network whose untrained file takes nearest to so long, and how long it takes."""
    height, width = options.height, options.width
    networks = {str(each): deeplab(each, (height, width, 3), CLASSES) for each in WIDTHS}
    block = LabelMap(height, width, height, width)
    models = {name: write_tflite(ended(network, block).graph, "int8") for name, network in networks.items()}
    found = measure_side_by_side(get_device("local-cpu"), models, settings=quiet_settings(options))
    best = min(found, key=lambda name: abs(np.log(found[name]["quiet_ms"] / latency_ms)))
    return networks[best], found[best]["quiet_ms"]


def ended(network: Network, block: LabelMap) -> Network:
    from edgenas.spaces.network import Node

    node = Node("labels", block, network.outputs)
    return Network(network.name, network.inputs, (*network.nodes, node), ("labels",))


def quiet_ms(metrics: dict[str, Any]) -> float:
    return float(metrics["latency_ms"]["local-cpu"]["quiet"]["quiet_ms"])


def accuracy(options: argparse.Namespace, plan: Plan) -> tuple[Any, list[dict[str, Any]]]:
    profile_table(options, plan, space_of(options, SMALL_SPACE))
    rows = []
    for seed in seeds_of(options):
        ours = searched(plan, "searched", SMALL_SPACE, options.latency_ms, seed)
        network, untrained_ms = nearest_width(options, quiet_ms(ours))
        path = write_network(network, plan.work / f"{network.name}.yaml")
        theirs = trained(plan, network.name, path, seed)
        ends = {kind: scores(plan.work / "runs" / f"{kind}-{seed}") for kind in ("searched", network.name)}
        rows.append(
            {
                "seed": seed,
                "architecture": ours["architecture"],
                "baseline": network.name,
                "latency_ms": {"searched": quiet_ms(ours), "baseline": quiet_ms(theirs), "untrained": untrained_ms},
                "miou": {"searched": ours["metrics"], "baseline": theirs["metrics"]},
                "ends": ends,
            }
        )
    gains = [100 * (_miou(row, "searched", "tflite") - _miou(row, "baseline", "tflite")) for row in rows]
    losses = [100 * (_miou(row, "searched", "float") - _miou(row, "searched", "tflite")) for row in rows]
    cuts = [100 * (ends["plain"] - ends["fused"]) for row in rows for ends in row["ends"].values()]
    chains = [abs(ends[f"{a} chain"] - ends[a]) for row in rows for ends in row["ends"].values() for a in ENDS[:2]]
    claims = [
        claim(
            "points of mean IoU over MobileNetV2 + DeepLabV3+ of the same latency, mean", _mean(gains), 1.0, least=True
        ),
        claim("points of mean IoU that int8 loses, mean", _mean(losses), 0.5),
        claim("points of mean IoU that the fused arg-max loses, mean", _mean(cuts), 0.3),
        claim("difference of mean IoU between the chain and the operator, most", max(chains), 0.0),
    ]
    return rows, claims


def _miou(row: dict[str, Any], which: str, kind: str) -> float:
    return float(row["miou"][which][kind]["miou"])


def _mean(values: list[float]) -> float:
    return round(statistics.fmean(values), 3)


def bifpn(options: argparse.Namespace, plan: Plan) -> tuple[Any, list[dict[str, Any]]]:
    path = fixed_neck(plan.work / "small_autoseg_fixed_neck.yaml")
    profile_table(options, plan, space_of(options, SMALL_SPACE))
    profile_table(options, plan, space_of(options, path))
    rows = []
    for seed in seeds_of(options):
        free = searched(plan, "searched", SMALL_SPACE, options.latency_ms, seed)
        fixed = searched(plan, "fixed", path, options.latency_ms, seed)
        rows.append(
            {
                "seed": seed,
                "searched": free["metrics"]["tflite"] | {"latency_ms": quiet_ms(free)},
                "fixed": fixed["metrics"]["tflite"] | {"latency_ms": quiet_ms(fixed)},
            }
        )
    gains = [100 * (row["searched"]["miou"] - row["fixed"]["miou"]) for row in rows]
    text = "points of mean IoU of a searched BiFPN over the fixed one at one latency budget, mean (reported)"
    return rows, [claim(text, _mean(gains), 0.0, least=True)]


RUN = {"fused": fused, "table": table, "accuracy": accuracy, "bifpn": bifpn}

if __name__ == "__main__":
    sys.exit(main())
