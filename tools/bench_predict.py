"""How well a table predicts models that were never in its space: predicted against measured, whole files.

    python tools/bench_predict.py --table ~/.edgenas/tables/local-cpu-int8.csv --json predict.json

Takes reference networks (at ``--sizes``), writes them untrained, predicts each as ``edgenas predict`` does, and
measures its quiet latency at the table's reference clock. Beside the prediction stands the naive one, latency
proportional to multiply-accumulates at the rate that fits the other networks (leave-one-out), and how often the stated
error held.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.devices import get_device
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency import LatencyTable, QuietLatency, QuietSettings, measure_quiet
from edgenas.latency.check.validation import Accuracy
from edgenas.latency.predict.model_prediction import predict_model
from edgenas.spaces.references import reference_network

NETWORKS = (
    "mobilenet_v2_0.35,mobilenet_v2_0.5,mobilenet_v2_1.0,mobilenet_v3_large_minimalistic,"
    "mobilenet_v3_small_minimalistic,mobilenet_edgetpu_1.0,mobilenet_edgetpu_v2_tiny,mobilenet_edgetpu_v2_xs,"
    "efficientnet_lite0"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--networks", default=NETWORKS, help="names of reference networks, separated by commas")
    parser.add_argument("--sizes", default="96,160", help="sides of the input image")
    parser.add_argument("--json", type=Path, help="write figures and settings here")
    options = parser.parse_args()
    table = LatencyTable.load(options.table)
    device = get_device(table.device)
    models, macs = {}, {}
    for name in options.networks.split(","):
        for size in map(int, options.sizes.split(",")):
            network = reference_network(name, (size, size, 3))
            models[f"{name}@{size}"] = write_tflite(network.graph, table.precision)
            macs[f"{name}@{size}"] = network.macs
    outcomes = measure_quiet(
        device,
        models,
        settings=table.visit_settings(QuietSettings(visits=4)),
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
                "predicted_ms": found.latency_ms,
                "measured_ms": outcome.latency_ms,
                "macs": macs[name],
                "measured_share": found.measured_share,
                "unknown_share": found.unknown_share,
                "stated_mape": found.error["mape"],
            }
        )
    document = {"table": str(options.table), "load_average": os.getloadavg(), **figures(rows), "rows": rows}
    for row in rows:
        print(
            f"{row['network']:40s} predicted {row['predicted_ms']:8.3f} ms, measured {row['measured_ms']:8.3f} ms, "
            f"{row['predicted_ms'] / row['measured_ms'] - 1:+.1%}; from measured blocks {row['measured_share']:.0%}, "
            f"unknown operators {row['unknown_share']:.0%}"
        )
    print({name: figure for name, figure in document.items() if name != "rows"})
    if options.json:
        options.json.write_text(json.dumps(document, indent=1))


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
    main()
