"""The Edge TPU check against compiled twins, and the simulated Edge TPU against published latencies.

    python tools/bench_edgetpu.py --pairs PAIRS --latencies CSV --json OUT
    python tools/bench_edgetpu.py --data-dir DIR --quick --json OUT

``PAIRS`` (by default ``DIR/edgetpu_pairs``) holds models ``X.tflite`` beside ``X_edgetpu.tflite``, what the real
compiler made of them. The check is right about a pair when exactly the operators that it leaves to the CPU are left in
the twin. ``CSV`` (by default ``DIR/published_model_latency.csv``) has published latencies (columns model, device,
latency_ms, source). With ``--quick``, the part of an input that is not there is left out.

Networks are split at random in two halves; the constants are fitted on one and judged on the other, beside two
baselines fitted on the same half: a line through MACs and one through parameters. The split of ``--seed`` is the one
that the device's YAML was fitted on; the spread over the other splits is reported too. Networks are written down from
their papers (``edgetpu_models``), shapes only.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim, quantiles
from benchmarking.document import conduct
from benchmarking.options import BenchParser, seeds_of
from edgetpu_models.builder import parameters
from edgetpu_models.fitting import FITTED, Score, fit_latency, fit_line, map_fit
from edgetpu_models.published import CYCLES, NETWORKS, POSENET_CYCLES, POSENET_FILE, PublishedRow, read_rows

from edgenas.devices import get_device
from edgenas.devices.kinds.edgetpu_model import EdgeTpuConstants, Work, macs_of, work_of
from edgenas.devices.kinds.simulated import SimulatedEdgeTpu
from edgenas.export.compilers.edgetpu.check import check_edgetpu
from edgenas.export.compilers.edgetpu.compiled import CUSTOM_OPERATOR, compiled_parts
from edgenas.export.tflite.reader import TfliteOperator, read_operators
from edgenas.spaces.errors import InputError

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


GOAL_SPEARMAN = 0.9


def main(arguments: Sequence[str] | None = None) -> int:
    parser = BenchParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, help="folder of models beside their compiled twins")
    parser.add_argument("--latencies", type=Path, metavar="CSV", help="published latencies")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first split")
    parser.add_argument("--splits", type=int, help="other splits, for the spread: one less than --seeds")
    parser.add_common(
        seeds=201,
        seeds_help="splits in all",
        quick={"seeds": 11},
        data_dir="folder of edgetpu_pairs and published_model_latency.csv",
    )
    options = parser.parse_args(arguments)
    if options.splits is not None:
        options.seeds = options.splits + 1
    return conduct(bench, options, lambda found: print(json.dumps(_short(found), indent=1)))


def bench(options: argparse.Namespace) -> dict[str, Any]:
    """All figures, as they are written to the JSON file."""
    pairs = _given(options, "pairs", "edgetpu_pairs")
    latencies = _given(options, "latencies", "published_model_latency.csv")
    if pairs is None and latencies is None:
        raise InputError("neither --pairs nor --latencies is there: give them, or --data-dir with both")
    cycles = fit_cycles(pairs)
    prior = EdgeTpuConstants(**{**PRIORS, **cycles["constants"]})
    board = dataclasses.replace(
        prior,
        cpu_ms_per_mmac=prior.cpu_ms_per_mmac * _EMBEDDED,
        cpu_ms_per_melement=prior.cpu_ms_per_melement * _EMBEDDED,
    )
    networks = {name: build() for name, (build, _) in NETWORKS.items()}
    found: dict[str, Any] = {"cycles": cycles}
    if pairs is not None:
        found["pairs"] = check_pairs(pairs)
    if latencies is not None:
        seeds = seeds_of(options)
        found["usb"] = bench_host("usb", networks, prior, latencies, seeds) | {"shipped_device": "edgetpu-sim"}
        found["dev-board"] = bench_host("dev-board", networks, board, latencies, seeds)
    return found | {
        "networks": {
            name: {
                "from": NETWORKS[name][1],
                "operators": len(operators),
                "parameters": parameters(operators),
                "macs": _macs(operators),
            }
            for name, operators in networks.items()
        },
        "settings": {"pairs": pairs, "latencies": latencies, "splits": options.seeds - 1, "fitted": list(FITTED)},
        "claims": claims(found),
    }


def _given(options: argparse.Namespace, name: str, usual: str) -> Path | None:
    """The input of an option, by default that of the data folder; only with ``--quick`` may it be missing."""
    path: Path | None = getattr(options, name) or (options.data_dir / usual if options.data_dir else None)
    if path is not None and path.exists():
        return path
    if getattr(options, name) is not None or not options.quick:
        found = "nothing was given" if path is None else f"{path} is not there"
        raise InputError(f"--{name}: {found}; expected {usual} in --data-dir, or the path itself")
    print(f"{name}: left out, there is none", file=sys.stderr)
    return None


def claims(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The check against the compiler, and the shipped device on latencies that it was not fitted to."""
    made = []
    if "pairs" in found:
        pairs = len(found["pairs"]["rows"])
        made.append(
            claim(f"pairs that the check is right about, of {pairs}", found["pairs"]["right"], pairs, least=True)
        )
    if "usb" in found:
        text = "edgetpu-sim: rank correlation with published latencies it was not fitted to"
        made.append(claim(text, found["usb"]["shipped"]["spearman"], GOAL_SPEARMAN, least=True))
        for host in ("usb", "dev-board"):
            text = f"{host}: the same of a model fitted to one half, median over splits"
            made.append(claim(text, found[host]["spread"]["model"]["spearman"]["median"], GOAL_SPEARMAN, least=True))
    return made


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


def fit_cycles(pairs: Path | None) -> dict[str, Any]:
    """Cycles per step, from the compiler's estimates; errors with each network left out in turn."""
    works = {name: work_of(NETWORKS[name][0]()) for name in CYCLES}
    estimates = dict(CYCLES)
    if pairs is not None and (pairs / POSENET_FILE).exists():
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
    host: str,
    networks: Mapping[str, list[TfliteOperator]],
    prior: EdgeTpuConstants,
    latencies: Path,
    seeds: Sequence[int],
) -> dict[str, Any]:
    """Fit and held-out errors for one host, on the split of the first seed and on those of the others."""
    rows, unknown = read_rows(latencies, host)
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

    first = judge(seeds[0])
    spread: dict[str, list[Score]] = {"model": [], "macs": [], "parameters": []}
    for other in seeds[1:] or seeds:
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
    return {
        key: quantiles([getattr(score, key) for score in scores], "p10", "median", "p90")
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


def _short(result: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"cycles": result["cycles"]}
    if "pairs" in result:
        shown["pairs"] = {key: result["pairs"][key] for key in ("right", "wrong")}
    for host in ("usb", "dev-board"):
        if host in result:
            keys = ("rows", "networks", "held_out", "spread", "constants", "shipped")
            shown[host] = {key: result[host][key] for key in keys if key in result[host]}
    return shown


if __name__ == "__main__":
    sys.exit(main())
