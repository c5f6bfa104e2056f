"""What became of one command under a fault, in one word."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, field

#: An answer, a refusal of the input (exit code 2), or work that failed with words (exit code 1): all are right.
RIGHT = ("ok", "refused", "failed")
#: Everything else is a fault of the program: these are what the bench looks for.
WRONG = ("traceback", "hang", "memory", "crash", "unclear", "wrong")

#: A message that is longer than this, or of more lines, is no clear one.
LONGEST_MESSAGE = 3000
MOST_LINES = 40
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Progress bars may colour and move the cursor; messages may not.
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_MESSAGE = re.compile(r"(?im)^(error: .+|usage: .+|interrupted.*)")


@dataclass(frozen=True)
class Outcome:
    """One command's end: ``kind`` is of :data:`RIGHT` or :data:`WRONG`, ``words`` say more."""

    name: str
    kind: str
    words: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    stdout: str = ""
    stderr: str = ""
    notes: dict[str, object] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        return self.kind in RIGHT


def judge(status: int, stderr: str, stopped: str | None = None) -> tuple[str, str]:
    r"""(kind, words) of a process: its wait status, what it said, and why the watchdog ended it, if it did.

    >>> judge(2 << 8, "error: a.yaml: no such file")
    ('refused', 'error: a.yaml: no such file')
    >>> judge(1 << 8, "Traceback (most recent call last):\\nKeyError: 'a'")[0]
    'traceback'
    >>> judge(0, "")
    ('ok', '')
    """
    clean = _TERMINAL.sub("", stderr).strip()
    last = clean.splitlines()[-1][:300] if clean else ""
    if "Traceback (most recent call last)" in clean:
        return "traceback", last
    if stopped is not None:
        return stopped, last
    if status & 0x7F:
        return "crash", f"{signal.Signals(status & 0x7F).name}: {last}"
    code = status >> 8
    if code == 0:
        return "ok", last
    if code not in (1, 2):
        return "crash", f"exit code {code}: {last}"
    if problem := unclear(clean):
        return "unclear", f"{problem}: {last}"
    return ("refused" if code == 2 else "failed"), last


def unclear(message: str) -> str | None:
    """Why a message is no clear one; None when it is."""
    if not _MESSAGE.search(message):
        return "no message"
    found = message[_MESSAGE.search(message).start() :]  # type: ignore[union-attr]
    if len(found) > LONGEST_MESSAGE:
        return f"a message of {len(found):,} characters"
    if found.count("\n") > MOST_LINES:
        return f"a message of {found.count(chr(10)):,} lines"
    if control := _CONTROL.search(found):
        return f"control character {control.group()!r} in the message"
    return None
