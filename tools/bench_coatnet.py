"""CoAtNet-like networks against convolutional ones of the same measured latency: which is more accurate at 32 px.

    python tools/bench_coatnet.py --data-dir DIR [--set cifar10_jpeg] [--seeds 3] [--quick] --json OUT.json

Networks of ``coatnet_tiny`` with attention, of the same space without, and of ``tiny_edge`` (inverted bottlenecks) are
drawn at random and measured as int8 files in turns; of each kind the one nearest to the common latency is taken. All
are trained alike: the same images, epochs, rate, augmentation and seeds. Which wins is reported; no result is wanted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from benchmarking.claims import claim, spread
from benchmarking.document import conduct
from benchmarking.options import BenchParser
from image_sets import load_set

from edgenas.data.dataset import Dataset
from edgenas.devices import Measurement, MeasureSettings, get_device
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.errors import WorkError
from edgenas.spaces.network import Network
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.tasks import get_task
from edgenas.training import TrainingSettings, evaluate, train

ATTENTION = "coatnet_tiny"
RIVALS = ("tiny_edge", "coatnet_tiny without attention")


def drawn(name: str, count: int, seed: int, shape: tuple[int, ...], classes: int) -> dict[str, Network]:
    """Random networks of a space by architecture; of the one with attention, those that have some or none."""
    space = SearchSpace.load(name.split()[0], input_shape=shape, classes=classes)
    found: dict[str, Network] = {}
    rng = np.random.default_rng(seed)
    for row in space.sample(rng, 40 * count):
        network = space.decode(row)
        attends = sum(node.block.kind == "relative_attention" for node in network.nodes)
        if name.startswith(ATTENTION) and ("without" in name) == bool(attends):
            continue
        found[str(space.architecture(row))] = network
        if len(found) == count:
            return found
    return found


def latencies(networks: Mapping[str, Network], rounds: int, device: str) -> dict[str, float]:
    """Fastest run of each network's int8 file in ms, in turns."""
    target, times = get_device(device), {}
    models = {name: write_tflite(network.graph, "int8") for name, network in networks.items()}
    for _ in range(rounds):
        for name, outcome in target.measure_many(models, MeasureSettings(max_seconds=0.2, min_runs=10)).items():
            if isinstance(outcome, Measurement):
                times.setdefault(name, []).append(outcome.min)
    return {name: min(values) for name, values in times.items()}


def chosen(options: argparse.Namespace, data: Dataset) -> dict[str, dict[str, Any]]:
    """Of each space the network whose measured latency is nearest to the wanted one."""
    found: dict[str, dict[str, Any]] = {}
    for name in (ATTENTION, *RIVALS):
        networks = drawn(name, options.drawn, options.seed, data.image_shape, data.classes)
        measured = latencies(networks, options.rounds, options.device)
        if not measured:
            raise WorkError(f"no network of {name} could be measured on {options.device}")
        best = min(measured, key=lambda one: abs(np.log(measured[one] / options.latency_ms)))
        network = networks[best]
        found[name] = {
            "architecture": best,
            "latency_ms": measured[best],
            "macs": network.macs,
            "params": network.params,
            "network": network,
        }
        print(f"{name}: {best}, {measured[best]:.4f} ms, {network.macs:,} MACs, {network.params:,} parameters")
    return found


def trained(network: Network, data: Dataset, options: argparse.Namespace, seed: int) -> dict[str, float]:
    """Test accuracy after a training, and the processor time that it took."""
    task = get_task("classification")
    preprocessing = task.fit(data.train)
    settings = TrainingSettings(epochs=options.epochs, batch_size=64, learning_rate=options.learning_rate)
    start = time.process_time()
    done = train(network, data.train, settings, task=task, seed=seed, preprocessing=preprocessing)
    metrics = evaluate(done.model, data.test, task=task, preprocessing=preprocessing)
    return {"top1": metrics["top1"], "cpu_seconds": round(time.process_time() - start, 1), "steps": done.steps}


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The document: networks, accuracies by seed, claims."""
    whole = load_set(options.set, options.data_dir)
    train_part, test_part = whole.train.subset(options.images, seed=0), whole.test.subset(options.tests, seed=0)
    data = Dataset(
        whole.name,
        np.asarray(train_part.images[:]),
        train_part.labels,
        np.asarray(test_part.images[:]),
        test_part.labels,
        whole.class_names,
        whole.licence,
        whole.source,
    )
    networks = chosen(options, data)
    rows: dict[str, Any] = {}
    for name, found in networks.items():
        runs = [trained(found["network"], data, options, seed) for seed in range(options.seeds)]
        scores = spread([one["top1"] for one in runs])
        rows[name] = {key: value for key, value in found.items() if key != "network"} | {"top1": scores, "runs": runs}
        print(f"{name}: top-1 {scores['mean']:.4f} ({', '.join(f'{v:.4f}' for v in scores['values'])})")
    own = rows[ATTENTION]["top1"]["mean"]
    best = max((name for name in rows if name != ATTENTION), key=lambda name: rows[name]["top1"]["mean"])
    times = [row["latency_ms"] for row in rows.values()]
    return {
        "rows": rows,
        "winner": ATTENTION if own > rows[best]["top1"]["mean"] else best,
        "claims": [
            claim("measured latencies, slowest over fastest", max(times) / min(times), 1.1),
            claim(f"top-1 of {ATTENTION} above that of {best}", own - rows[best]["top1"]["mean"], 0.0, least=True),
        ],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    return conduct(run, _parser().parse_args(arguments))


def _parser() -> BenchParser:
    parser = BenchParser(description=__doc__)
    parser.add_argument("--set", default="cifar10_jpeg", help="name of the data set (default cifar10_jpeg)")
    parser.add_argument("--latency-ms", type=float, default=0.35, help="the common latency (default 0.35)")
    parser.add_argument("--device", default="local-cpu", help="where latency is measured (default local-cpu)")
    parser.add_argument("--drawn", type=int, default=60, help="networks drawn of each space (default 60)")
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes that measure each network (default 3)")
    parser.add_argument("--images", type=int, default=20_000, help="training images (default 20,000)")
    parser.add_argument("--tests", type=int, default=10_000, help="test images (default 10,000)")
    parser.add_argument("--epochs", type=int, default=30, help="(default 30)")
    parser.add_argument("--learning-rate", type=float, default=0.004)
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    parser.add_common(
        seeds=3,
        seeds_help="trainings of each network",
        quick={"drawn": 24, "images": 4000, "tests": 2000, "epochs": 6},
        data_dir="folder of the data sets",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
