"""One phone behind the system's ``adb``: commands, files, and how it fails, in words for the user."""

from __future__ import annotations

import contextlib
import os
import queue
import shlex
import signal
import subprocess
import threading
from dataclasses import dataclass

from edgenas.devices.device import MeasurementError

_COMMAND_SECONDS = 120.0
_HINTS = (
    ("unauthorized", "accept this computer on the phone's screen"),
    ("offline", "plug the cable in again, or `adb kill-server`"),
    ("no devices", "plug the phone in and switch USB debugging on"),
    ("not found", "see `adb devices`; plug the phone in and switch USB debugging on"),
    ("more than one", "name the phone with --adb SERIAL, from `adb devices`"),
)


class PhoneAwayError(MeasurementError):
    """adb does not reach the phone now."""


@dataclass(frozen=True)
class Phone:
    """A phone by its serial number, or the only one."""

    serial: str = ""
    adb: str = "adb"

    def shell(self, script: str) -> str:
        """What a line of shell prints on the phone. Raises MeasurementError when it fails."""
        return self._run("shell", script)

    def push(self, *files: str) -> None:
        """Copies files to the last of the names, on the phone. Raises MeasurementError when it fails."""
        self._run("push", *files)

    def lines(self, script: str) -> Lines:
        """A line of shell on the phone, whose lines come as they are printed."""
        return Lines(self._command("shell", script))

    def away(self, words: str) -> MeasurementError:
        """The error for adb's words, with what to do."""
        if "No space left" in words:
            return MeasurementError(f"the phone's storage is full: {words}")
        hint = next((f": {hint}" for sign, hint in _HINTS if sign in words), "")
        return PhoneAwayError(f"phone {self.serial or '(the only one)'}: {words}{hint}")

    def _command(self, *words: str) -> list[str]:
        return [self.adb, *(["-s", self.serial] if self.serial else []), *words]

    def _run(self, *words: str) -> str:
        try:
            done = subprocess.run(
                self._command(*words),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_COMMAND_SECONDS,
                stdin=subprocess.DEVNULL,
            )
        except FileNotFoundError:
            raise MeasurementError(f"{self.adb!r} is not installed: apt-get install adb") from None
        except OSError as error:
            raise MeasurementError(f"cannot start {self.adb!r}: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise self.away(f"`{shlex.join(words)[:80]}` did not end within {_COMMAND_SECONDS:g} s") from None
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip())[-300:]
            if said.startswith(("adb:", "error:")) or not said:
                raise self.away(said or f"`adb {words[0]}` ended with exit code {done.returncode}")
            raise MeasurementError(f"the phone: {said}")
        return done.stdout


class Lines:
    """Lines of a command as they come; ends the command at the end."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._lines: queue.Queue[str] = queue.Queue()

    def __enter__(self) -> Lines:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout:
            for line in self._process.stdout:
                self._lines.put(line)
        self._lines.put("")

    def next(self, timeout_seconds: float) -> str | None:
        """The next line with its end; empty at the end of all; None when none comes in time."""
        try:
            return self._lines.get(timeout=timeout_seconds)
        except queue.Empty:
            return None
