"""Keyword spotting: does the search find a smaller model that is more accurate than DS-CNN-S?

    python tools/bench_audio.py --data-dir DIR --seeds 3 --work audio --json audio.json
    python tools/bench_audio.py --data-dir DIR --quick --json audio.json

For each seed: DS-CNN-S (arXiv 1711.07128) trained for ``--epochs``; a search in the space ``keyword_spotting`` for the
most accurate network of at most ``--share`` of its parameters, whose result is trained equally; and random search at
equal cost. Told are the top-1 accuracies of the int8 files on the test part, parameters, the quiet latency of the files
on this machine (measured side by side), the arena in the interpreter of microcontrollers, and the latency on
``--device``, which is modelled. The published ratio is 184 to 315 thousand parameters in under 200 trials (Model
Search).

``DIR/speech_commands12_8k.npz`` is a set of ten words, silence and unknown words, whose test part has other speakers.
What is finished is kept in ``--work`` and not done again.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from audio_bench.runs import Plan, Shipped, searched, trained
from benchmarking.claims import claim
from benchmarking.document import conduct
from benchmarking.options import BenchParser, seeds_of
from benchmarking.tables import quiet_settings

from edgenas.compare.side_by_side import measure_side_by_side
from edgenas.devices import get_device
from edgenas.spaces.references import reference_network

BASELINE = "ds_cnn_s"
#: What each search is called, and its algorithm.
SEARCHES = {"searched": "auto", "random": "random"}


def main(arguments: Sequence[str] | None = None) -> int:
    return conduct(bench, parse_arguments(arguments))


def bench(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Rows and claims after each seed."""
    plan = make_plan(options)
    limit = int(options.share * reference_network(BASELINE, classes=12).params)
    rows = []
    for seed in seeds_of(options):
        rows.append(compared(options, plan, limit, seed))
        for name, figures in rows[-1]["models"].items():
            print(row_line(seed, name, figures), flush=True)
        yield {"settings": {"limit": limit}, "rows": rows, "claims": claims_of(rows, options.share)}


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = BenchParser(description=__doc__)
    parser.add_argument("--data", default="speech_commands12_8k")
    parser.add_argument("--space", default="keyword_spotting")
    parser.add_argument("--share", type=float, default=0.6, help="of the baseline's parameters")
    parser.add_argument("--device", default="cortex-m4", help="that latency is modelled for")
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--short-epochs", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--work", type=Path, default=Path("audio"), help="folder that finished work is kept in")
    parser.add_common(
        seeds=3,
        seeds_help="searches",
        quick={"seeds": 1, "trials": 4, "short_epochs": 1, "epochs": 6},
        data_dir="folder of the data set",
        needs_data=True,
    )
    return parser.parse_args(arguments)


def make_plan(options: argparse.Namespace) -> Plan:
    work = options.work.resolve()
    return Plan(
        work,
        options.data,
        options.data_dir.resolve(),
        options.space,
        options.device,
        options.trials,
        options.short_epochs,
        options.epochs,
        {},
    )


def compared(options: argparse.Namespace, plan: Plan, limit: int, seed: int) -> dict[str, Any]:
    """The baseline and what the searches found, trained with one seed, measured side by side."""
    shipped: dict[str, Shipped] = {BASELINE: trained(plan, BASELINE, BASELINE, seed)}
    for name, algorithm in SEARCHES.items():
        shipped[name] = searched(plan, name, algorithm, limit, seed)
    settings = quiet_settings(options)
    models = {name: one.model for name, one in shipped.items()}
    quiet = measure_side_by_side(get_device("local-cpu"), models, settings=settings)
    found = {name: one.figures() | {"quiet_ms": quiet[name]["quiet_ms"]} for name, one in shipped.items()}
    return {"seed": seed, "models": found}


def row_line(seed: int, name: str, figures: dict[str, Any]) -> str:
    return (
        f"seed {seed}, {name} ({figures['architecture']}): top1 {figures['top1']['tflite']:.4f} int8, "
        f"{figures['top1']['float']:.4f} float; {figures['params']:,} parameters, {figures['macs']:,} MACs, "
        f"{figures['size_bytes']:,} bytes, arena {figures['arena_bytes'] or 0:,} bytes; {figures['quiet_ms']:.4f} ms "
        "(measured, quiet) on local-cpu; "
        + ", ".join(f"{ms:.3g} ms (modelled) on {device}" for device, ms in figures["modelled_ms"].items())
    )


def claims_of(rows: list[dict[str, Any]], share: float) -> list[dict[str, Any]]:
    """What was asked for, of the means over the seeds."""

    def mean(name: str, figure: Any) -> float:
        return statistics.fmean(figure(row["models"][name]) for row in rows)

    def top1(figures: dict[str, Any]) -> float:
        return 100 * float(figures["top1"]["tflite"])

    largest = max(row["models"]["searched"]["params"] / row["models"][BASELINE]["params"] for row in rows)
    latency = mean("searched", lambda f: f["quiet_ms"]) / mean(BASELINE, lambda f: f["quiet_ms"])
    gain, over_random = (round(mean("searched", top1) - mean(other, top1), 3) for other in (BASELINE, "random"))
    return [
        claim("points of int8 top-1 over DS-CNN-S trained equally, mean", gain, 0.0, least=True),
        claim("parameters by those of DS-CNN-S, most", round(largest, 4), share),
        claim("points of int8 top-1 over random search at equal cost, mean (reported)", over_random, 0.0, least=True),
        claim("measured latency by that of DS-CNN-S, mean (reported)", round(latency, 3), 1.0),
    ]


if __name__ == "__main__":
    sys.exit(main())
