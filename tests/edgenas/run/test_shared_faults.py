"""What may happen to those who share a study: signals, servers that are away, full disks, damage, clocks that jump."""

import contextlib
import glob
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgenas.cli.signals import descendants
from edgenas.recipe.recipe import Recipe
from edgenas.run.pipeline import run
from edgenas.run.serving import serving
from edgenas.spaces.errors import EdgeNASError, InputError, WorkError
from edgenas.study.candidates import Candidate, Evaluator
from edgenas.study.conformance import begin, finish
from edgenas.study.scheduler import InProcess
from edgenas.study.store import StudyStore, create_study, open_study
from edgenas.study.tuning import Tuning

Make = Callable[..., Recipe]
TOOLS = Path(__file__).parents[3] / "tools"

#: The command line's worker, with an evaluator that sleeps in a process of its own.
WORKER = """
import os, sys, time
from pathlib import Path

class Sleeping:
    def __call__(self):
        return self.evaluate
    def evaluate(self, candidate):
        Path(os.environ["MARKER"]).write_text(str(os.getpid()))
        time.sleep(float(os.environ["SECONDS"]))
        return 0.5

if __name__ == "__main__":
    import edgenas.run.worker as worker
    from edgenas import cli
    work = worker.work
    worker.work = lambda url, **settings: work(url, **settings, evaluator=Sleeping())
    sys.argv = ["edgenas", "worker", *sys.argv[1:]]
    cli.main()
"""


