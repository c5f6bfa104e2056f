"""Worker processes: outcomes, crashes, and the end of the parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgenas.spaces.errors import WorkError
from edgenas.study.workers import Candidate, Outcome, WorkerPool

EVALUATORS = """
import os, signal, time
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
    if candidate.architecture == "threads":
        return float(os.environ["OMP_NUM_THREADS"])
    return candidate.seed / 100

def make():
    return behave

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
    assert {number: outcome.top1 for number, outcome in outcomes.items()} == {
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


def test_threads_are_shared_out_and_the_parent_is_left_alone(evaluators) -> None:  # type: ignore[no-untyped-def]
    before = dict(os.environ)
    assert run(WorkerPool(evaluators.make, threads=3), "threads")[0].top1 == 3
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
