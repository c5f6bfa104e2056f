"""Kills workers and servers of a shared study at random, and looks at what is left of it.

    python tools/studies/chaos.py [--stores postgres,grpc] [--trials 200] [--kills 50] [--workers 4] [--seeds 1]
                                  [--quick] [--data-dir DIR] [--json OUT]

Every killed worker is followed by another, under its name or a new one; the gRPC server (over SQLite) is killed too and
started again on its port, PostgreSQL is stopped as by a power cut. Afterwards every trial must be there once, with the
value of the table, none running, and no trial evaluated more often than workers were lost while they had it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarking.claims import claim

from edgenas.search.option_space import OptionSpace
from edgenas.study.store import open_study
from studies.postgres import PostgresServer, postgres_programs
from studies.worker import SPACE, architecture, table_value

BEAT_SECONDS, GRACE_SECONDS = 0.5, 4.0
_WORKER = Path(__file__).with_name("worker.py")
_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Chaos:
    """What was done, and what was found wrong afterwards."""

    store: str
    trials: int
    worker_kills: int = 0
    server_kills: int = 0
    seconds: float = 0.0
    evaluations: int = 0
    repeated: int = 0
    problems: list[str] = field(default_factory=list)


class GrpcServer:
    """``edgenas serve`` over a SQLite file, as a process that can be killed and started again on its port."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"grpc://localhost:{self.port}"
        self._file = folder / "served.db"
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "edgenas", "serve", f"sqlite:///{self._file}", "--port", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--http-port", "0"], stdout=log, stderr=log, cwd=_ROOT, start_new_session=True
            )
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("localhost", self.port), 1.0):
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)


class Workers:
    """So many worker processes; who is gone is followed by another."""

    def __init__(self, url: str, folder: Path, count: int, trials: int, seconds: float, seed: int) -> None:
        self.log = folder / "evaluations.txt"
        self._arguments = ["--trials", str(trials), "--seconds", str(seconds), "--seed", str(seed)]
        self._arguments += ["--beat", str(BEAT_SECONDS), "--grace", str(GRACE_SECONDS), "--log", str(self.log)]
        self._url, self._output = url, folder / "workers.log"
        self._names = iter(f"worker-{number}" for number in range(10**6))
        self._alive: dict[str, subprocess.Popen[bytes]] = {}
        for _ in range(count):
            self.start(next(self._names))

    def start(self, name: str) -> None:
        command = [sys.executable, str(_WORKER), self._url, *self._arguments, "--name", name]
        with self._output.open("ab") as output:
            self._alive[name] = subprocess.Popen(command, stdout=output, stderr=output, cwd=_ROOT)

    def kill_one(self, draw: random.Random) -> None:
        name = draw.choice(sorted(self._alive))
        process = self._alive.pop(name)
        process.kill()
        process.wait()
        self.start(name if draw.random() < 0.5 else next(self._names))

    def wait(self, seconds: float) -> list[str]:
        """Waits for all to end by themselves; what went wrong with those that did not."""
        deadline, problems = time.monotonic() + seconds, []
        for name, process in self._alive.items():
            try:
                code = process.wait(max(deadline - time.monotonic(), 0.1))
                if code:
                    problems.append(f"{name} ended with exit code {code}: {self._output.read_text()[-500:]}")
            except subprocess.TimeoutExpired:
                problems.append(f"{name} did not end within {seconds:.0f} s")
        return problems

    def end(self) -> None:
        for process in self._alive.values():
            if process.poll() is None:
                process.kill()
            process.wait()