#: A program whose sleeps are not refused: where the clock jumps, libfaketime takes absolute ones for invalid.
PATIENT = """
import runpy, select, sys, time
time.sleep = lambda seconds: select.select([], [], [], seconds)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Formula:
    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        return sum(int(c) for c in candidate.architecture if c.isdigit()) / 100


def wait_for(what: Callable[[], Any], seconds: float = 120.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def complete(store: StudyStore, numbers: range) -> None:
    for number in numbers:
        begin(store, number, worker="a")
        finish(store, number, worker="a")


def run_of(make_recipe: Make, table: Path, url: str, trials: int) -> Recipe:
    return make_recipe(f"search: {{trials: {trials}}}\n", table=table).with_study(url)


def start_worker(folder: Path, url: str, seconds: float, *options: str) -> subprocess.Popen[str]:
    (folder / "sleeping_worker.py").write_text(WORKER)
    return subprocess.Popen(
        [sys.executable, str(folder / "sleeping_worker.py"), url, "--name", "helper", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"MARKER": str(folder / "at-work"), "SECONDS": str(seconds)},
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # tests under nohup ignore it
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with serving(f"sqlite:///{tmp_path / 'served.db'}", port=0) as (url, _):
        yield url


# Signals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_worker_that_is_told_to_end_gives_its_trial_back_and_leaves_nobody(
    make_recipe: Make, table_path: Path, server: str, tmp_path: Path, number: signal.Signals
) -> None:
    begun = run_of(make_recipe, table_path, server, 1)
    run(begun, evaluator=Formula(), scheduler=InProcess, ship=False, quiet=True)
    store = open_study(server)
    waiting = store.trial(0)
    from edgenas.spaces.space.decision import Decision

    decisions = [Decision(f"d{i}", ("0", "1", "2", "3")) for i in range(len(waiting.choices))]
    store.start(waiting.architecture, waiting.choices, decisions, seed=7, predicted=waiting.predicted, waiting=True)
    worker = start_worker(tmp_path, server, 600)
    evaluating = int(wait_for(lambda: (tmp_path / "at-work").is_file() and (tmp_path / "at-work").read_text()))
    assert store.trial(1).worker == "helper"
    assert evaluating in descendants(worker.pid)
    worker.send_signal(number)
    _, words = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert words.splitlines()[-1].startswith("interrupted")
    assert "Traceback" not in words
    wait_for(lambda: not _runs(evaluating), 10)
    left = store.trial(1)
    assert (left.state, left.worker, left.attempts) == ("waiting", "", 2)
    store.close()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# Servers that are away ---------------------------------------------------------------------------------------------


def test_a_worker_waits_for_a_server_that_is_down_and_for_a_search_that_has_not_begun(
    make_recipe: Make, table_path: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from edgenas.run.worker import work

    place = f"sqlite:///{tmp_path / 'served.db'}"
    with serving(place, port=0) as (url, _):
        port = int(url.rpartition(":")[2])
    found: list[int] = []

    def help_out() -> None:
        options: dict[str, Any] = {"evaluator": Formula(), "scheduler": InProcess, "quiet": True}
        found.append(work(url, name="helper", folder=tmp_path / "helper", wait_seconds=120, **options).trials)

    helper = threading.Thread(target=help_out)
    helper.start()
    time.sleep(0.5)
    with serving(place, port=port, http_port=0):
        time.sleep(1.0)
        run(run_of(make_recipe, table_path, url, 2), evaluator=Formula(), scheduler=InProcess, ship=False, quiet=True)
        helper.join(60)
    assert len(found) == 1
    said = capfd.readouterr().err
    assert "no study is served there" in said
    assert "holds no study yet" in said
    assert said.count("trying again for up to") == 2
    assert "the study is there" in said


def test_who_does_not_wait_hears_at_once(tmp_path: Path) -> None:
    from edgenas.run.worker import work

    with pytest.raises(InputError, match="no study is served there"):
        work("grpc://localhost:1", folder=tmp_path)
    began = time.monotonic()
    with pytest.raises(InputError, match="no study is served there"):
        work("grpc://localhost:1", folder=tmp_path, wait_seconds=0.5)
    assert time.monotonic() - began < 30
    pytest.importorskip("psycopg")
    with pytest.raises(InputError, match="refused"):
        work("postgresql://me@localhost:1/studies", folder=tmp_path)


@pytest.mark.parametrize("seconds", [2.0, pytest.param(30.0, marks=pytest.mark.slow)])
def test_a_server_that_goes_away_in_the_middle_is_waited_for(
    tmp_path: Path, seconds: float, capfd: pytest.CaptureFixture[str]
) -> None:
    place = f"sqlite:///{tmp_path / 'served.db'}"
    with serving(place, port=0) as (url, _):
        port = int(url.rpartition(":")[2])
        store = create_study(url)
        begin(store, 0, worker="a")
    back = threading.Event()

    def come_back() -> None:
        time.sleep(seconds)
        with serving(place, port=port, http_port=0):
            back.wait(60)

    server = threading.Thread(target=come_back)
    server.start()
    began = time.monotonic()
    finish(store, 0, worker="a")
    assert time.monotonic() - began >= seconds - 0.5
    assert [trial.state for trial in store.trials] == ["complete"]
    store.close()
    back.set()
    server.join()
    assert ("not to be reached; waiting for up to 600 s" in capfd.readouterr().err) == (seconds > 6)


def _all_there_once(store: StudyStore, log: Path, trials: int, again: int = 0) -> None:
    assert Counter(trial.state for trial in store.trials) == {"complete": trials}
    assert len({trial.architecture for trial in store.trials}) == trials
    store.close()
    begun = Counter(line.split()[1] for line in log.read_text().splitlines() if line.startswith("begins"))
    assert len(begun) == trials
    assert sum(begun.values()) - trials <= again


# Clocks ------------------------------------------------------------------------------------------------------------


def _faketime() -> str | None:
    found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    return found[0] if found else None


@pytest.mark.skipif(_faketime() is None, reason="no libfaketime on this machine: apt-get install libfaketime")
def test_clocks_that_differ_and_jump_cost_nothing(tmp_path: Path) -> None:
    url, log, clock = f"sqlite:///{tmp_path / 'study.db'}", tmp_path / "log", tmp_path / "clock"
    _sets(clock, "+0")
    faked = os.environ | {
        "LD_PRELOAD": str(_faketime()),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    command = [sys.executable, "-c", PATIENT, str(TOOLS / "studies" / "worker.py"), url]
    command += ["--trials", "40", "--seconds", "0.15"]
    command += ["--log", str(log), "--beat", "0.5", "--grace", "20"]
    jumping = subprocess.Popen([*command, "--name", "jumping"], env=faked)
    _waits_for_more(log, jumping)
    _sets(clock, "+3d")
    _waits_for_more(log, jumping)
    steady = subprocess.Popen([*command, "--name", "steady"])
    _waits_for_more(log, steady)
    for offset in ("-2d", "+1y", "-0"):
        _sets(clock, offset)
        _waits_for_more(log, jumping)
    assert [process.wait(200) for process in (jumping, steady)] == [0, 0]
    with sqlite3.connect(tmp_path / "study.db") as database:
        begun = "SELECT max(julianday(datetime_start)) - min(julianday(datetime_start)) FROM trials"
        assert database.execute(begun).fetchone()[0] > 1.0, "no clock has jumped by days"
    _all_there_once(open_study(url), log, 40)


def _sets(clock: Path, offset: str) -> None:
    """In one step: a process that reads an empty clock ends."""
    written = clock.with_suffix(".new")
    written.write_text(f"{offset}\n")
    written.replace(clock)


def _waits_for_more(log: Path, process: subprocess.Popen[bytes]) -> None:
    """Until this process has begun another trial, or has ended."""

    def begun() -> int:
        lines = log.read_text().splitlines() if log.is_file() else []
        return sum(line.startswith("begins") and line.endswith(f" {process.pid}") for line in lines)

    before = begun()
    wait_for(lambda: begun() > before or process.poll() is not None, 250)


# Disks and damage --------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8M", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk of its own can only be mounted by root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_full_disk_under_a_shared_study_is_one_line_and_nothing_is_lost(small_disk: Path) -> None:
    with serving(f"sqlite:///{small_disk / 'served.db'}", port=0) as (url, _):
        store = create_study(url)
        complete(store, range(3))
        _fill(small_disk)
        with pytest.raises(WorkError, match=r"served\.db: cannot be written \(no space left on the disk\)") as caught:
            complete(store, range(3, 3000))
        assert "\n" not in str(caught.value)
        (small_disk / "filler").unlink()
        before = store.trials
        assert len(before) >= 3
        number = len(before)
        if before[-1].is_open:
            number = before[-1].number
        else:
            begin(store, number, worker="a")
        finish(store, number, worker="a")
        assert {trial.state for trial in store.trials} == {"complete"}
        store.close()
    assert len(open_study(small_disk / "served.db").trials) == number + 1


def _fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 12))


def test_a_file_that_is_damaged_under_a_server_is_named_and_never_replaces_its_backup(tmp_path: Path) -> None:
    path = tmp_path / "served.db"
    with serving(f"sqlite:///{path}", port=0) as (url, _):
        store = create_study(url)
        complete(store, range(40))
        own = open_study(path)
        own.back_up()
        own.close()
        content = bytearray(path.read_bytes())
        content[4096:] = os.urandom(len(content) - 4096)
        path.write_bytes(content)
        with pytest.raises(EdgeNASError, match="damaged") as caught:
            complete(store, range(40, 60))
        assert "\n" not in str(caught.value)
        store.close()
    with pytest.raises(InputError, match="the study is damaged"), serving(str(path), port=0):
        pass
    backup = next(tmp_path.glob("served.db*.bak"))
    with sqlite3.connect(backup) as database:
        assert database.execute("SELECT count(*) FROM trials WHERE state = 'COMPLETE'").fetchone() == (40,)


def test_a_server_stops_in_order_when_its_terminal_closes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgenas", "serve", f"sqlite:///{tmp_path / 's.db'}", "--port", "0", "--json"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    assert process.stdout is not None
    text = ""
    while not text.rstrip().endswith("}"):
        text += process.stdout.readline()
    with Tuning({"x": [1, 2]}, study=json.loads(text)["study"], trials=2) as tuning:
        process.send_signal(signal.SIGHUP)
        _, words = process.communicate(timeout=60)
        assert (process.returncode, "stopped" in words, "Traceback" in words) == (0, True, False)
        assert tuning.trials == 2
        _end(tuning)
    assert open_study(tmp_path / "s.db").trials == ()


def _end(tuning: Tuning) -> None:
    """Closing must not wait for the server: there is nothing to give back."""
    began = time.monotonic()
    tuning.close()
    assert time.monotonic() - began < 20
