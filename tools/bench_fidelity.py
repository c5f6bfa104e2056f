"""What each quantization recipe costs in accuracy, on networks that were trained for it.

    python tools/bench_fidelity.py --data-dir DIR --sets fashion_mnist,cifar10_jpeg --recipes int8,int8-qat \
        --work fidelity --json fidelity.json
    python tools/bench_fidelity.py --quick --json fidelity.json

Draws different random networks of a space near a budget of multiply-accumulates (group convolutions among them),
trains each on a subset of each data set, and then, for every recipe: accuracy of the exported file through the
interpreter on all test images beside the float model's, size, and CPU seconds of the conversion (which other jobs on
the machine disturb least) beside those of one plain ``tf.lite.TFLiteConverter.from_keras_model`` call with the same
options. Each seed draws and trains other networks. Whatever is finished is kept in ``--work`` and never done again
there, so that the benchmark can be interrupted and continued.

A data set is ``DIR/NAME.npz`` with ``x_train``, ``y_train``, ``x_test``, ``y_test``, or with the images as JPEG files:
``train_jpeg`` (all of them one after the other, uint8) and ``train_len`` (bytes of each), likewise ``test_*``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim
from benchmarking.document import conduct
from benchmarking.options import BenchParser, seeds_of
from image_sets import load_set

from edgenas.data import Dataset
from edgenas.data.dataset import Split
from edgenas.export._console import quiet_console
from edgenas.export._tensorflow import tensorflow
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.files import write_atomically
from edgenas.export.keras.builder import build_keras
from edgenas.export.quantization import get_recipe
from edgenas.export.quantization.recipes import calibrated
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct, GroupConvInvertedBottleneck
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.network import Network, chain
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.tasks import get_task
from edgenas.tasks.files import file_metrics
from edgenas.training import Augmentation, TrainingSettings, evaluate, train
from edgenas.training.compress import QuantizationSettings, calibration_inputs, quantize
from edgenas.training.fine_tune import FineTuningSettings

#: Networks drawn to choose from.
_DRAWN = 20_000
TASK = get_task("classification")


#: Points of accuracy that a recipe may lose, and its conversion's CPU time by that of a plain call.
GOAL_POINTS, GOAL_RATIO = 0.5, 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    return conduct(bench, parse_arguments(arguments), print_summary)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = BenchParser(description=__doc__)
    parser.add_argument("--sets", default="fashion_mnist", help="names of data sets, separated by commas")
    parser.add_argument("--recipes", default="float32,float16,dynamic,int8,int16x8,int8-qat")
    parser.add_argument("--space", default="tiny_edge")
    parser.add_argument("--networks", type=int, default=5, help="networks of each seed and data set")
    parser.add_argument("--macs", type=float, default=2e6, help="budget that the networks come close to")
    parser.add_argument("--images", type=int, default=20_000, help="training images")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128, help="images per training step")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--tuning-epochs", type=int, default=2, help="of recipes that fine-tune")
    parser.add_argument("--tuning-steps", type=int, help="most steps of a fine-tuning")
    parser.add_argument("--equalize", action="store_true", help="try cross-layer equalisation for int8")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="that run the test images")
    parser.add_argument("--work", type=Path, default=Path("fidelity"), help="folder that finished work is kept in")
    parser.add_common(
        seeds_help="draws of networks",
        quick={"recipes": "int8,int8-qat", "networks": 2, "macs": 1e6, "images": 4000, "epochs": 3, "batch": 64}
        | {"tuning_epochs": 1, "tuning_steps": 20, "work": Path("fidelity-quick")},
        data_dir="folder of the data sets",
    )
    return parser.parse_args(arguments)


def bench(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The document after each file that was compared."""
    datasets = {name: load_set(name, options.data_dir) for name in options.sets.split(",")}
    warm_up()
    rows: list[dict[str, Any]] = []
    for seed in seeds_of(options):
        networks = {name: choose_networks(dataset, options, seed) for name, dataset in datasets.items()}
        for index in range(options.networks):
            for name, dataset in datasets.items():
                case = Case(name, index, seed, "" if seed == options.seed else f"seed-{seed}")
                architecture, network = networks[name][index]
                found = trained(options, case, architecture, network, dataset)
                for recipe in filter(None, options.recipes.split(",")):
                    rows.append(compare(options, case, network, recipe, dataset, *found))
                    yield document(options, rows)


@dataclasses.dataclass(frozen=True)
class Case:
    """A network of a data set. Seeds after the first keep their work in a folder of their own (``later``)."""

    set: str
    index: int
    seed: int
    later: str

    def __str__(self) -> str:
        return "/".join(filter(None, (self.later, f"{self.set}-{self.index}")))


