"""What relative attention costs beside inverted bottlenecks at several resolutions, where it runs, and what int8 does.

    python tools/bench_attention.py --json attention.json [--devices local-cpu,ethos-u85-256,edgetpu-sim] [--quick]

Parts: ``latency`` (blocks of one width on images of several sides, in int8, each alone in a model), ``targets`` (which
operators a target takes), ``precision`` (how far attention in integers is from float, the same random weights in
both). On a device that is measured, the fastest of ``--rounds`` fresh processes counts, in which the models take turns.
Nothing is downloaded; ``--data-dir`` is not needed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from benchmarking.claims import claim
from benchmarking.document import conduct, machine
from benchmarking.options import BenchParser, counts, seeds_of

from edgenas.cli.check import check_target
from edgenas.devices import Measurement, MeasureSettings, get_device
from edgenas.export.keras.builder import build_graph
from edgenas.export.quantization import convert
from edgenas.export.runtime import find_runtime
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.block import Block
from edgenas.spaces.blocks import InvertedBottleneck, PreNormInvertedBottleneck, RelativeAttention
from edgenas.spaces.blocks.attention import relative_attention
from edgenas.spaces.errors import EdgeNASError, InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.network import Network, chain

PARTS = ("latency", "targets", "precision")
SIDES = (4, 7, 10, 14, 20, 28)
QUANTIZATIONS = ("int8", "int16x8")
TARGETS = ("coral", "ethos-u55-128", "ethos-u85-256", "tflm", "cpu")
HEAD_SIZE = 32
#: Which of these two is quicker is what is asked.
RIVALS = ("MBConv", "attention, batch norm")


def blocks(filters: int) -> dict[str, Block]:
    """Blocks that read and write images of the same width, with ReLU, so that every target may take them."""
    return {
        "MBConv": InvertedBottleneck(filters, 3, 1, 4),
        "MBConv, squeeze-excite": PreNormInvertedBottleneck(filters, 3, 1, 4, "relu"),
        "attention, layer norm": RelativeAttention(filters, 1, HEAD_SIZE, 4, "relu", "layer"),
        "attention, batch norm": RelativeAttention(filters, 1, HEAD_SIZE, 4, "relu", "batch"),
    }


def networks(sides: tuple[int, ...], filters: int) -> dict[tuple[str, int], Network]:
    """Each block alone on images of each side."""
    return {
        (name, side): chain(name, (side, side, filters), {"block": block})
        for side in sides
        for name, block in blocks(filters).items()
    }


def latency(devices: list[str], sides: tuple[int, ...], filters: int, rounds: int, seed: int) -> list[dict[str, Any]]:
    """Latency of every block on every device, with where the number comes from."""
    found = []
    cases = networks(sides, filters)
    models = {f"{name}@{side}": write_tflite(case.graph, "int8", seed=seed) for (name, side), case in cases.items()}
    for device in devices:
        quickest, provenance = _quickest(device, models, rounds)
        for (name, side), case in cases.items():
            ms = quickest.get(f"{name}@{side}")
            found.append(
                {
                    "device": device,
                    "block": name,
                    "side": side,
                    "filters": filters,
                    "latency_ms": ms,
                    "macs": case.macs,
                    "params": case.params,
                    "provenance": provenance,
                }
            )
        _print_device(device, provenance, [row for row in found if row["device"] == device])
    return found


def _quickest(device: str, models: dict[str, bytes], rounds: int) -> tuple[dict[str, float], str]:
    """The fastest run of each model in ms, and the kind of number that it is; a model that fails is left out."""
    target = get_device(device)
    settings = MeasureSettings(max_seconds=0.5, min_runs=10)
    times: dict[str, list[float]] = {}
    kind = "measured"
    for _ in range(rounds if target.varies else 1):
        for name, outcome in target.measure_many(models, settings).items():
            if isinstance(outcome, Measurement):
                times.setdefault(name, []).append(outcome.min)
                kind = outcome.provenance.kind
    return {name: min(values) for name, values in times.items()}, kind


def _print_device(device: str, provenance: str, rows: list[dict[str, Any]]) -> None:
    sides = sorted({row["side"] for row in rows})
    print(f"{device} ({provenance}), {rows[0]['filters']} filters, int8, ms")
    print(f"{'':24}" + "".join(f"{f'{side}x{side}':>9}" for side in sides))
    for block in dict.fromkeys(row["block"] for row in rows):
        values = {row["side"]: row["latency_ms"] for row in rows if row["block"] == block}
        print(f"{block:24}" + "".join(f"{'-' if values[s] is None else f'{values[s]:.4f}':>9}" for s in sides))


def targets(side: int, filters: int) -> list[dict[str, Any]]:
    """How many operators each target takes of each block, and what it refuses."""
    found = []
    for name, block in blocks(filters).items():
        model = write_tflite(chain(name, (side, side, filters), {"block": block}).graph, "int8")
        for target in TARGETS:
            try:
                report = check_target(model, target)
            except EdgeNASError as error:
                found.append({"block": name, "target": target, "error": str(error)})
                continue
            refused = {one.op: one.reason for one in report.operators if not one.mapped}
            taken = sum(one.mapped for one in report.operators)
            found.append(
                {"block": name, "target": target, "taken": taken, "of": len(report.operators), "refused": refused}
            )
            print(f"{name} on {target}: {taken} of {len(report.operators)}", refused or "")
    return found


def precision(sides: tuple[int, ...], filters: int, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Root of the mean square of integer minus float, over that of float, at each number of pixels."""
    found = []
    for side in sides:
        runs = [_errors(side, filters, seed) for seed in seeds]
        row: dict[str, Any] = {"side": side, "pixels": side * side, "filters": filters}
        row["error"] = {kind: statistics.median(run[kind] for run in runs) for kind in QUANTIZATIONS}
        row["steps_of_a_mean_share"] = 256 / row["pixels"]
        found.append(row)
        errors = ", ".join(f"{kind} {error:.1%}" for kind, error in row["error"].items())
        print(f"{side}x{side}: {errors}; a share of 1/{row['pixels']} is {256 / row['pixels']:.2f} steps of 1/256")
    return found


