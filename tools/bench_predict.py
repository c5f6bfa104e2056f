"""How well a table predicts models that were never in its space: predicted against measured, whole files.

    python tools/bench_predict.py --table ~/.edgenas/tables/local-cpu-int8.csv --json predict.json
    python tools/bench_predict.py --quick --json predict.json

Takes reference networks (at ``--sizes``), writes them untrained, predicts each as ``edgenas predict`` does, and
measures its quiet latency at the table's reference clock. Beside the prediction stands the naive one, latency
proportional to multiply-accumulates at the rate that fits the other networks (leave-one-out), and how often the stated
error held. Each seed gives the networks other weights.

Where no table is given, and ``--data-dir`` holds none of ``--device``, one of ``--space`` is made first.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim
from benchmarking.document import conduct
from benchmarking.options import BenchParser, seeds_of
from benchmarking.tables import TABLES, quiet_settings, table_of

from edgenas.devices import get_device
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency import LatencyTable, QuietLatency, QuietSettings, measure_quiet
from edgenas.latency.check.validation import Accuracy
from edgenas.latency.predict.model_prediction import predict_model
from edgenas.spaces.errors import WorkError
from edgenas.spaces.references import reference_network
from edgenas.spaces.space.search_space import SearchSpace

NETWORKS = (
    "mobilenet_v2_0.35,mobilenet_v2_0.5,mobilenet_v2_1.0,mobilenet_v3_large_minimalistic,"
    "mobilenet_v3_small_minimalistic,mobilenet_edgetpu_1.0,mobilenet_edgetpu_v2_tiny,mobilenet_edgetpu_v2_xs,"
    "efficientnet_lite0"
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = BenchParser(description=__doc__)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--space", default="tiny_edge", help="whose blocks a table is made of where none is given")
    parser.add_argument("--device", default="local-cpu", help="that it is made on")
    parser.add_argument("--networks", default=NETWORKS, help="names of reference networks, separated by commas")
    parser.add_argument("--sizes", default="96,160", help="sides of the input image")
    parser.add_argument("--visits", type=int, default=4, help="quiet visits of each network")
    parser.add_common(
        seeds_help="random weights of each network",
        quick={"sizes": "96", "visits": 2},
        data_dir=TABLES,
    )
    return conduct(bench, parser.parse_args(arguments), show)


def bench(options: argparse.Namespace) -> dict[str, Any]:
    """Predicted and measured latencies of all networks, and how the two compare."""
    settings = QuietSettings(visits=options.visits)
    space = SearchSpace.load(options.space)
    table, words = table_of(options.table, options.data_dir, space, options.device, "int8", quiet_settings(options))
    rows = [row for seed in seeds_of(options) for row in measured_rows(options, table, settings, seed)]
    if len(rows) < 2:
        raise WorkError(f"{len(rows)} networks could be measured on {table.device}: two are needed to compare")
    found = figures(rows)
    error, naive = found["predicted"]["mape"], found["macs_only"]["mape"]
    claims = [claim("mean error of predictions; the goal is that of multiply-accumulates alone", error, naive)]
    return {"table": words, "load_average": os.getloadavg(), **found, "rows": rows, "claims": claims}


def measured_rows(
    options: argparse.Namespace, table: LatencyTable, settings: QuietSettings, seed: int
) -> list[dict[str, Any]]:
    """One row for each network that could be measured, with the weights of a seed."""
    models, macs = {}, {}
    for name in options.networks.split(","):
        for size in map(int, options.sizes.split(",")):
            network = reference_network(name, (size, size, 3))
            models[f"{name}@{size}"] = write_tflite(network.graph, table.precision, seed=seed)
            macs[f"{name}@{size}"] = network.macs
    outcomes = measure_quiet(
        get_device(table.device),
        models,
        settings=table.visit_settings(settings),
        threads=table.threads,
        anchor_ms=table.anchor_ms,
    )
    rows: list[dict[str, Any]] = []
    for name, model in models.items():
        outcome = outcomes[name]
        if not isinstance(outcome, QuietLatency):
            print(f"{name}: {outcome}", file=sys.stderr)
            continue
        found = predict_model(model, table)
        rows.append(
            {
                "network": name,
                "seed": seed,
                "predicted_ms": found.latency_ms,
                "measured_ms": outcome.latency_ms,
                "macs": macs[name],
                "measured_share": found.measured_share,
                "unknown_share": found.unknown_share,
                "stated_mape": found.error["mape"],
            }
        )
    return rows


def show(found: Mapping[str, Any]) -> None:
    for row in found["rows"]:
        print(
            f"{row['network']:40s} predicted {row['predicted_ms']:8.3f} ms, measured {row['measured_ms']:8.3f} ms, "
            f"{row['predicted_ms'] / row['measured_ms'] - 1:+.1%}; from measured blocks {row['measured_share']:.0%}, "
            f"unknown operators {row['unknown_share']:.0%}"
        )
    print({name: found[name] for name in ("table", "predicted", "macs_only", "within_stated")})


def figures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Accuracy of the predictions, of the naive ones, and the share of networks within their stated error."""
    predicted, measured, macs = (
        np.array([row[key] for row in rows], np.float64) for key in ("predicted_ms", "measured_ms", "macs")
    )
    rates = measured / macs
    naive = macs * np.array([np.median(np.delete(rates, place)) for place in range(len(rows))])
    stated = [(row["stated_mape"], abs(row["predicted_ms"] / row["measured_ms"] - 1)) for row in rows]
    told = [error <= bound for bound, error in stated if bound is not None]
    return {
        "predicted": vars(Accuracy.of(predicted, measured)),
        "macs_only": vars(Accuracy.of(naive, measured)),
        "within_stated": float(np.mean(told)) if told else None,
    }


if __name__ == "__main__":
    sys.exit(main())