@contextlib.contextmanager
def store_under_fire(store: str, folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """The URL of a new study, and what takes its server away for a moment."""
    if store == "postgres":
        with PostgresServer() as database:

            def power_cut() -> None:
                database.stop(signal.SIGQUIT)
                time.sleep(0.5)
                database.start()

            yield database.url("chaos"), power_cut
        return
    server = GrpcServer(folder)
    server.start()

    def kill() -> None:
        server.kill()
        time.sleep(0.5)
        server.start()

    try:
        yield server.url, kill
    finally:
        server.stop()


def chaos(
    store: str,
    folder: Path,
    *,
    trials: int,
    kills: int,
    server_kills: int,
    workers: int,
    seconds: float,
    seed: int,
    pause: float = 0.5,
    patience: float = 600.0,
) -> Chaos:
    """One study under fire."""
    found, draw, began = Chaos(store, trials), random.Random(seed), time.monotonic()
    with store_under_fire(store, folder) as (url, take_server_away):
        crew = Workers(url, folder, workers, trials, seconds, seed)
        try:
            _wait_for_first(crew.log)
            targets = ["worker"] * kills + ["server"] * server_kills
            draw.shuffle(targets)
            for target in targets:
                time.sleep(2 * pause * draw.random())
                if target == "worker":
                    crew.kill_one(draw)
                    found.worker_kills += 1
                else:
                    take_server_away()
                    found.server_kills += 1
            found.problems += crew.wait(patience)
        finally:
            crew.end()
        _judge(found, url, crew.log)
    found.seconds = round(time.monotonic() - began, 1)
    return found


def _wait_for_first(log: Path) -> None:
    deadline = time.monotonic() + 180
    while not log.exists():
        if time.monotonic() > deadline:
            raise RuntimeError(f"no worker began; see {log.parent}")
        time.sleep(0.05)


def _judge(found: Chaos, url: str, log: Path) -> None:
    store = open_study(url)
    trials = store.trials
    store.close()
    space = OptionSpace(SPACE)
    states = Counter(trial.state for trial in trials)
    if states != {"complete": found.trials}:
        found.problems.append(f"{found.trials} complete trials were asked for, found {dict(states)}")
    if [trial.number for trial in trials] != list(range(len(trials))):
        found.problems.append("a number is missing or twice there")
    if len({trial.architecture for trial in trials}) != len(trials):
        found.problems.append("an architecture is there twice")
    for trial in trials:
        if trial.state == "complete" and trial.reward != table_value(space.values(trial.choices)):
            found.problems.append(f"trial {trial.number} has the value of another architecture")
    begun: Counter[int] = Counter()
    for line in log.read_text().splitlines():
        what, number, text, _ = line.split()
        begun[int(number)] += what == "begins"
        if int(number) < len(trials) and text != architecture(space.values(trials[int(number)].choices)):
            found.problems.append(f"trial {number} was evaluated as another architecture")
    for trial in trials:
        if begun[trial.number] > trial.attempts:
            found.problems.append(f"trial {trial.number}: {begun[trial.number]} evaluations, {trial.attempts} attempts")
    found.evaluations = sum(begun.values())
    found.repeated = found.evaluations - len(trials)
    if found.repeated > found.worker_kills:
        found.problems.append(f"{found.repeated} evaluations were repeated for {found.worker_kills} killed workers")


def main() -> int:
    """Prints what was found, and writes it with ``--json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", default="postgres,grpc")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=0.3, help="an evaluation takes up to twice that")
    parser.add_argument("--pause", type=float, default=1.0, help="between two kills, up to twice that")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="40 trials, 10 kills")
    parser.add_argument("--data-dir", type=Path, help="of no effect: nothing is trained")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.trials, options.kills, options.seeds = 40, 10, 1
    results = []
    for store in options.stores.split(","):
        if store == "postgres" and postgres_programs() is None:
            print("postgres: left out, it is not installed here", file=sys.stderr)
            continue
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory(prefix="edgenas-chaos-") as scratch:
                one = chaos(
                    store, Path(scratch), trials=options.trials, kills=options.kills,
                    server_kills=max(options.kills // 10, 1), workers=options.workers, seconds=options.seconds,
                    seed=seed, pause=options.pause,
                )  # fmt: skip
            results.append(one)
            print(
                f"{store}, seed {seed}: {one.trials} trials, {one.worker_kills} workers and {one.server_kills} servers "
                f"killed, {one.repeated} evaluations repeated, {one.seconds} s; "
                + ("; ".join(one.problems[:5]) or "nothing wrong"),
                flush=True,
            )
    claims = [
        claim(f"{one.store}: problems after {one.worker_kills} + {one.server_kills} kills", len(one.problems), 0)
        for one in results
    ]
    if options.json:
        document: dict[str, Any] = {"runs": [vars(one) for one in results], "claims": claims}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if all(one["met"] for one in claims) else 1


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(main())
