"""Real searches of the small scene as processes of their own, with a formula as their evaluator."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.evaluators import VARIABLE
from faults.outcomes import judge
from faults.processes import end_session
from faults.scene import Scene

#: The longest that any of these small searches may take, on a busy machine.
PATIENCE_SECONDS = 180.0


@dataclass(frozen=True)
class Ended:
    """How a command ended: its kind (see faults.outcomes), its words and its whole output."""

    kind: str
    words: str
    seconds: float
    output: str = ""


@dataclass
class Search:
    """A recipe in a folder and its run, ``RUN``; each command on it is a process with a session of its own."""

    scene: Scene
    folder: Path
    trials: int = 8
    workers: int = 1
    formula: Mapping[str, Any] = field(default_factory=dict)
    extra: str = ""
    stand_in: str = "formula"
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        text = self.scene.recipe(trials=self.trials, workers=self.workers, device="edgetpu-sim")
        (self.folder / "recipe.yaml").write_text(text + self.extra)

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def output(self) -> Path:
        """What commands print: beside the scene, so that a full disk of the run does not swallow it."""
        return self.scene.folder / f"output-{self.folder.parent.name}-{self.folder.name}.txt"

    def command(self, verb: str = "search", *more: str) -> list[str]:
        target = ("recipe.yaml", "-o", "run") if verb in ("search", "run") else ("run",)
        return [sys.executable, "-m", "faults.entry", self.stand_in, verb, *target, *more]

    def start(self, verb: str = "search", *more: str, **options: Any) -> subprocess.Popen[bytes]:
        """The process of a command; its output goes to :attr:`output` unless options say otherwise."""
        environment = os.environ | {
            VARIABLE: json.dumps(dict(self.formula)),
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)]),
            **self.environment,
        }
        with self.output.open("wb") as output:
            settings: dict[str, Any] = {"stdout": output, "stderr": output, "stdin": subprocess.DEVNULL} | options
            return subprocess.Popen(
                self.command(verb, *more),
                cwd=self.folder,
                env=environment,
                start_new_session=True,
                preexec_fn=_hears_signals,
                **settings,
            )

    def finish(self, process: subprocess.Popen[bytes], patience: float = PATIENCE_SECONDS) -> Ended:
        """Waits for a process; one that does not end is killed, with what it has started."""
        begun, stopped = time.monotonic(), None
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            stopped = "hang"
        finally:
            end_session(process)
        output = self.output.read_text(encoding="utf-8", errors="replace")
        status = process.returncode << 8 if process.returncode >= 0 else -process.returncode
        kind, words = judge(status, output, stopped)
        return Ended(kind, words, time.monotonic() - begun, output)

    def __call__(self, verb: str = "search", *more: str, patience: float = PATIENCE_SECONDS) -> Ended:
        """Runs a command to its end."""
        return self.finish(self.start(verb, *more), patience)

    # What is there -------------------------------------------------------------------------------------------------

    def trials_found(self) -> dict[int, tuple[Any, ...]]:
        """By number: what the study's file holds of each finished trial, read without EdgeNAS."""
        return read_trials(self.run / "study.db")

    def events(self) -> Counter[tuple[str, Any]]:
        """How often each (event, trial) is in the log."""
        found: Counter[tuple[str, Any]] = Counter()
        path = self.run / "log.jsonl"
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                found[(str(event.get("event")), event.get("trial"))] += 1
        return found

    def wait_for(self, event: str, count: int, process: subprocess.Popen[bytes]) -> bool:
        """Waits until the log has so many events of a name; False when the process ends before."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if sum(number for (name, _), number in self.events().items() if name == event) >= count:
                return True
            if process.poll() is not None:
                return False
            time.sleep(0.01)
        return False


def _hears_signals() -> None:
    """In the child: a shell's background and nohup ignore signals, which programs would inherit."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def read_trials(path: Path) -> dict[int, tuple[Any, ...]]:
    """Finished trials of a study's file: number -> (state, architecture, top1, reward).

    Reads a copy, with its journal: what a kill left half written is rolled back there, and not by this reader.
    """
    if not path.is_file():
        return {}
    with tempfile.TemporaryDirectory() as name:
        for suffix in ("", "-journal", "-wal"):
            source = path.with_name(path.name + suffix)
            if source.is_file():
                shutil.copyfile(source, Path(name) / source.name)
        with contextlib.closing(sqlite3.connect(Path(name) / path.name)) as connection:
            try:
                states = connection.execute("select trial_id, number, state from trials").fetchall()
                facts = connection.execute("select trial_id, key, value_json from trial_user_attributes").fetchall()
                values = dict(connection.execute("select trial_id, value from trial_values").fetchall())
            except sqlite3.OperationalError:  # its tables are not made yet
                return {}
    known: dict[int, dict[str, Any]] = {}
    for trial_id, key, value in facts:
        known.setdefault(trial_id, {})[key] = json.loads(value)
    return {
        number: (state, known.get(key, {}).get("architecture"), known.get(key, {}).get("top1"), values.get(key))
        for key, number, state in states
        if state in ("COMPLETE", "FAIL", "PRUNED")
    }