def choose_networks(dataset: Dataset, options: argparse.Namespace, seed: int) -> list[tuple[str, Network]]:
    """Random networks of 75 to 100 % of the budget; every other one has group convolutions, as far as there are."""
    space = SearchSpace.load(options.space, input_shape=dataset.image_shape, classes=dataset.classes)
    drawn = space.sample(np.random.default_rng(seed), _DRAWN)
    macs = space.population_cost(drawn, space.cost_arrays(lambda entry: entry.graph.macs))
    near = drawn[(macs <= options.macs) & (macs >= 0.75 * options.macs)]
    decoded = [(str(space.architecture(row)), space.decode(row)) for row in near]
    grouped = [pair for pair in decoded if has_group_convolution(pair[1])]
    plain = [pair for pair in decoded if not has_group_convolution(pair[1])]
    chosen: list[tuple[str, Network]] = []
    while len(chosen) < options.networks and (grouped or plain):
        turn = (grouped, plain) if len(chosen) % 2 == 0 else (plain, grouped)
        chosen.append((turn[0] or turn[1]).pop(0))
    if len(chosen) < options.networks:
        raise WorkError(f"only {len(chosen)} networks of {options.space} come close to {options.macs:,.0f} MACs")
    return chosen


def has_group_convolution(network: Network) -> bool:
    return any(isinstance(node.block, GroupConvInvertedBottleneck) for node in network.nodes)


def trained(
    options: argparse.Namespace, case: Case, architecture: str, network: Network, dataset: Dataset
) -> tuple[Any, Preprocessing, Split, dict[str, Any]]:
    """The float model (trained, or read from the work folder), its preprocessing, its training images, its record."""
    folder = options.work / str(case)
    split = dataset.train.subset(options.images, case.seed)
    preprocessing = Preprocessing.fit(split.images)
    settings = TrainingSettings(
        epochs=options.epochs, batch_size=options.batch, augmentation=Augmentation(shift=2, flip=True)
    )
    identity = {
        "set": dict(dataset.describe()) | {"source": Path(dataset.source).name, "used_images": len(split)},
        "architecture": architecture,
        "settings": settings.to_dict(),
        "seed": case.seed,
        "macs": network.macs,
        "params": network.params,
        "group_convolutions": has_group_convolution(network),
    }
    identity = json.loads(json.dumps(identity))
    record_path, weights_path = folder / "float.json", folder / "float.weights.h5"
    if record_path.is_file():
        record = json.loads(record_path.read_text())
        if {key: record.get(key) for key in identity} != identity:
            raise InputError(f"{record_path}: was made with other settings; choose another --work folder")
        model = build_keras(network)
        model.load_weights(weights_path)
        return model, preprocessing, split, record
    start = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    result = train(
        network,
        split,
        settings,
        task=TASK,
        seed=case.seed + case.index,
        preprocessing=preprocessing,
        checkpoint_dir=folder,
    )
    top1 = evaluate(result.model, dataset.test, task=TASK, preprocessing=preprocessing)["top1"]
    temporary = folder / "unfinished.weights.h5"
    result.model.save_weights(temporary)
    os.replace(temporary, weights_path)
    record = identity | {"top1": top1, "seconds": time.monotonic() - start}
    write_atomically(record_path, json.dumps(record, indent=1))
    print(
        f"{case}: {architecture}: {network.macs:,} MACs, float {top1:.4f}, {record['seconds']:.0f} s",
        flush=True,
    )
    return result.model, preprocessing, split, record


def compare(
    options: argparse.Namespace,
    case: Case,
    network: Network,
    recipe: str,
    dataset: Dataset,
    model: Any,
    preprocessing: Preprocessing,
    split: Split,
    record: dict[str, Any],
) -> dict[str, Any]:
    """One recipe on one trained network: from the work folder, or made, measured and kept there."""
    tuning = FineTuningSettings(epochs=options.tuning_epochs, max_steps=options.tuning_steps)
    settings = QuantizationSettings(equalize=options.equalize, fine_tuning=tuning)
    suffix = "-equalized" if options.equalize else ""
    path = options.work / str(case) / f"{recipe}{suffix}.json"
    used = dataclasses.asdict(settings)
    if get_recipe(recipe).fine_tuning is None:
        used = {key: value for key, value in used.items() if key not in ("fine_tuning", "compression")}
    identity = json.loads(json.dumps({"settings": used, "float_top1": record["top1"]}))
    if path.is_file():
        row: dict[str, Any] = json.loads(path.read_text())
        if {key: row.get(key) for key in identity} != identity:
            raise InputError(f"{path}: was made with other settings; choose another --work folder")
        return row
    began = time.process_time()
    made = quantize(
        network,
        model,
        recipe,
        examples=split,
        task=TASK,
        preprocessing=preprocessing,
        seed=case.seed,
        settings=settings,
    )
    cpu_seconds = plain_cpu_seconds = None
    if get_recipe(recipe).fine_tuning is None:
        cpu_seconds = time.process_time() - began
        fed = calibration_inputs(split, settings, task=TASK, preprocessing=preprocessing, seed=case.seed)
        plain_cpu_seconds = plain_conversion(model, recipe, fed["image"])
    top1 = file_metrics(
        made.model,
        dataset.test,
        task=TASK,
        network=network,
        preprocessing=preprocessing,
        processes=options.processes,
    )["top1"]
    row = identity | {
        "set": case.set,
        "index": case.index,
        "seed": case.seed,
        "recipe": recipe + suffix,
        "architecture": record["architecture"],
        "tflite_top1": top1,
        "difference_points": 100 * (top1 - record["top1"]),
        "test_images": len(dataset.test_labels),
        "size_bytes": len(made.model),
        "compressed_bytes": len(zlib.compress(made.model, 9)),
        "conversion_cpu_seconds": cpu_seconds,
        "plain_cpu_seconds": plain_cpu_seconds,
        **made.to_json(),
    }
    write_atomically(path, json.dumps(row, indent=1))
    ratio = f", {cpu_seconds / plain_cpu_seconds:.2f} of a plain call" if cpu_seconds and plain_cpu_seconds else ""
    print(
        f"{case} {row['recipe']}: {top1:.4f} ({row['difference_points']:+.2f} points), {len(made.model):,} "
        f"bytes, converted in {made.conversion_seconds:.1f} s{ratio}, fine-tuned {made.training_seconds:.0f} s",
        flush=True,
    )
    return row


