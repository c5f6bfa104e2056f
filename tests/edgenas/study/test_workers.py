"""Worker processes: outcomes, crashes, and the end of the parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgenas.cli.signals import descendants
from edgenas.spaces.errors import WorkError
from edgenas.study.time_limit import TimeLimit
from edgenas.study.workers import Candidate, Outcome, WorkerPool, _inherited

EVALUATORS = """
import os, signal, subprocess, sys, time
from edgenas.spaces.errors import WorkError

def behave(candidate):
    if candidate.architecture == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if candidate.architecture == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if candidate.architecture == "exit":
        os._exit(3)
    if candidate.architecture == "fail":
        raise WorkError("the loss became NaN")
    if candidate.architecture == "bug":
        raise KeyError("x")
    if candidate.architecture == "sleep":
        time.sleep(1)
    if candidate.architecture == "hang":
        subprocess.Popen(["sleep", "1000"])
        time.sleep(1000)
    if candidate.architecture == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    if candidate.architecture == "quit":
        sys.exit("no such file")
    if candidate.architecture == "prints":
        print("not data")
    if candidate.architecture == "threads":
        return float(os.environ["OMP_NUM_THREADS"]) / 10
    if candidate.architecture == "blocked":
        return float(len(signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGTERM, signal.SIGHUP}))
    return candidate.seed / 100

def make():
    return behave

def slow_first(candidate):
    time.sleep(2.0 if candidate.number == 0 else 0.1)
    return 0.5

def make_slow_first():
    return slow_first

def cannot():
    raise WorkError("no data here")
