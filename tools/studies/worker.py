"""A worker of a shared study, as a program: looks accuracies up in a table that everybody can compute.

python tools/studies/worker.py URL --trials 200 --seconds 0.05 --name a --log evaluations.txt
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgenas.spaces.errors import InputError
from edgenas.study.tuning import Tuning

#: 9 settings of 6 values: ten million architectures.
SPACE = {f"setting_{number}": list(range(6)) for number in range(9)}

_START_SECONDS = 120.0


def table_value(values: Mapping[str, Any]) -> float:
    """The accuracy of an architecture, the same everywhere."""
    mixed = 0
    for value in values.values():
        mixed = (mixed * 31 + int(value) * 7 + 3) % 10_007
    return mixed / 10_007


def architecture(values: Mapping[str, Any]) -> str:
    """As the study writes it."""
    return "-".join(str(value) for value in values.values())


def main() -> int:
    """Works until the study has all its trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=0.0, help="an evaluation takes up to twice that")
    parser.add_argument("--algorithm", default="random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default=None)
    parser.add_argument("--beat", type=float, default=10.0)
    parser.add_argument("--grace", type=float, default=60.0)
    parser.add_argument("--stats", type=Path, help="where to write trials, seconds of CPU and suggestions in vain")
    parser.add_argument("--log", type=Path, help="a line for every evaluation that begins or ends")
    options = parser.parse_args()
    pause = random.Random(os.getpid())
    tuning = join(options)
    used = time.process_time()
    with tuning:
        for trials in itertools.count():
            suggestion = tuning.suggest()
            if suggestion is None:
                if options.stats:
                    found = {"trials": trials, "cpu_s": time.process_time() - used, "in_vain": tuning.in_vain}
                    options.stats.write_text(json.dumps(found))
                return 0
            note(options.log, "begins", suggestion.number, suggestion.values)
            time.sleep(2 * options.seconds * pause.random())
            note(options.log, "ends", suggestion.number, suggestion.values)
            tuning.report(suggestion, table_value(suggestion.values))
    return 0


def join(options: argparse.Namespace) -> Tuning:
    """Takes a place at the study; again for a while where its server is being started."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            return Tuning(
                SPACE,
                study=options.url,
                trials=options.trials,
                algorithm=options.algorithm,
                seed=options.seed,
                maximize=True,
                worker=options.name,
                beat_seconds=options.beat,
                grace_seconds=options.grace,
            )
        except InputError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def note(path: Path | None, what: str, number: int, values: Mapping[str, Any]) -> None:
    """Appends one line, whole or not at all."""
    if path is not None:
        line = f"{what} {number} {architecture(values)} {os.getpid()}\n".encode()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(handle, line)
        os.close(handle)


if __name__ == "__main__":
    sys.exit(main())
