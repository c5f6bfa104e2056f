"""Runs many commands under a watchdog: forked from a warm process (milliseconds each), or as real processes.

A forked child is as good as a process of its own: own memory, own folder, nothing left of the one before. It calls the
same :func:`edgenas.cli.main` with the same arguments. What a warm process cannot show (imports, encodings, the console
script itself) is what the share of real processes is for.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from faults.outcomes import Outcome, judge
from faults.processes import session_of

#: Largest share of a file's end that is kept of what a command prints.
KEPT_BYTES = 200_000


@dataclass(frozen=True)
class Limits:
    """When the watchdog ends a command: too much of the processor's time, or standing still, or far too long.

    A busy machine makes nobody slow: a command that waits for the processor does not stand still.
    """

    cpu_seconds: float = 20.0
    still_seconds: float = 20.0
    clock_seconds: float = 300.0
    memory_bytes: int = 2 << 30


@dataclass(frozen=True)
class Job:
    """One command. ``folder`` is its working directory and exists; ``stand_in`` names what is replaced in it."""

    name: str
    argv: tuple[str, ...]
    folder: Path
    stand_in: str = "none"
    real: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Looks at an answer (an outcome of kind ``ok``) and says what is wrong with it.
    check: Callable[[Outcome], str | None] | None = None


def run_jobs(jobs: Iterable[Job], limits: Limits, parallel: int) -> Iterator[Outcome]:
    """The outcomes, in the order in which commands end; at most ``parallel`` at once."""
    waiting, running = iter(jobs), list[_Running]()
    exhausted = False
    try:
        while running or not exhausted:
            while not exhausted and len(running) < parallel:
                job = next(waiting, None)
                if job is None:
                    exhausted = True
                else:
                    running.append(_Running(job, limits))
            for process in list(running):
                if process.ended():
                    running.remove(process)
                    yield process.outcome()
            time.sleep(0.01)
    finally:
        for process in running:
            process.kill()


class _Running:
    """A command at work."""

    def __init__(self, job: Job, limits: Limits) -> None:
        self.job, self.limits = job, limits
        self.stopped: str | None = None
        self.peak = 0
        self.status = 0
        self.usage: resource.struct_rusage | None = None
        self.start = self.moved = time.monotonic()
        self.spent = -1.0
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _child(job)

    def ended(self) -> bool:
        """Looks after the process: ends it when it is over a limit. True when it is gone."""
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        if pid:
            self.status, self.usage = status, usage
            self._end_group()
            return True
        self.peak = max(self.peak, _resident_bytes(self.pid))
        if self.stopped is None:
            if self.peak > self.limits.memory_bytes:
                self.stopped = "memory"
            elif self._hangs():
                self.stopped = "hang"
            if self.stopped:
                self.kill()
        return False

    def _hangs(self) -> bool:
        now, spent = time.monotonic(), _cpu_seconds(self.pid)
        # Those that it waits for may work (a runner that measures): they are looked for only when it seems to stand.
        if spent > self.spent or _wants_processor(self.pid) or (now - self.moved > 1.0 and _session_works(self.pid)):
            self.spent, self.moved = spent, now
        still, whole = now - self.moved, now - self.start
        limits = self.limits
        return spent > limits.cpu_seconds or still > limits.still_seconds or whole > limits.clock_seconds

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._end_group()

    def _end_group(self) -> None:
        """Whatever the command has left running goes with it: its session is its own."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def outcome(self) -> Outcome:
        stdout, stderr = (_tail(self.job.folder / name) for name in (".stdout", ".stderr"))
        kind, words = judge(self.status, stderr, self.stopped)
        usage = self.usage
        found = Outcome(
            self.job.name,
            kind,
            words,
            time.monotonic() - self.start,
            usage.ru_utime + usage.ru_stime if usage else 0.0,
            max(self.peak, usage.ru_maxrss * 1024 if usage else 0),
            stdout,
            stderr,
        )
        if kind == "ok" and self.job.check is not None and (problem := self.job.check(found)):
            return replace(found, kind="wrong", words=problem)
        return found


def _child(job: Job) -> None:
    """In the child: output into files, the folder, the arguments, and the command. Never returns."""
    code = 1
    try:
        os.setsid()
        _redirect(job.folder)
        os.chdir(job.folder)
        os.environ.update(job.environment)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if job.real:
            tools = Path(__file__).parents[1]
            program = ("-m", "faults.entry", job.stand_in) if job.stand_in != "none" else ("-m", "edgenas")
            os.environ["PYTHONPATH"] = os.pathsep.join([str(tools), *filter(None, sys.path)])
            os.execv(sys.executable, [sys.executable, *program, *job.argv])
        from faults.entry import call

        code = call(job.argv, job.stand_in)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
        with contextlib.suppress(BaseException):
            sys.stderr.flush()
        os._exit(code)


def _redirect(folder: Path) -> None:
    for number, name, flags in (
        (0, "/dev/null", os.O_RDONLY),
        (1, str(folder / ".stdout"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, str(folder / ".stderr"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        opened = os.open(name, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - KEPT_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _resident_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return 0


def _wants_processor(pid: int) -> bool:
    """Whether a process runs, or would if it were its turn."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "R"
    except (OSError, IndexError):
        return False


def _session_works(session: int) -> bool:
    return any(_wants_processor(pid) for pid in session_of(session))


def _cpu_seconds(pid: int) -> float:
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return 0.0