"""


@pytest.fixture
def evaluators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    (tmp_path / "pool_evaluators.py").write_text(EVALUATORS)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("pool_evaluators", None)
    import pool_evaluators  # type: ignore[import-not-found]

    return pool_evaluators


def run(pool: WorkerPool, *architectures: str) -> dict[int, Outcome]:
    outcomes: dict[int, Outcome] = {}
    with pool:
        pool.run(
            [Candidate(number, text, seed=number) for number, text in enumerate(architectures)],
            lambda outcome: outcomes.__setitem__(outcome.number, outcome),
        )
    return outcomes


def test_a_crash_fails_its_own_candidate_only(evaluators) -> None:  # type: ignore[no-untyped-def]
    outcomes = run(WorkerPool(evaluators.make), "crash", "fine", "killed", "exit", "fail", "bug", "fine")
    assert {number: outcome.score for number, outcome in outcomes.items()} == {
        0: None,
        1: 0.01,
        2: None,
        3: None,
        4: None,
        5: None,
        6: 0.06,
    }
    errors = [outcomes[number].error or "" for number in (0, 2, 3, 4, 5)]
    assert "SIGSEGV" in errors[0]
    assert "out of memory" in errors[1]
    assert "exit code 3" in errors[2]
    assert errors[3] == "the loss became NaN"
    assert errors[4] == "KeyError: 'x'"


def test_candidates_run_side_by_side(evaluators) -> None:  # type: ignore[no-untyped-def]
    with WorkerPool(evaluators.make, count=2) as pool:
        seconds = {}
        for name in ("first", "second"):  # the second time without starting processes
            start = time.monotonic()
            pool.run([Candidate(n, "sleep", n) for n in range(2)], lambda outcome: None)
            seconds[name] = time.monotonic() - start
    assert seconds["second"] < 1.8


def test_a_candidate_that_hangs_fails_and_the_search_goes_on(evaluators) -> None:  # type: ignore[no-untyped-def]
    pool = WorkerPool(evaluators.make, limit=TimeLimit(2.0))
    start = time.monotonic()
    outcomes = run(pool, "fine", "hang", "stopped", "fine")
    assert time.monotonic() - start < 30
    assert [outcomes[number].score is None for number in range(4)] == [False, True, True, False]
    for number in (1, 2):
        assert "over the time limit of 2 s (search.time_limit_seconds)" in (outcomes[number].error or "")
        assert outcomes[number].seconds == pytest.approx(2, abs=1)
    assert not descendants(os.getpid()) or all(_name(pid) != "sleep" for pid in descendants(os.getpid()))


def test_the_time_limit_follows_the_slowest_trial() -> None:
    limit = TimeLimit()
    assert limit.seconds == 3600
    limit.expired = 2
    assert limit.seconds == 4 * 3600
    limit.finished(1.0)
    assert limit.seconds == 120
    limit.finished(100.0)
    limit.finished(5.0)
    assert limit.seconds == 1000
    assert TimeLimit(7.0).seconds == 7.0


def test_a_free_worker_does_not_wait_for_the_others(evaluators) -> None:  # type: ignore[no-untyped-def]
    order: list[int] = []
    with WorkerPool(evaluators.make_slow_first, count=2) as pool:
        pool.run([Candidate(n, "", n) for n in range(8)], lambda outcome: order.append(outcome.number))
    assert order.index(0) >= 4, "the slow one held up the others"
    assert sorted(order) == list(range(8))


def test_candidates_that_depend_on_outcomes_are_asked_for_again(evaluators) -> None:  # type: ignore[no-untyped-def]
    heard: list[int] = []

    def candidates() -> Iterator[Candidate | None]:
        yield Candidate(0, "fine", 0)
        while 0 not in heard:
            yield None
        yield Candidate(1, "fine", 1)

    with WorkerPool(evaluators.make, count=2) as pool:
        pool.run(candidates(), lambda outcome: heard.append(outcome.number))
    assert heard == [0, 1]


def test_who_was_killed_is_told_from_who_crashed(evaluators) -> None:  # type: ignore[no-untyped-def]
    outcomes = run(WorkerPool(evaluators.make), "killed", "crash", "exit", "quit")
    assert [outcomes[number].killed for number in range(4)] == [True, False, False, False]
    assert outcomes[3].error == "SystemExit: no such file"


def test_signals_wait_while_a_worker_starts_and_workers_hear_them(evaluators) -> None:  # type: ignore[no-untyped-def]
    heard: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda got, frame: heard.append(got)) for number in numbers}
    try:
        with _inherited(1):
            for number in numbers:
                os.kill(os.getpid(), number)
            assert heard == []
        deadline = time.monotonic() + 5
        while len(heard) < 3 and time.monotonic() < deadline:  # another thread may have taken one for this one
            time.sleep(0.01)
        assert sorted(heard) == sorted(numbers)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert run(WorkerPool(evaluators.make), "blocked")[0].score == 0.0


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_the_first_worker_of_a_process_starts_deaf_to_signals(tmp_path: Path) -> None:
    """Python's tracker of resources, which starts with it, unblocks them."""
    script = tmp_path / "script.py"
    script.write_text(
        "import signal, sys\n"
        "if __name__ != '__main__':\n"
        "    print(sorted(int(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, [])), file=sys.stderr)\n"
        "    raise SystemExit\n"
        "from edgenas.study.workers import _CONTEXT, _inherited\n"
        "with _inherited(1):\n"
        "    process = _CONTEXT.Process(target=print)\n"
        "    process.start()\n"
        "process.join()\n"
    )
    said = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True).stderr
    assert said.splitlines() == [str(sorted(map(int, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))))]


def test_an_evaluator_that_cannot_be_sent_is_told() -> None:
    with pytest.raises(WorkError, match="top level of a module"):
        run(WorkerPool(lambda: lambda candidate: 0.5), "fine")


def test_what_an_evaluator_prints_is_no_data(evaluators, capfd: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    assert run(WorkerPool(evaluators.make), "prints")[0].score == 0.0
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "not data" in printed.err


def test_threads_are_shared_out_and_the_parent_is_left_alone(evaluators) -> None:  # type: ignore[no-untyped-def]
    before = dict(os.environ)
    assert run(WorkerPool(evaluators.make, threads=3), "threads")[0].score == 0.3
    assert dict(os.environ) == before


def test_an_evaluator_that_cannot_be_made_is_not_a_failed_candidate(evaluators) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(WorkError, match="no data here"):
        run(WorkerPool(evaluators.cannot), "fine")


def test_workers_end_with_their_parent(evaluators, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    script = (
        "import pool_evaluators, threading, time\nfrom edgenas.study.workers import Candidate, WorkerPool\n"
        "if __name__ == '__main__':\n"
        "    pool = WorkerPool(pool_evaluators.make)\n"
        "    pool.run([Candidate(0, 'fine', 0)], lambda o: print(pool._workers[0].process.pid, flush=True))\n"
        "    time.sleep(60)\n"
    )
    (tmp_path / "parent.py").write_text(script)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py")], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _runs(worker):
        time.sleep(0.05)
    assert not _runs(worker)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
