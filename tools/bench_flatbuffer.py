"""Written models against converted ones: how long writing takes, whether the operators are equal, how fast they run.

    python tools/bench_flatbuffer.py --signatures 20 [--seeds 1] [--quick] --json OUT

For random signatures of a search space, other ones for each seed, the block is written directly and also built in Keras
and converted. Reported are milliseconds a model, the equality of the operator lists (names, versions, shapes, types,
options), and the ratio of latencies, in two statistics. Each round is a fresh process that visits both files of every
signature in turn, several times, in random order. ``minima`` compares the fastest run of either file over all rounds;
``paired`` is the median over visits of the ratio of two neighbours, which a machine that changes its speed disturbs
less.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from benchmarking.claims import claim, quantiles
from benchmarking.document import conduct
from benchmarking.options import BenchParser, seeds_of

from edgenas.devices.device import MeasurementError, MeasureSettings, get_device
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.reader import read_operators
from edgenas.spaces.block import PRECISIONS
from edgenas.spaces.blocks import InvertedBottleneck
from edgenas.spaces.errors import WorkError
from edgenas.spaces.graph import OpGraph
from edgenas.spaces.space.search_space import SearchSpace


def main(arguments: Sequence[str] | None = None) -> int:
    parser = BenchParser(description=__doc__)
    parser.add_argument("--space", default="tiny_edge", help="search space to draw signatures from")
    parser.add_argument("--signatures", type=int, default=20)
    parser.add_argument("--precision", choices=PRECISIONS, default="int8")
    parser.add_argument("--rounds", type=int, default=8, help="fresh processes that measure all models")
    parser.add_argument("--visits", type=int, default=4, help="how often a round comes to each model")
    parser.add_argument("--seconds", type=float, default=0.025, help="measuring time of a visit")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_common(seeds_help="draws of signatures", quick={"signatures": 6, "rounds": 2, "visits": 2})
    return conduct(
        bench,
        parser.parse_args(arguments),
        lambda found: print(json.dumps({key: value for key, value in found.items() if key in SHOWN}, indent=1)),
    )


#: What is printed.
SHOWN = ("operators_equal", "signatures", "write_ms_median", "write_ms_ibn", "convert_ms_median", "latency_ratio")


def bench(options: argparse.Namespace) -> dict[str, Any]:
    """All figures, as they are written to the JSON file."""
    rows: list[dict[str, Any]] = []
    provenance: dict[str, Any] = {}
    for seed in seeds_of(options):
        more, provenance = one_seed(options, seed)
        rows += more
    equal = sum(row["operators_equal"] for row in rows)
    return {
        "operators_equal": equal,
        "signatures": len(rows),
        "write_ms_median": round(statistics.median(row["write_ms"] for row in rows), 3),
        "write_ms_ibn": round(_write_ibn_ms(options.precision), 3),
        "convert_ms_median": round(statistics.median(row["convert_ms"] for row in rows), 1),
        "latency_ratio": {
            name: quantiles([row[name] for row in rows], "min", "p10", "median", "p90", "max")
            for name in ("minima", "paired")
        },
        "provenance": provenance,
        "rows": rows,
        "claims": [claim(f"signatures with equal operators both ways, of {len(rows)}", equal, len(rows), least=True)],
    }


def one_seed(options: argparse.Namespace, seed: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """One row for each signature that the seed draws, and where it was measured."""
    rng = np.random.default_rng(seed)
    entries = SearchSpace.load(options.space).signatures(options.precision)
    count = min(options.signatures, len(entries))
    chosen = [list(entries)[index] for index in sorted(rng.choice(len(entries), count, replace=False))]
    graphs = {signature: entries[signature].graph for signature in chosen}
    written, write_ms = _timed(graphs, lambda graph: write_tflite(graph, options.precision, seed=seed))
    converted, convert_ms = _timed(graphs, lambda graph: _convert(graph, options.precision, seed))
    latencies, provenance = _measure(written, converted, options, rng)
    rows = [
        {
            "signature": signature,
            "seed": seed,
            "write_ms": round(write_ms[signature], 3),
            "convert_ms": round(convert_ms[signature], 1),
            "written_latency_ms": round(float(latencies[signature][:, 0].min()), 6),
            "converted_latency_ms": round(float(latencies[signature][:, 1].min()), 6),
            "minima": round(float(latencies[signature][:, 0].min() / latencies[signature][:, 1].min()), 4),
            "paired": round(float(np.median(latencies[signature][:, 0] / latencies[signature][:, 1])), 4),
            "operators": [operator.name for operator in read_operators(written[signature])],
            "operators_equal": _facts(written[signature]) == _facts(converted[signature]),
        }
        for signature in chosen
    ]
    return rows, provenance


def _timed(graphs: dict[str, OpGraph], make: Any) -> tuple[dict[str, bytes], dict[str, float]]:
    """A model for each signature, and the milliseconds it took; the first is made once before, to warm up."""
    make(next(iter(graphs.values())))
    models, milliseconds = {}, {}
    for signature, graph in graphs.items():
        start = time.perf_counter()
        models[signature] = make(graph)
        milliseconds[signature] = (time.perf_counter() - start) * 1e3
    return models, milliseconds


def _convert(graph: OpGraph, precision: str, seed: int) -> bytes:
    """The same ops by way of Keras and the TensorFlow converter, with the non-zero biases of a trained model."""
    from edgenas.export.keras.builder import build_graph
    from edgenas.export.quantization import convert

    rng = np.random.default_rng(seed)
    model = build_graph(graph, "block", seed=seed)
    for variable in model.variables:
        if variable.path.endswith(("bias", "beta", "moving_mean")):
            variable.assign(rng.normal(0, 0.2, variable.shape))
    images = rng.normal(size=(8, *graph.inputs[0][1])).astype(np.float32)
    return convert(model, quantization=precision, calibration=images)


def _measure(
    written: dict[str, bytes], converted: dict[str, bytes], settings: argparse.Namespace, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Fastest run in ms of each visit, shape (rounds * visits, 2): written, converted; and where it was measured."""
    device = get_device("local-cpu")
    files = (written, converted)
    latencies: dict[str, list[list[float]]] = {signature: [] for signature in written}
    provenance: dict[str, Any] = {}
    visit_settings = MeasureSettings(warmup_seconds=0.005, min_runs=10, max_seconds=settings.seconds, confidence=None)
    for number in range(settings.rounds):
        signatures = [list(written)[index] for index in rng.permutation(len(written))]
        models = {
            f"{visit} {kind} {signature}": files[kind][signature]
            for signature in signatures
            for visit in range(settings.visits)
            for kind in rng.permutation(2).tolist()
        }
        outcomes = device.measure_many(models, visit_settings)
        for signature in signatures:
            for visit in range(settings.visits):
                pair = [outcomes[f"{visit} {kind} {signature}"] for kind in (0, 1)]
                for outcome in pair:
                    if isinstance(outcome, MeasurementError):
                        raise WorkError(f"{signature}: {outcome}")
                    provenance = outcome.provenance.to_json()
                latencies[signature].append(
                    [outcome.min for outcome in pair if not isinstance(outcome, MeasurementError)]
                )
        print(f"round {number + 1} of {settings.rounds}", file=sys.stderr)
    return {signature: np.array(pairs) for signature, pairs in latencies.items()}, provenance


def _facts(model: bytes) -> list[Any]:
    """Everything that a runtime sees of the operators; expansions of float16 constants, in any order, first."""
    facts = [
        (
            operator.name,
            operator.version,
            [(tensor.shape, tensor.dtype, tensor.is_constant) for tensor in operator.inputs if tensor],
            [(tensor.shape, tensor.dtype) for tensor in operator.outputs],
            dict(operator.options),
        )
        for operator in read_operators(model)
    ]
    expansions = sorted((fact for fact in facts if fact[0] == "DEQUANTIZE"), key=str)
    return [*expansions, *(fact for fact in facts if fact[0] != "DEQUANTIZE")]


def _write_ibn_ms(precision: str, runs: int = 50) -> float:
    """Median milliseconds to lower and write one inverted bottleneck of 96 channels, expansion 6."""
    block = InvertedBottleneck(96, expansion=6)
    milliseconds = []
    for seed in range(runs):
        start = time.perf_counter()
        write_tflite(block.lower((14, 14, 96)), precision, seed=seed)
        milliseconds.append((time.perf_counter() - start) * 1e3)
    return statistics.median(milliseconds)


if __name__ == "__main__":
    sys.exit(main())
