"""The Edge TPU check against compiled twins, and the simulated Edge TPU against published latencies.

    python tools/bench_edgetpu.py --pairs DIR --latencies CSV --json OUT

``DIR`` holds models ``X.tflite`` beside ``X_edgetpu.tflite``, what the real compiler made of them. The check is right
about a pair when exactly the operators that it leaves to the CPU are left in the twin. ``CSV`` has published latencies
(columns model, device, latency_ms, source). Networks are split at random in two halves; the constants are fitted on
one and judged on the other, beside two baselines fitted on the same half: a line through MACs and one through
parameters. The split of ``--seed`` is the one that the device's YAML was fitted on; the spread over ``--splits`` other
splits is reported too. Networks are written down from their papers (``edgetpu_models``), shapes only.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from edgetpu_models.builder import parameters
from edgetpu_models.fitting import FITTED, Score, fit_latency, fit_line, map_fit
from edgetpu_models.published import CYCLES, NETWORKS, POSENET_CYCLES, POSENET_FILE, PublishedRow, read_rows

from edgenas.devices import get_device
from edgenas.devices.kinds.edgetpu_model import EdgeTpuConstants, Work, macs_of, work_of
from edgenas.devices.kinds.simulated import SimulatedEdgeTpu
from edgenas.export.compilers.edgetpu.check import check_edgetpu
from edgenas.export.compilers.edgetpu.compiled import CUSTOM_OPERATOR, compiled_parts
from edgenas.export.files import write_atomically
from edgenas.export.tflite.reader import TfliteOperator, read_operators
from edgenas.spaces.errors import EdgeNASError, InputError

#: What sources say of each constant before anything is fitted; see ``devices/catalog/edgetpu-sim.yaml``.
PRIORS = {
    "clock_mhz": 500.0,
    "cycles_per_convolution_step": 1.0,
    "cycles_per_depthwise_step": 1.0,
    "cycles_per_vector_step": 1.0,
    "compute_scale": 1.0,
    "fixed_ms": 0.85,
    "operator_ms": 0.0133,
    "stream_ms_per_mib": 2.256,
    "input_ms_per_mb": 3.0,
    "output_ms_per_mb": 14.0,
    "cpu_ms_per_mmac": 0.0635,
    "cpu_ms_per_melement": 1.0,
}
#: The Dev Board's processor against the desktop's, in the maker's own table of CPU latencies.
_EMBEDDED = 0.2821 / 0.0635


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, required=True, metavar="DIR")
    parser.add_argument("--latencies", type=Path, required=True, metavar="CSV")
    parser.add_argument("--seed", type=int, default=0, help="seed of the split")
    parser.add_argument("--splits", type=int, default=200, help="other splits, for the spread")
    parser.add_argument("--json", type=Path, required=True, metavar="OUT")
    settings = parser.parse_args()
    try:
        result = bench(settings)
    except EdgeNASError as error:
        sys.exit(f"error: {error}")
    write_atomically(settings.json, json.dumps(result, indent=1) + "\n")
    print(json.dumps(_short(result), indent=1))


def bench(settings: argparse.Namespace) -> dict[str, Any]:
    """All figures, as they are written to the JSON file."""
    cycles = fit_cycles(settings.pairs)
    prior = EdgeTpuConstants(**{**PRIORS, **cycles["constants"]})
    board = dataclasses.replace(
        prior,
        cpu_ms_per_mmac=prior.cpu_ms_per_mmac * _EMBEDDED,
        cpu_ms_per_melement=prior.cpu_ms_per_melement * _EMBEDDED,
    )
    networks = {name: build() for name, (build, _) in NETWORKS.items()}
    return {
        "pairs": check_pairs(settings.pairs),
        "cycles": cycles,
        "usb": bench_host("usb", networks, prior, settings) | {"shipped_device": "edgetpu-sim"},
        "dev-board": bench_host("dev-board", networks, board, settings),
        "networks": {
            name: {
                "from": NETWORKS[name][1],
                "operators": len(operators),
                "parameters": parameters(operators),
                "macs": _macs(operators),
            }
            for name, operators in networks.items()
        },
        "settings": {"seed": settings.seed, "splits": settings.splits, "fitted": list(FITTED)},
    }


# The check ---------------------------------------------------------------------------------------------------------


def check_pairs(folder: Path) -> dict[str, Any]:
    """Every model with a compiled twin: what was predicted for the CPU, and what the compiler left there."""
    rows = []
    for twin in sorted(folder.glob("*_edgetpu.tflite")):
        source = twin.with_name(twin.name.replace("_edgetpu.tflite", ".tflite"))
        if source.exists():
            rows.append(_check_pair(source, twin))
    if not rows:
        raise InputError(f"{folder}: expected files X.tflite beside X_edgetpu.tflite, found none")
    return {"right": sum(row["right"] for row in rows), "wrong": sum(not row["right"] for row in rows), "rows": rows}


def _check_pair(source: Path, twin: Path) -> dict[str, Any]:
    model, compiled = source.read_bytes(), twin.read_bytes()
    report, operators = check_edgetpu(model), read_operators(model)
    predicted = Counter(
        _name(operator) for operator, told in zip(operators, report.operators, strict=True) if not told.mapped
    )
    left = Counter(_name(operator) for operator in read_operators(compiled) if operator.name != CUSTOM_OPERATOR)
    parts = compiled_parts(compiled)
    actual_bytes = sum(part.cached_bytes + part.streamed_bytes for part in parts)
    return {
        "model": source.stem,
        "right": predicted == left,
        "operators": len(operators),
        "predicted_cpu": sum(predicted.values()),
        "compiled_cpu": sum(left.values()),
        "only_predicted": [list(name) for name in (predicted - left)],
        "only_compiled": [list(name) for name in (left - predicted)],
        "parameter_bytes": report.parameter_bytes,
        "compiled_parameter_bytes": actual_bytes,
        "instruction_bytes": sum(part.instruction_bytes for part in parts),
        "estimated_cycles": [part.estimated_cycles for part in parts],
    }


def _name(operator: TfliteOperator) -> tuple[str, ...]:
    """Kind and outputs of an operator: the compiler keeps the names of tensors."""
    return (operator.name, *(tensor.name for tensor in operator.outputs))


# The compiler's cycles ---------------------------------------------------------------------------------------------


def fit_cycles(pairs: Path) -> dict[str, Any]:
    """Cycles per step, from the compiler's estimates; errors with each network left out in turn."""
    works = {name: work_of(NETWORKS[name][0]()) for name in CYCLES}
    estimates = dict(CYCLES)
    if (pairs / POSENET_FILE).exists():
        works["posenet"] = work_of(read_operators((pairs / POSENET_FILE).read_bytes()))
        estimates["posenet"] = POSENET_CYCLES
    names = list(works)

    def fit(used: list[str]) -> np.ndarray:
        design = np.array([_steps(works[name]) for name in used], np.float64)
        target = np.array([estimates[name] for name in used], np.float64)
        return map_fit(design, target, np.ones(3), spread=np.full(3, 0.5), expected_error=0.05)

    errors = {
        name: float(fit([other for other in names if other != name]) @ _steps(works[name]) / estimates[name] - 1)
        for name in names
    }
    keys = ("cycles_per_convolution_step", "cycles_per_depthwise_step", "cycles_per_vector_step")
    return {
        "constants": {key: round(float(value), 3) for key, value in zip(keys, fit(names), strict=True)},
        "leave_one_out_errors": {name: round(error, 4) for name, error in errors.items()},
        "leave_one_out_mape": round(float(np.mean(np.abs(list(errors.values())))), 4),
    }