def attention_alone(side: int, filters: int) -> OpGraph:
    """Attention without norms, residual and feed-forward net."""
    builder = GraphBuilder((side, side, filters))
    return builder.build(relative_attention(builder, builder.inputs[0], filters, HEAD_SIZE))


def _errors(side: int, filters: int, seed: int) -> dict[str, float]:
    """Of attention with random weights, calibrated with 16 images as fed, on 4 others."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(20, side, side, filters)).astype(np.float32)
    model = build_graph(attention_alone(side, filters), "attention", seed=seed)
    exact = model(images[16:], training=False).numpy()
    found = {}
    for kind in QUANTIZATIONS:
        file = convert(model, quantization=kind, calibration=images[:16])
        coarse = np.concatenate([_run(file, image[None]) for image in images[16:]])
        found[kind] = float(np.sqrt(np.mean((coarse - exact) ** 2) / np.mean(exact**2)))
    return found


def _run(model: bytes, image: np.ndarray) -> np.ndarray:
    interpreter = find_runtime().interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    if source["dtype"] != np.float32:
        scale, zero_point = source["quantization"]
        bounds = np.iinfo(source["dtype"])
        image = np.clip(np.rint(image / scale) + zero_point, bounds.min, bounds.max).astype(source["dtype"])
    interpreter.set_tensor(source["index"], image)
    interpreter.invoke()
    values = interpreter.get_tensor(result["index"]).astype(np.float32)
    scale, zero_point = result["quantization"]
    return values if result["dtype"] == np.float32 else (values - zero_point) * np.float32(scale)


def claims(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """On each device and at each side, whether attention is as quick as the convolution."""
    found = []
    rivals = [row for row in rows if row["block"] in RIVALS and row["latency_ms"]]
    for device, side in dict.fromkeys((row["device"], row["side"]) for row in rivals):
        known = {row["block"]: row["latency_ms"] for row in rivals if (row["device"], row["side"]) == (device, side)}
        if len(known) == len(RIVALS):
            text = f"{device}, side {side}: latency of {RIVALS[1]} by that of {RIVALS[0]}"
            found.append(claim(text, known[RIVALS[1]] / known[RIVALS[0]], 1.0))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures, and writes them with ``--json``."""
    parser = BenchParser(description=__doc__)
    parser.add_argument("--devices", default="local-cpu,ethos-u85-256,edgetpu-sim")
    parser.add_argument("--sides", type=counts, default=",".join(map(str, SIDES)))
    parser.add_argument("--filters", type=int, default=64, help="width of the blocks: a multiple of 32")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes on a device that is measured")
    parser.add_common(
        seeds=3,
        seeds_help="random weights of the part precision",
        quick={"sides": ",".join(map(str, SIDES[::2])), "rounds": 2, "seeds": 1},
    )
    return conduct(bench, parser.parse_args(arguments))


def bench(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The figures after each part."""
    parts = options.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        raise InputError(f"--parts: unknown part {sorted(unknown)[0]!r}: expected one of {', '.join(PARTS)}")
    result: dict[str, Any] = {"load_average": machine()["load_average"][0], "claims": []}
    if "latency" in parts:
        devices = options.devices.split(",")
        result["latency"] = latency(devices, options.sides, options.filters, options.rounds, seed=0)
        result["claims"] = claims(result["latency"])
        yield result
    if "targets" in parts:
        result["targets"] = targets(8, options.filters)
        yield result
    if "precision" in parts:
        result["precision"] = precision(options.sides, options.filters, seeds_of(options))
        yield result


if __name__ == "__main__":
    sys.exit(main())
