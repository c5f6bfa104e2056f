"""What exporting costs: conversion time against a plain converter call, quantizations side by side, groups both ways.

    python tools/bench_export.py [--space tiny_edge] [--networks 3] [--seeds 1] [--repeats 3] [--quick] --json OUT

For each random network of the space (random weights, random calibration images, so that nothing is trained):

- ``convert``: processor seconds of this package's int8 conversion, checks included, against one call of the plain
  converter (``TFLiteConverter.from_keras_model``, the same options and images); the best repeat of each, in turns;
- ``package``: seconds of writing metadata and labels into the file (part of the ratio);
- ``quantizations``: size, and quiet latency on the device, all files in the same rounds.

``groups``: a block with a group convolution as one operator against SPLIT, CONV_2D and CONCATENATION, measured on the
device side by side.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from benchmarking.claims import claim
from benchmarking.document import conduct
from benchmarking.options import BenchParser, seeds_of
from benchmarking.tables import quiet_settings

CALIBRATION_IMAGES = 100
GOAL_RATIO = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; see the module."""
    parser = BenchParser(description=__doc__)
    parser.add_argument("--space", default="tiny_edge")
    parser.add_argument("--device", default="local-cpu")
    parser.add_argument("--networks", type=int, default=3, help="random networks of each seed")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--parts", default="convert,quantizations,groups")
    parser.add_common(seeds_help="draws of networks and weights", quick={"networks": 1, "repeats": 1})
    return conduct(bench, parser.parse_args(arguments))


def bench(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The figures, network by network, then those of group convolutions."""
    parts = options.parts.split(",")
    found: dict[str, Any] = {key: getattr(options, key) for key in ("space", "device", "seed", "repeats")}
    found |= {"networks": [], "claims": []}
    if "convert" in parts or "quantizations" in parts:
        for seed in seeds_of(options):
            for row in measure_networks(options, parts, seed):
                found["networks"].append(row)
                if "convert" in parts:
                    ratios = [each["convert"]["ratio"] for each in found["networks"]]
                    found["mean_ratio"] = round(float(np.mean(ratios)), 4)
                    words = f"processor time of a conversion by one plain converter call, mean of {len(ratios)}"
                    found["claims"] = [claim(words, found["mean_ratio"], GOAL_RATIO)]
                yield found
    if "groups" in parts:
        yield found | {"groups": measure_groups(options)}


def measure_networks(options: argparse.Namespace, parts: list[str], seed: int) -> Iterator[dict[str, Any]]:
    """One row per random network."""
    from edgenas.export.keras.builder import build_keras
    from edgenas.spaces.space.search_space import SearchSpace

    space = SearchSpace.load(options.space)
    rng = np.random.default_rng(seed)
    for row in space.sample(rng, options.networks):
        network = space.decode(row)
        model = build_keras(network, seed=seed)
        shape = (CALIBRATION_IMAGES, *network.inputs[0][1])
        images = rng.normal(size=shape).astype(np.float32)
        found: dict[str, Any] = {"architecture": str(space.architecture(row)), "seed": seed, "macs": network.macs}
        if "convert" in parts:
            found["convert"] = time_conversion(model, images, options.repeats)
            print(f"{found['architecture']}: {found['convert']}", flush=True)
        if "quantizations" in parts:
            found["quantizations"] = compare_quantizations(model, images, options, seed)
            for name, figures in found["quantizations"].items():
                print(f"  {name}: {figures}", flush=True)
        yield found


def time_conversion(model: Any, images: np.ndarray, repeats: int) -> dict[str, float]:
    """Seconds of the int8 recipe and of one plain call, the best of ``repeats`` in turns, and their ratio."""
    from edgenas.export.bundle.preprocessing import Preprocessing
    from edgenas.export.quantization import convert
    from edgenas.export.tflite.metadata import with_metadata

    ours: list[float] = []
    plain: list[float] = []
    for _ in range(repeats):
        seconds, converted = timed(lambda: convert(model, quantization="int8", calibration=images))
        ours.append(seconds)
        plain.append(timed(lambda: plain_conversion(model, images))[0])
    channels, classes = images.shape[-1], model.outputs[0].shape[-1]
    package = [
        timed(
            lambda: with_metadata(
                converted,
                name="benchmark",
                description="",
                version="1",
                licence="",
                labels=[str(index) for index in range(classes)],
                preprocessing=Preprocessing((0.5,) * channels, (0.5,) * channels),
            )
        )[0]
        for _ in range(repeats)
    ]
    best = {"seconds": min(ours), "plain_seconds": min(plain), "package_seconds": min(package)}
    ratio = (best["seconds"] + best["package_seconds"]) / best["plain_seconds"]
    return {name: round(value, 4) for name, value in (best | {"ratio": ratio}).items()}


def plain_conversion(model: Any, images: np.ndarray) -> bytes:
    """What the converter's documentation shows for full-integer models."""
    from edgenas.export._console import quiet_console
    from edgenas.export._tensorflow import tensorflow

    tf = tensorflow()
    with quiet_console():
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[np.newaxis]] for image in images)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
        return bytes(converter.convert())