def _steps(work: Work) -> list[float]:
    return [work.convolution_steps, work.depthwise_steps, work.vector_steps]


# Latencies ---------------------------------------------------------------------------------------------------------


def bench_host(
    host: str, networks: Mapping[str, list[TfliteOperator]], prior: EdgeTpuConstants, settings: argparse.Namespace
) -> dict[str, Any]:
    """Fit and held-out errors for one host, on the split of the seed and on many others."""
    rows, unknown = read_rows(settings.latencies, host)
    works = {row.network: work_of(networks[row.network]) for row in rows}
    free = [*FITTED] if host == "usb" else [*FITTED, "cpu_ms_per_melement"]
    costs = {
        "macs": {name: float(_macs(networks[name])) for name in works},
        "parameters": {name: float(parameters(networks[name])) for name in works},
    }

    def judge(seed: int) -> dict[str, Any]:
        train, test = _split(rows, seed)
        fitted = fit_latency(
            [works[row.network] for row in train], [row.latency_ms for row in train], prior, spread=0.5, free=free
        )
        published = np.array([row.latency_ms for row in test])
        scores = {"model": Score.of(_predict(fitted, works, test), published)}
        for name, cost in costs.items():
            line = fit_line(np.array([cost[row.network] for row in train]), np.array([row.latency_ms for row in train]))
            predicted = np.array([line[0] + line[1] * cost[row.network] for row in test])
            scores[name] = Score.of(predicted, published)
        return {"fitted": fitted, "train": train, "test": test, "scores": scores}

    first = judge(settings.seed)
    spread: dict[str, list[Score]] = {"model": [], "macs": [], "parameters": []}
    for other in range(settings.seed + 1, settings.seed + 1 + settings.splits):
        for name, score in judge(other)["scores"].items():
            spread[name].append(score)
    result: dict[str, Any] = {
        "rows": len(rows),
        "networks": len(works),
        "left_out": {"not_buildable": unknown},
        "constants": {name: round(value, 5) for name, value in vars(first["fitted"]).items()},
        "fitted_on": sorted({row.network for row in first["train"]}),
        "held_out": {name: vars(score) for name, score in first["scores"].items()},
        "spread": {name: _spread(scores) for name, scores in spread.items()},
        "prior_only": vars(
            Score.of(_predict(prior, works, first["test"]), np.array([row.latency_ms for row in first["test"]]))
        ),
        "held_out_rows": _table(first["test"], _predict(first["fitted"], works, first["test"])),
        "fitted_rows": _table(first["train"], _predict(first["fitted"], works, first["train"])),
    }
    if host == "usb":
        result["shipped"] = _shipped(works, first["test"])
    return result


