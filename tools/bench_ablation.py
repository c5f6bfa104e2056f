"""What each mechanism of measuring brings: recorded visits, worked out again with one mechanism after the other off.

    python tools/bench_ablation.py --record tiny_edge:28:int8 --data-dir recordings     # now, and again hours later
    python tools/bench_ablation.py --data-dir recordings --json ablation.json           # nothing is measured

A recording holds every visit of a profile and of a validation, as the device told it. A *set* is all recordings of one
space, size and precision. The table of each recording is compared with the networks of each recording of its set, of
its own time and of other times: the error is the mean of |predicted / measured - 1|, with both worked out without the
mechanism. One that does not lower the error by 0.3 points on average over the sets that it acts on goes.
A recording whose validation was stopped is judged by the table's own leave-one-out error.

What a mechanism does while measuring (waiting for quiet moments, visiting again what was disturbed) is in all
recordings: only the use of what was seen is switched off.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ablation.mechanisms import EVERYTHING_ON, MECHANISMS, Mechanism
from ablation.recording import Recording, record
from ablation.replay import Replay
from benchmarking.claims import claim
from benchmarking.document import conduct
from benchmarking.options import BenchParser, seeds_of

from edgenas.devices import get_device
from edgenas.spaces.errors import InputError

#: Points of error that a mechanism must bring on average.
EARNS_POINTS = 0.3
_UNFELT = 1e-9


def error_percent(replays: Sequence[Replay], mechanism: Mechanism | None = None) -> dict[str, float]:
    """Mean errors in percent over tables and validations of a set: of one time, of different times, of all pairs."""
    with (mechanism.without if mechanism else EVERYTHING_ON)():
        tables = [replay.table() for replay in replays]
        own, others = [], []
        for place, table in enumerate(tables):
            if not replays[place].is_validated and table.calibration is not None and table.calibration.mape:
                own.append(100 * table.calibration.mape)
            for other, replay in enumerate(replays):
                if not replay.is_validated:
                    continue
                errors = np.abs(replay.predicted_ms(table) / replay.seen(table).measured_ms - 1)
                (own if other == place else others).append(100 * float(errors.mean()))
    found = {"own": float(np.mean(own)), "all": float(np.mean(own + others))}
    return found | ({"others": float(np.mean(others))} if others else {})


def deployed_percent(replays: Sequence[Replay]) -> tuple[float, float]:
    """Errors of the deployed median: by the ratio of the other networks, and taken for the quiet latency."""
    with_ratio, without = [], []
    for replay in replays:
        table = replay.table()
        calibration = table.calibration
        assert calibration is not None
        if calibration.deployed_error is None or not calibration.pairs:
            continue
        medians = np.array([replay.deployed[str(place)][0] for place in range(len(calibration.pairs))])
        quiet = np.array([measured for _, measured in calibration.pairs])
        with_ratio.append(100 * calibration.deployed_error)
        without.append(100 * float(np.abs(quiet / medians - 1).mean()))
    return (float(np.mean(with_ratio)), float(np.mean(without))) if with_ratio else (0.0, 0.0)


def errors_by_set(recordings: Sequence[Recording], mechanisms: Sequence[Mechanism]) -> dict[str, Any]:
    """Errors with everything on and without each mechanism, by set."""
    sets: dict[str, list[Recording]] = {}
    for recording in recordings:
        sets.setdefault(recording.set_name, []).append(recording)
    found: dict[str, Any] = {}
    for name, members in sorted(sets.items()):
        replays = [Replay(recording) for recording in members]
        with_all = error_percent(replays)
        print(f"{name}, {len(members)} recordings: {_words(with_all)} with everything", flush=True)
        without = {}
        for mechanism in mechanisms:
            without[mechanism.name] = error_percent(replays, mechanism)
            gain = without[mechanism.name]["all"] - with_all["all"]
            print(f"  without {mechanism.name:28} {_words(without[mechanism.name])}: {gain:+.2f} points", flush=True)
        deployed = deployed_percent(replays)
        print(f"  deployed median: {deployed[0]:.2f} % with the ratio, {deployed[1]:.2f} % without", flush=True)
        without["deployed ratio"] = {"all": deployed[1]}
        found[name] = {
            "recordings": [
                {"folder": each.folder.name, "load_average": each.load_average, "stated": each.stated}
                for each in members
            ],
            "with": with_all,
            "with_deployed_ratio": deployed[0],
            "without": without,
        }
    return found


def verdicts(sets: dict[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """What each mechanism brings on average over the sets that it changes anything in."""
    rows = []
    for name in names:
        base = "with_deployed_ratio" if name == "deployed ratio" else "with"
        gains = []
        for each in sets.values():
            before = each[base] if base == "with_deployed_ratio" else each["with"]["all"]
            gains.append(each["without"][name]["all"] - before)
        felt = [gain for gain in gains if abs(gain) > _UNFELT]
        mean = float(np.mean(felt)) if felt else 0.0
        rows.append(
            {"mechanism": name, "points": round(mean, 3), "sets": len(felt), "keep": bool(mean >= EARNS_POINTS)}
        )
    return rows


def _words(errors: dict[str, float]) -> str:
    others = f", {errors['others']:.2f} % at other times" if "others" in errors else ""
    return f"{errors['own']:.2f} %{others}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Records, or prints the table of mechanisms."""
    parser = BenchParser(description=__doc__)
    parser.add_argument("--record", metavar="SPACE:SIZE:PRECISION", action="append", help="measure and add a recording")
    parser.add_argument("--device", default="local-cpu")
    parser.add_argument("--networks", type=int, default=24, help="networks that a recording validates")
    parser.add_argument("--most", type=int, help="most recordings of each set")
    parser.add_common(
        seeds_help="recordings to make, each of other networks",
        quick={"most": 2},
        data_dir="the folder of recordings (default recordings)",
    )
    parser.set_defaults(data_dir=Path("recordings"))
    options = parser.parse_args(arguments)
    if options.record:
        return conduct(made, options)
    return conduct(bench, options, show)


def made(options: argparse.Namespace) -> dict[str, Any]:
    """New recordings."""
    folders = []
    for job in options.record:
        space, size, precision = job.split(":")
        for seed in seeds_of(options):
            device, networks = get_device(options.device), options.networks
            folder = record(device, space, int(size), precision, options.data_dir, seed=seed, networks=networks)
            folders.append(str(folder))
            print(folder)
    return {"recordings": folders, "claims": []}


def bench(options: argparse.Namespace) -> dict[str, Any]:
    """Errors by set, and what each mechanism brings."""
    recordings = [Recording.load(path.parent) for path in sorted(options.data_dir.glob("*/recording.json"))]
    if not recordings:
        raise InputError(f"{options.data_dir} holds no recording: make one with --record tiny_edge:28:int8")
    names = [each.set_name for each in recordings]
    most = options.most or len(names)
    recordings = [each for place, each in enumerate(recordings) if names[:place].count(each.set_name) < most]
    sets = errors_by_set(recordings, MECHANISMS)
    rows = verdicts(sets, [*(each.name for each in MECHANISMS), "deployed ratio"])
    claims = [
        claim(f"points of error that {row['mechanism']} brings", row["points"], EARNS_POINTS, least=True)
        for row in rows
    ]
    return {"sets": sets, "mechanisms": rows, "claims": claims}


def show(found: Mapping[str, Any]) -> None:
    for row in found["mechanisms"]:
        print(
            f"{row['mechanism']:28} {row['points']:+6.2f} points on average over {row['sets']} sets: "
            f"{'keep' if row['keep'] else 'remove'}"
        )


if __name__ == "__main__":
    sys.exit(main())
