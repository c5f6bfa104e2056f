"""What a shared study costs: finished trials a second, the overhead of a trial in a long study, and resuming one.

    python tools/bench_study.py [--stores postgres,sqlite] [--trials 600] [--workers 4] [--lengths 100,1000,10000]
                                [--seeds 1] [--quick] [--data-dir DIR] [--json OUT]

Evaluations answer at once and the algorithm draws at random, so all that is counted is the study itself: suggestion,
transactions and processes. ``overhead`` is the time of one worker alone for a trial in a study of so many finished
ones; ``resume`` is a new process that opens such a study and knows all of it, with its memory; ``report`` a run's.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.claims import claim
from benchmarking.document import conduct
from benchmarking.options import BenchParser, counts, seeds_of
from studies.postgres import PostgresServer, postgres_programs
from studies.worker import SPACE, table_value

from edgenas.search.option_space import OptionSpace
from edgenas.spaces.errors import WorkError
from edgenas.study.database import DatabaseStudy
from edgenas.study.store import open_study
from edgenas.study.trial import Trial
from edgenas.study.tuning import Tuning

_TOOLS = Path(__file__).resolve().parent
GOALS = {"postgres": 50.0, "sqlite": 10.0}
RESUME_SECONDS, MEMORY_MB, REPORT_SECONDS = 5.0, 500.0, 20.0
#: The rate is counted from when so many trials are there: processes have started by then.
_WARM = 40
_REPEATS = 60


def throughput(url: str, trials: int, workers: int, seed: int, scratch: Path) -> dict[str, float]:
    """Finished trials a second of so many worker processes; CPU that these used a trial; suggestions in vain a trial.

    The CPU is counted because on a shared machine a trial takes much longer than its work.
    """
    command = [sys.executable, str(_TOOLS / "studies" / "worker.py"), url]
    command += ["--trials", str(trials), "--seed", str(seed)]
    stats = [scratch / f"worker-{number}.json" for number in range(workers)]
    running = [subprocess.Popen([*command, "--name", path.stem, "--stats", str(path)]) for path in stats]
    seen: list[tuple[float, int]] = []
    try:
        store = _opened(url, running)
        done: set[int] = set()
        workers_seen: set[str] = set()
        while len(done) < trials:
            for trial in store.refresh():
                if not trial.is_open:
                    done.add(trial.number)
                    workers_seen.add(trial.worker)
            if len(workers_seen) == workers or len(done) == trials:
                seen.append((time.monotonic(), len(done)))
            if any(process.poll() not in (None, 0) for process in running):
                raise RuntimeError("a worker failed; its words are above")
            time.sleep(0.1)
        store.close()
    finally:
        for process in running:
            process.wait()
    (start, first), (end, last) = seen[0], seen[-1]
    if last == first:
        raise WorkError(f"all {trials} trials were finished before every worker had begun: take more --trials")
    found = [json.loads(path.read_text()) for path in stats]
    return {
        "trials_per_s": (last - first) / max(end - start, 1e-9),
        "cpu_ms": 1e3 * sum(one["cpu_s"] for one in found) / trials,
        "in_vain": sum(one["in_vain"] for one in found) / trials,
    }


def _opened(url: str, running: list[subprocess.Popen[bytes]]) -> Any:
    from edgenas.spaces.errors import InputError

    deadline = time.monotonic() + 180
    while True:
        try:
            store = open_study(url)
            if len(store.trials) >= _WARM:
                return store
            store.close()
        except InputError:
            if any(process.poll() not in (None, 0) for process in running):
                raise
        if time.monotonic() > deadline:
            raise RuntimeError("no worker began")
        time.sleep(0.2)


def fill(url: str, length: int, seed: int) -> None:
    """A study of so many finished trials, as workers leave it."""
    with Tuning(SPACE, study=url, trials=10**6, algorithm="random", seed=seed, maximize=True) as tuning:
        space, rng = tuning.space, np.random.default_rng(seed)
        rows = np.unique(space.sample(rng, 2 * length), axis=0)
        rows = rng.permutation(rows)[:length]
        assert isinstance(tuning.store, DatabaseStudy)
        trials = [_finished(number, [int(choice) for choice in row], space) for number, row in enumerate(rows)]
        tuning.store.add_copies(trials, space.decisions)


def _finished(number: int, choices: list[int], space: OptionSpace) -> Trial:
    value = table_value(space.values(choices))
    return Trial(
        number, "-".join(map(str, choices)), tuple(choices), "complete", number, {}, reward=value, seconds=0.0,
        metric="value", metrics={"value": value}, worker="filler",
    )  # fmt: skip


def overhead(url: str, length: int, seed: int) -> dict[str, float]:
    """Milliseconds of a trial, by the clock and of the processor, in a study of so many finished ones."""
    fill(url, length, seed)
    wall, cpu = [], []
    with Tuning(SPACE, study=url, trials=10**6, algorithm="random", seed=seed, maximize=True) as tuning:
        for number in range(_REPEATS + 5):
            began, used = time.perf_counter(), time.process_time()
            suggestion = tuning.suggest()
            assert suggestion is not None
            tuning.report(suggestion, table_value(suggestion.values))
            if number >= 5:
                wall.append(time.perf_counter() - began)
                cpu.append(time.process_time() - used)
    return {"wall_ms": 1e3 * statistics.median(wall), "cpu_ms": 1e3 * statistics.median(cpu)}


def resume(url: str, seed: int) -> dict[str, float]:
    """Seconds until a process that was just started has its next suggestion, and its memory in MB."""
    script = (
        "import sys, time, resource\n"
        f"sys.path.insert(0, {str(_TOOLS)!r})\n"
        "from studies.worker import SPACE\nfrom edgenas.study.tuning import Tuning\n"
        "began = time.perf_counter()\n"
        f"tuning = Tuning(SPACE, study=sys.argv[1], trials=10**6, algorithm='random', seed={seed}, maximize=True)\n"
        "assert tuning.suggest() is not None\n"
        "print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
        "tuning.close()\n"
    )
    result = subprocess.run([sys.executable, "-c", script, url], capture_output=True, text=True, check=True)
    seconds, megabytes = map(float, result.stdout.split())
    return {"seconds": seconds, "mb": megabytes}


def report(length: int, seed: int, data_dir: Path | None) -> float:
    """Seconds of a report of so many trials."""
    from bench_report import make_run

    from edgenas.report import build_report
    from edgenas.spaces.space.search_space import SearchSpace

    with tempfile.TemporaryDirectory(prefix="edgenas-report-") as scratch:
        folder = Path(scratch) / "run"
        make_run(folder, SearchSpace.load("tiny_edge"), length, seed, data_dir)
        began = time.perf_counter()
        build_report(folder)
        return time.perf_counter() - began


def bench(options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    found: dict[str, Any] = {"throughput": {}, "overhead": {}, "resume": {}}
    lengths = options.lengths
    with ExitStack() as ending:
        scratch = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="edgenas-study-")))
        for store in options.stores.split(","):
            if store == "postgres" and postgres_programs() is None:
                print("postgres: left out, it is not installed here", file=sys.stderr)
                continue
            database = ending.enter_context(PostgresServer()) if store == "postgres" else None

            def url(name: str, database: Any = database) -> str:
                if database is not None:
                    return f"{database.url('bench')}#{name}"
                return f"sqlite:///{scratch / name}.db"

            rates = [
                throughput(url(f"rate-{seed}"), options.trials, options.workers, seed, scratch)
                for seed in seeds_of(options)
            ]
            found["throughput"][store] = rates
            middle = {key: statistics.median(one[key] for one in rates) for key in rates[0]}
            print(
                f"{store}: {middle['trials_per_s']:.1f} finished trials/s with {options.workers} workers, "
                f"{middle['cpu_ms']:.1f} ms of their CPU and {middle['in_vain']:.2f} suggestions in vain a trial",
                flush=True,
            )
            for length in lengths:
                one = overhead(url(f"length-{length}"), length, 0)
                found["overhead"].setdefault(store, {})[length] = one
                print(
                    f"{store}, {length} trials: {one['wall_ms']:.1f} ms a trial ({one['cpu_ms']:.1f} of CPU)",
                    flush=True,
                )
            one = resume(url(f"length-{lengths[-1]}"), 0)
            found["resume"][store] = one
            print(f"{store}, {lengths[-1]} trials: resumed in {one['seconds']:.1f} s, {one['mb']:.0f} MB", flush=True)
    found["report_seconds"] = report(lengths[-1], 0, options.data_dir)
    print(f"report of {lengths[-1]} trials: {found['report_seconds']:.1f} s", flush=True)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    load = os.getloadavg()[0]
    return {"load": load, "mb": memory, **found, "claims": claims_of(found, lengths[-1], options.workers)}


def claims_of(found: dict[str, Any], length: int, workers: int) -> list[dict[str, Any]]:
    """The figures that were asked for."""
    claims = []
    for store, rates in found["throughput"].items():
        rate = statistics.median(one["trials_per_s"] for one in rates)
        claims.append(_claim(f"{store}: finished trials/s, {workers} workers", rate, GOALS[store], least=True))
    for store, by_length in found["overhead"].items():
        shortest, longest = min(by_length), max(by_length)
        if shortest == longest:
            continue
        growth = by_length[longest]["wall_ms"] / by_length[shortest]["wall_ms"]
        logarithmic = math.log(longest) / math.log(shortest)
        words = f"{store}: overhead of a trial at {longest} over that at {shortest} (logarithmic: at most the goal)"
        claims.append(_claim(words, growth, logarithmic))
    for store, one in found["resume"].items():
        claims.append(_claim(f"{store}: s to resume {length} trials", one["seconds"], RESUME_SECONDS))
        claims.append(_claim(f"{store}: MB with {length} trials", one["mb"], MEMORY_MB))
    claims.append(_claim(f"s of a report of {length} trials", found["report_seconds"], REPORT_SECONDS))
    return claims


def _claim(words: str, value: float, goal: float, *, least: bool = False) -> dict[str, Any]:
    return claim(words, round(value, 3), round(goal, 3), least=least)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the figures, and writes them with ``--json``. Exit code 1 where a claim is not met."""
    parser = BenchParser(description=__doc__)
    parser.add_argument("--stores", default="postgres,sqlite")
    parser.add_argument("--trials", type=int, default=600)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--lengths", type=counts, default="100,1000,10000", help="finished trials, for the overhead")
    parser.add_common(
        seeds_help="studies that are shared",
        quick={"trials": 1000, "lengths": "100,1000", "seeds": 1},
        data_dir="folder of full data sets, for the report",
    )
    met = []

    def show(found: Mapping[str, Any]) -> None:
        met.extend(one["met"] for one in found["claims"])

    return conduct(bench, parser.parse_args(arguments), show) or (0 if all(met) else 1)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(main())