def compare_quantizations(
    model: Any, images: np.ndarray, options: argparse.Namespace, seed: int
) -> dict[str, dict[str, Any]]:
    """Size and quiet latency of every recipe that needs no training."""
    from edgenas.export.quantization import convert, get_recipe, recipe_names

    names = [name for name in recipe_names() if get_recipe(name).fine_tuning is None]
    files = {name: convert(model, quantization=name, calibration=images) for name in names}
    measured = side_by_side(files, options, seed)
    return {name: {"size_bytes": len(files[name])} | measured[name] for name in names}


def side_by_side(models: dict[str, bytes], options: argparse.Namespace, seed: int) -> dict[str, dict[str, Any]]:
    """The quiet latency of each model on the device, all in the same rounds."""
    from edgenas.compare.side_by_side import known_anchor_ms, measure_side_by_side
    from edgenas.devices import get_device

    device, anchor_ms = get_device(options.device), known_anchor_ms(options.device)
    return measure_side_by_side(device, models, seed=seed, anchor_ms=anchor_ms, settings=quiet_settings(options))


def measure_groups(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Blocks with group convolutions: one operator against its parts, in the same quiet rounds."""
    from edgenas.export.tflite.flatbuffer import write_tflite
    from edgenas.export.tflite.group_split import split_group_convolutions
    from edgenas.spaces.blocks import GroupConvInvertedBottleneck

    rows = []
    models: dict[str, bytes] = {}
    for side, channels, groups in ((28, 32, 2), (14, 64, 2), (14, 64, 4), (14, 64, 8), (7, 128, 4)):
        block = GroupConvInvertedBottleneck(filters=channels, expansion=4, groups=groups)
        native = write_tflite(block.lower((side, side, channels)), "int8", seed=options.seed)
        name = f"{side}x{side}x{channels} groups={groups}"
        models |= {f"{name} native": native, f"{name} split": split_group_convolutions(native)}
        rows.append({"block": name})
    measured = side_by_side(models, options, options.seed)
    for row in rows:
        times = {how: measured[f"{row['block']} {how}"] for how in ("native", "split")}
        row |= times
        if all("quiet_ms" in found for found in times.values()):
            row["ratio"] = round(times["split"]["quiet_ms"] / times["native"]["quiet_ms"], 4)
        print(f"{row['block']} on {options.device}: split takes {row.get('ratio')} times as long as native", flush=True)
    return rows


def timed(work: Callable[[], bytes]) -> tuple[float, bytes]:
    """Seconds of processor time of this process, so that neighbours on the machine do not count, and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


if __name__ == "__main__":
    sys.exit(main())
