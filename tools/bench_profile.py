"""How fast a space is profiled, and how well its networks are then predicted.

    python tools/bench_profile.py --space tiny_edge --seeds 0,1,2 --json profile.json

Builds a table from nothing in a temporary place (the user's own is left alone), then validates it on random networks
of each seed. Run it while nothing else does, or say so beside the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgenas.devices import get_device
from edgenas.latency import QuietSettings, profile_space, validate
from edgenas.spaces.space.search_space import SearchSpace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="tiny_edge")
    parser.add_argument("--device", default="local-cpu")
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=int, help="height and width of the input, instead of the space's own")
    parser.add_argument("--networks", type=int, default=40)
    parser.add_argument("--fast", type=int, default=0, help="so many of the fastest networks for each seed as well")
    parser.add_argument("--seeds", default="0,1,2", help="seeds of the validations, separated by commas")
    parser.add_argument("--repeats", type=int, default=1, help="how many tables to build and validate")
    parser.add_argument("--keep", type=Path, help="a folder that keeps tables and each network's figures")
    parser.add_argument("--json", type=Path, help="write figures, seeds and settings here")
    options = parser.parse_args()
    space, device = SearchSpace.load(options.space), get_device(options.device)
    if options.size:
        space = SearchSpace.load(options.space, input_shape=(options.size, options.size, space.input_shape[2]))
    seeds = [int(seed) for seed in options.seeds.split(",")]
    runs = [run(space, device, options, seeds) for _ in range(options.repeats)]
    document = {
        "space": space.name,
        "input_shape": list(space.input_shape),
        "device": device.name,
        "precision": options.precision,
        "protocol": QuietSettings().protocol,
        "load_average": os.getloadavg(),
        "runs": runs,
    }
    if options.json:
        options.json.write_text(json.dumps(document, indent=1))


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
            found = validate(space, device, result.table, networks=networks, seed=seed, fast=fast).to_json()
            rows = found.pop("rows")
            validations.append(found | {"median_ms": sorted(row["measured_ms"] for row in rows)[len(rows) // 2]})
            (table_path.with_suffix(f".{seed}{'.fast' * fast}.json")).write_text(json.dumps(rows, indent=1))
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