def warm_up() -> None:
    """One small conversion, so that no recipe pays for what TensorFlow loads on first use."""
    blocks = {"stem": ConvBnAct(8), "head": ClassifierHead(4)}
    model = build_keras(chain("small", (8, 8, 1), blocks))
    plain_conversion(model, "int8", np.zeros((2, 8, 8, 1), np.float32))


def plain_conversion(model: Any, recipe: str, calibration: np.ndarray) -> float:
    """CPU seconds of TensorFlow's own way from the same Keras model with the same options."""
    tf = tensorflow()
    with quiet_console():
        start = time.process_time()
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if recipe != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if recipe == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if recipe == "int8":
            calibrated("TFLITE_BUILTINS_INT8", "int8", calibration)(converter)
        if recipe == "int16x8":
            calibrated("EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8", "int16", calibration)(converter)
        converter.convert()
        return time.process_time() - start


def print_summary(found: Mapping[str, Any]) -> None:
    """Means over the networks of each set, by recipe."""
    print("set, recipe: networks, float, tflite, difference in points (mean, lowest, highest), bytes, ratio of seconds")
    for line in found["summary"]:
        print(
            f"{line['set']}, {line['recipe']}: {line['networks']}, {line['float_top1']:.4f}, "
            f"{line['tflite_top1']:.4f}, "
            f"{line['mean_points']:+.3f} ({line['lowest_points']:+.2f} to {line['highest_points']:+.2f}), "
            f"{line['size_bytes']:,.0f}, "
            + (f"{line['conversion_ratio']:.2f}" if line["conversion_ratio"] is not None else "-")
        )


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per set and recipe: means over networks, the extremes, and conversion in CPU seconds over plain calls."""
    lines = []
    for key in sorted({(row["set"], row["recipe"]) for row in rows}):
        group = [row for row in rows if (row["set"], row["recipe"]) == key]
        points = [row["difference_points"] for row in group]
        plain = [row["plain_cpu_seconds"] for row in group]
        ratio = None if None in plain else sum(row["conversion_cpu_seconds"] for row in group) / sum(plain)
        lines.append(
            {
                "set": key[0],
                "recipe": key[1],
                "networks": len(group),
                **{
                    name: float(np.mean([row[name] for row in group]))
                    for name in ("float_top1", "tflite_top1", "size_bytes", "conversion_seconds", "training_seconds")
                },
                "mean_points": float(np.mean(points)),
                "lowest_points": min(points),
                "highest_points": max(points),
                "conversion_ratio": ratio,
            }
        )
    return lines


def document(options: argparse.Namespace, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What ``--json`` writes, but for what all benchmarks write."""
    lines = summary(rows)
    return {
        "command": {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()},
        "load_average": os.getloadavg(),
        "summary": lines,
        "rows": rows,
        "claims": claims(lines),
    }


def claims(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each set, what int8 files lose, and what converting them takes."""
    made = []
    for line in lines:
        words = f"{line['set']}, {line['recipe']}"
        if line["recipe"].startswith("int8"):
            lost = round(-line["mean_points"], 4)
            made.append(claim(f"{words}: points of top-1 lost, mean of {line['networks']}", lost, GOAL_POINTS))
        ratio = line["conversion_ratio"]
        if ratio is not None:
            made.append(claim(f"{words}: CPU time of a conversion by a plain call's", ratio, GOAL_RATIO))
    return made


if __name__ == "__main__":
    sys.exit(main())
