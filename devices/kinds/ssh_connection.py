"""One board behind the system's ``ssh``: commands, how they fail, and what the user can do about it.

Keys, jump hosts, known hosts and everything else come from the user's own ssh configuration. Nothing is ever asked
(``BatchMode``), so nothing hangs at a prompt; no port is opened, on neither side.
"""

from __future__ import annotations

import inspect
import io
import json
import os
import shlex
import signal
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgenas.devices.device import MeasurementError
from edgenas.devices.kinds.client import RunnerError
from edgenas.devices.on_device import board_files
from edgenas.spaces.errors import InputError

# ssh's own exit code for everything that is wrong with the connection.
CONNECTION_BROKEN = 255
_PREPARE_SECONDS = 60.0
_SLOWEST_BYTES_PER_SECOND = 100_000.0
_WORDS = 500
_DEFAULTS = ("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3")
#: (what ssh says, what to do, whether trying again can help)
_HINTS = (
    ("Permission denied", "log in without a password first, such as with `ssh-copy-id {host}`", False),
    ("Too many authentication failures", "name the right key in your ssh configuration (IdentityFile)", False),
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "see that it is the right board, then `ssh-keygen -R` its name", False),
    ("Host key verification failed", "connect once by hand with `ssh {host}` and accept its key", False),
    ("Can't open user config file", "correct the option ssh_config", False),
    ("Bad configuration option", "correct your ssh configuration", False),
    ("Could not resolve hostname", "correct the name, or use the board's address", True),
    ("Connection refused", "is its ssh server running, on this port?", True),
    ("timed out", "is it switched on, and in this network?", True),
    ("No route to host", "is it switched on, and in this network?", True),
)


class ConnectionBrokenError(RunnerError):
    """The board cannot be reached now. ``may_come_back``: whether trying again can help."""

    def __init__(self, words: str, *, may_come_back: bool = True) -> None:
        super().__init__(words, code=CONNECTION_BROKEN)
        self.may_come_back = may_come_back


class BoardError(MeasurementError):
    """The board was reached and cannot do it. ``full``: for lack of room on its disk."""

    def __init__(self, words: str, *, full: bool = False) -> None:
        super().__init__(words)
        self.full = full


@dataclass(frozen=True)
class Connection:
    """How to reach one board. Raises InputError when ``host`` is no name of a host.

    ``ssh_config`` is a file to be used instead of the user's own (``ssh -F``), ``ssh_options`` are single settings
    (``ssh -o``), such as ``ControlMaster=auto``.
    """

    host: str
    python: str = "python3"
    port: int | None = None
    ssh_config: str | None = None
    ssh_options: tuple[str, ...] = ()
    ssh: str = "ssh"

    def __post_init__(self) -> None:
        if not self.host or self.host.startswith("-") or any(character.isspace() for character in self.host):
            raise InputError(f"{self.host!r} is no host: expected user@host or a name of your ssh configuration")

    def command(self, script: str) -> list[str]:
        """The command that runs a line of shell on the board; it ends with that line's exit code."""
        words = [self.ssh, "-T"]
        if self.ssh_config:
            words += ["-F", os.path.expanduser(self.ssh_config)]
        if self.port:
            words += ["-p", str(self.port)]
        # ssh takes the first value that it hears: the user's come first.
        for option in (*self.ssh_options, *_DEFAULTS):
            words += ["-o", option]
        # The inner shell turns a signal into an exit code of its own: 255 then always means the connection.
        return [*words, "--", self.host, f"exec sh -c {shlex.quote(f'{script}; exit $?')}"]

    def python_command(self, *arguments: str) -> str:
        """A line of shell that runs the board's Python; ``~/`` is the home folder there."""
        if self.python.startswith("~/"):
            return " ".join(['"$HOME"/' + shlex.quote(self.python[2:]), *map(shlex.quote, arguments)])
        return shlex.join([self.python, *arguments])

    def call(self, action: str, arguments: Mapping[str, Any], payload: bytes = b"") -> dict[str, Any]:
        """Runs an action of :mod:`edgenas.devices.on_device.board_files` on the board.

        Raises ConnectionBrokenError or BoardError, in words for the user.
        """
        code = (
            f"{inspect.getsource(board_files)}\nmain({action!r}, __import__('json').loads({json.dumps(arguments)!r}))\n"
        )
        source = code.encode()
        read_code = f"import sys; exec(sys.stdin.buffer.read({len(source)}).decode(), {{}})"
        script = self.python_command("-c", read_code)
        timeout = _PREPARE_SECONDS + len(payload) / _SLOWEST_BYTES_PER_SECOND
        exit_code, out, err = self._run(self.command(script), source + payload, timeout)
        answers = [line for line in out.splitlines() if line.startswith(board_files.MARK)]
        if not answers:
            raise self._explained(exit_code, err)
        answer: dict[str, Any] = json.loads(answers[-1][len(board_files.MARK) :])
        if answer.get("full"):
            free = f"{answer['free_bytes']:,} of the {len(payload):,} bytes that are needed are free"
            raise BoardError(f"the disk of {self.host} is full: {answer['error']} ({free})", full=True)
        if "error" in answer:
            raise BoardError(f"{self.host}: {answer['error']}")
        return answer

    def _run(self, command: Sequence[str], content: bytes, timeout: float) -> tuple[int, str, str]:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise ConnectionBrokenError(
                f"cannot start {self.ssh!r} ({error.strerror}): install an ssh client (apt-get install openssh-client)",
                may_come_back=False,
            ) from None
        try:
            out, err = process.communicate(content, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise ConnectionBrokenError(f"{self.host} did not answer within {timeout:.0f} s") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        return process.returncode, out.decode(errors="replace"), err.decode(errors="replace").strip()

    def _explained(self, exit_code: int, err: str) -> MeasurementError:
        words = err[-_WORDS:] or "it said nothing"
        if exit_code == CONNECTION_BROKEN:
            return self.broken(words)
        if exit_code in (126, 127):
            return BoardError(
                f"{self.host} has no Python {self.python!r} ({words}): name it with --python (the key 'python' of the "
                f"device's file)"
            )
        if "future feature annotations" in err:
            return BoardError(
                f"the Python of {self.host} ({self.python}) is older than 3.7: name another with --python"
            )
        return BoardError(f"{self.host}: its Python {self.python!r} ended with exit code {exit_code}: {words}")

    def broken(self, words: str) -> ConnectionBrokenError:
        """What is wrong with the connection, and what to do, from ssh's own words."""
        for sign, hint, may_come_back in _HINTS:
            if sign in words:
                return ConnectionBrokenError(
                    f"cannot connect to {self.host}: {words}: {hint.format(host=self.host)}",
                    may_come_back=may_come_back,
                )
        return ConnectionBrokenError(f"the connection to {self.host} broke: {words}; try `ssh {self.host} true`")


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """A tar stream of files by name."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()
