"""The processes of a session: what a command has started, and what is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path


def end_session(process: subprocess.Popen[bytes]) -> int:
    """Kills what is left of a process's session; returns how many processes that were."""
    left = session_of(process.pid)
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    if process.poll() is None:
        process.kill()
    process.wait()
    return len(left)


def session_of(session: int) -> list[int]:
    """Living processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(entry.name))
    return found