def _split(rows: list[PublishedRow], seed: int) -> tuple[list[PublishedRow], list[PublishedRow]]:
    """Half of the networks each: a network's rows from several sources stay together."""
    names = sorted({row.network for row in rows})
    chosen = set(np.random.default_rng(seed).permutation(names)[: (len(names) + 1) // 2].tolist())
    return [row for row in rows if row.network in chosen], [row for row in rows if row.network not in chosen]


def _predict(constants: EdgeTpuConstants, works: Mapping[str, Work], rows: list[PublishedRow]) -> np.ndarray:
    return np.array([constants.latency_ms(works[row.network]) for row in rows])


def _shipped(works: Mapping[str, Work], test: list[PublishedRow]) -> dict[str, Any]:
    """The device as it is in the catalog, on the same held-out rows."""
    device = get_device("edgetpu-sim")
    assert isinstance(device, SimulatedEdgeTpu)
    published = np.array([row.latency_ms for row in test])
    return vars(Score.of(_predict(device.constants, works, test), published))


def _spread(scores: list[Score]) -> dict[str, Any]:
    """Quantiles over splits."""
    if not scores:
        return {}
    return {
        key: {
            name: round(float(np.quantile([getattr(score, key) for score in scores], share)), 4)
            for name, share in (("p10", 0.1), ("median", 0.5), ("p90", 0.9))
        }
        for key in ("spearman", "median_relative_error")
    }


def _table(rows: list[PublishedRow], predicted: np.ndarray) -> list[dict[str, Any]]:
    return [
        {
            "network": row.network,
            "published_ms": row.latency_ms,
            "predicted_ms": round(float(value), 3),
            "error": round(float(value) / row.latency_ms - 1, 3),
            "source": row.source,
        }
        for row, value in zip(rows, predicted, strict=True)
    ]


def _macs(operators: list[TfliteOperator]) -> int:
    return sum(map(macs_of, operators))


def _short(result: dict[str, Any]) -> dict[str, Any]:
    pairs = {key: result["pairs"][key] for key in ("right", "wrong")}
    hosts = {
        host: {key: result[host][key] for key in ("rows", "networks", "held_out", "spread", "constants")}
        for host in ("usb", "dev-board")
    }
    hosts["usb"]["shipped"] = result["usb"]["shipped"]
    return {"pairs": pairs, "cycles": result["cycles"], **hosts}


if __name__ == "__main__":
    main()
