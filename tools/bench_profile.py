"""How fast a space is profiled, and how well its networks are then predicted.

    python tools/bench_profile.py --space tiny_edge --seeds 3 --json profile.json

Builds a table from nothing in a temporary place (the user's own is left alone), then validates it on random networks
of each seed. Run it while nothing else does, or say so beside the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarking.claims import claim
from benchmarking.document import conduct
from benchmarking.options import BenchParser, seeds_of
from benchmarking.tables import quiet_settings

from edgenas.devices import get_device
from edgenas.export.files import write_atomically
from edgenas.latency import QuietSettings, profile_space, validate
from edgenas.spaces.space.search_space import SearchSpace

GOAL_ERROR = 0.03


def main(arguments: Sequence[str] | None = None) -> int:
    parser = BenchParser(description=__doc__)
    parser.add_argument("--space", default="tiny_edge")
    parser.add_argument("--device", default="local-cpu")
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=int, help="height and width of the input, instead of the space's own")
    parser.add_argument("--networks", type=int, default=40)
    parser.add_argument("--fast", type=int, default=0, help="so many of the fastest networks for each seed as well")
    parser.add_argument("--repeats", type=int, default=1, help="how many tables to build and validate")
    parser.add_argument("--keep", type=Path, help="a folder that keeps tables and each network's figures")
    parser.add_common(
        seeds=3,
        seeds_help="validations of each table",
        lists=True,
        quick={"networks": 10, "seeds": "1"},
    )
    return conduct(bench, parser.parse_args(arguments))


def bench(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All runs, as each is done."""
    space, device = SearchSpace.load(options.space), get_device(options.device)
    if options.size:
        space = SearchSpace.load(options.space, input_shape=(options.size, options.size, space.input_shape[2]))
    runs: list[dict[str, Any]] = []
    for _ in range(options.repeats):
        runs.append(run(space, device, options, seeds_of(options)))
        yield {
            "space": space.name,
            "input_shape": list(space.input_shape),
            "device": device.name,
            "precision": options.precision,
            "protocol": (quiet_settings(options) or QuietSettings()).protocol,
            "load_average": os.getloadavg(),
            "runs": runs,
            "claims": claims(runs),
        }


def claims(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of all random networks that the tables were validated on."""
    found = [one for each in runs for one in each["validations"] if not one["fast"]]
    networks = sum(one["networks"] for one in found)

    def mean(figure: str) -> float:
        return float(sum(one["networks"] * one[figure] for one in found) / networks)

    return [
        claim(f"mean error of predictions on {networks} random networks", mean("mape"), GOAL_ERROR),
        claim("share of them within 10 %", mean("within_10pct"), 1.0, least=True),
    ]


def run(space: SearchSpace, device: Any, options: argparse.Namespace, seeds: list[int]) -> dict[str, Any]:
    """One table from nothing, and its validations."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        table_path = folder / f"{space.name}-{space.input_shape[0]}px-{options.precision}.csv"
        result = profile_space(
            space,
            device,
            precision=options.precision,
            threads=options.threads,
            table_path=table_path,
            settings=quiet_settings(options),
            fresh=True,
        )
        rate = result.measured / result.seconds
        calibration = result.table.calibration
        print(
            f"{result.measured} signatures in {result.seconds:.1f} s: {rate:.1f} per second; {calibration}", flush=True
        )
        validations = []
        samples = [(seed, False, options.networks) for seed in seeds]
        samples += [(seed, True, options.fast) for seed in seeds if options.fast]
        for seed, fast, networks in samples:
            quiet = quiet_settings(options)
            found = validate(
                space, device, result.table, networks=networks, seed=seed, fast=fast, settings=quiet
            ).to_json()
            rows = found.pop("rows")
            validations.append(found | {"median_ms": sorted(row["measured_ms"] for row in rows)[len(rows) // 2]})
            write_atomically(table_path.with_suffix(f".{seed}{'.fast' * fast}.json"), json.dumps(rows, indent=1))
            drift = "unknown" if found["drift"] is None else f"{found['drift']:.3f}"
            print(
                f"{networks} {'fast' if fast else 'random'} networks of seed {seed}: "
                f"MAPE {found['mape']:.2%}, largest {found['max_error']:.1%}, within 5 % "
                f"{found['within_5pct']:.1%}, within 10 % {found['within_10pct']:.1%}, Spearman "
                f"{found['spearman']:.4f}; drift {drift}, with it MAPE {found['now']['mape']:.2%}, "
                f"{found['now']['within_5pct']:.1%}, {found['now']['within_10pct']:.1%}; by the wall clock MAPE "
                f"{found['unadjusted']['mape']:.2%}, clock {found['clock']:.3f}; {found['seconds']:.1f} s",
                flush=True,
            )
    return {
        "signatures": result.signatures,
        "seconds": result.seconds,
        "signatures_per_second": rate,
        "calibration": calibration.to_json() if calibration else None,
        "failed": len(result.failed),
        "validations": validations,
    }


if __name__ == "__main__":
    sys.exit(main())
