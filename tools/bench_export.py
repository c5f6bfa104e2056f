"""What exporting costs: conversion time against a plain converter call, quantizations side by side, groups both ways.

    python tools/bench_export.py [--space tiny_edge] [--networks 3] [--seed 0] [--repeats 3] --json OUT

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
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CALIBRATION_IMAGES = 100


def main() -> int:
    """Measures and prints; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="tiny_edge")
    parser.add_argument("--device", default="local-cpu")
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", default="convert,quantizations,groups")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    document: dict[str, Any] = {key: getattr(arguments, key) for key in ("space", "device", "seed", "repeats")}
    if "convert" in parts or "quantizations" in parts:
        document["networks"] = measure_networks(arguments, parts)
    if "groups" in parts:
        document["groups"] = measure_groups(arguments.device, arguments.seed)
    if "convert" in parts:
        ratios = [row["convert"]["ratio"] for row in document["networks"]]
        document["mean_ratio"] = round(float(np.mean(ratios)), 4)
        print(f"conversion takes {document['mean_ratio']:.3f} times one plain converter call (mean of {len(ratios)})")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


def measure_networks(arguments: argparse.Namespace, parts: list[str]) -> list[dict[str, Any]]:
    """One row per random network."""
    from edgenas.export.keras.builder import build_keras
    from edgenas.spaces.space.search_space import SearchSpace

    space = SearchSpace.load(arguments.space)
    rng = np.random.default_rng(arguments.seed)
    rows = []
    for row in space.sample(rng, arguments.networks):
        network = space.decode(row)
        model = build_keras(network, seed=arguments.seed)
        shape = (CALIBRATION_IMAGES, *network.inputs[0][1])
        images = rng.normal(size=shape).astype(np.float32)
        found: dict[str, Any] = {"architecture": str(space.architecture(row)), "macs": network.macs}
        if "convert" in parts:
            found["convert"] = time_conversion(model, images, arguments.repeats)
            print(f"{found['architecture']}: {found['convert']}", flush=True)
        if "quantizations" in parts:
            found["quantizations"] = compare_quantizations(model, images, arguments.device, arguments.seed)
            for name, figures in found["quantizations"].items():
                print(f"  {name}: {figures}", flush=True)
        rows.append(found)
    return rows


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


def compare_quantizations(model: Any, images: np.ndarray, device: str, seed: int) -> dict[str, dict[str, Any]]:
    """Size and quiet latency of every recipe that needs no training."""
    from edgenas.compare.side_by_side import known_anchor_ms, measure_side_by_side
    from edgenas.devices import get_device
    from edgenas.export.quantization import convert, get_recipe, recipe_names

    names = [name for name in recipe_names() if get_recipe(name).fine_tuning is None]
    files = {name: convert(model, quantization=name, calibration=images) for name in names}
    measured = measure_side_by_side(get_device(device), files, seed=seed, anchor_ms=known_anchor_ms(device))
    return {name: {"size_bytes": len(files[name])} | measured[name] for name in names}


def measure_groups(device: str, seed: int) -> list[dict[str, Any]]:
    """Blocks with group convolutions: one operator against its parts, in the same quiet rounds."""
    from edgenas.compare.side_by_side import known_anchor_ms, measure_side_by_side
    from edgenas.devices import get_device
    from edgenas.export.tflite.flatbuffer import write_tflite
    from edgenas.export.tflite.group_split import split_group_convolutions
    from edgenas.spaces.blocks import GroupConvInvertedBottleneck

    rows = []
    models: dict[str, bytes] = {}
    for side, channels, groups in ((28, 32, 2), (14, 64, 2), (14, 64, 4), (14, 64, 8), (7, 128, 4)):
        block = GroupConvInvertedBottleneck(filters=channels, expansion=4, groups=groups)
        native = write_tflite(block.lower((side, side, channels)), "int8", seed=seed)
        name = f"{side}x{side}x{channels} groups={groups}"
        models |= {f"{name} native": native, f"{name} split": split_group_convolutions(native)}
        rows.append({"block": name})
    measured = measure_side_by_side(get_device(device), models, seed=seed, anchor_ms=known_anchor_ms(device))
    for row in rows:
        times = {how: measured[f"{row['block']} {how}"] for how in ("native", "split")}
        row |= times
        if all("quiet_ms" in found for found in times.values()):
            row["ratio"] = round(times["split"]["quiet_ms"] / times["native"]["quiet_ms"], 4)
        print(f"{row['block']} on {device}: split takes {row.get('ratio')} times as long as native", flush=True)
    return rows


def timed(work: Callable[[], bytes]) -> tuple[float, bytes]:
    """Seconds of processor time of this process, so that neighbours on the machine do not count, and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


if __name__ == "__main__":
    sys.exit(main())
