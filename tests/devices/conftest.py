"""An OpenSSH server on the loopback with keys of its own, a Python environment as a board has it, and a false runner.

The server runs as the current user on a free port, with its own configuration in a temporary folder; ``~/.ssh`` and
``/etc/ssh`` are neither read nor written. The "board's" Python sees NumPy and the LiteRT runtime, and nothing else.

The false runner speaks the runner's protocol and does what the "model" says: die, hang, print nonsense.
"""

from __future__ import annotations

import contextlib
import getpass
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgenas.devices.device import Device, DeviceSpec, device_from_spec

BOARD_PACKAGES = ("numpy", "numpy.libs", "ai_edge_litert")


@pytest.fixture(autouse=True)
def own_locks(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests wait for no measurement of their user's, nor for each other."""
    if "EDGENAS_HOME" not in os.environ:
        monkeypatch.setenv("EDGENAS_HOME", str(tmp_path_factory.mktemp("home")))


def missing_program() -> str | None:
    """What has to be installed before this can work, or None."""
    for program, package in (("ssh", "openssh-client"), ("ssh-keygen", "openssh-client"), ("sshd", "openssh-server")):
        if _find(program) is None:
            return f"{program} is not installed (apt-get install {package})"
    return None


def _find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


class LoopbackServer:
    """``sshd`` with the boards ``board`` and ``second`` (names of the client's configuration) behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "client_config"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        folder.chmod(0o700)
        (folder / "tmp").mkdir()
        for key in ("host_key", "client_key", "other_key"):
            _key(folder / key)
        (folder / "authorized_keys").write_text((folder / "client_key.pub").read_text())
        (folder / "authorized_keys").chmod(0o600)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\n"
            f"HostKey {folder}/host_key\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\n"
            f"PidFile {folder}/sshd.pid\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n"
            "PermitRootLogin prohibit-password\nStrictModes no\nMaxStartups 100\nAcceptEnv BOARD\n"
            f"PermitUserRC no\nSetEnv HOME={folder} TMPDIR={folder}/tmp\n"
        )
        kind, public = (folder / "host_key.pub").read_text().split()[:2]
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {public}\n")
        self.config.write_text(self.client_config())

    def client_config(self, **changes: str) -> str:
        """The text of a client's configuration; ``changes`` replace single settings."""
        settings = {
            "HostName": "127.0.0.1",
            "Port": str(self.port),
            "User": getpass.getuser(),
            "IdentityFile": f"{self.folder}/client_key",
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": f"{self.folder}/known_hosts",
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "IdentityAgent": "none",
            "KexAlgorithms": "curve25519-sha256",  # the quickest
        } | changes
        lines = "".join(f"  {key} {value}\n" for key, value in settings.items())
        return f"Host second\n  SetEnv BOARD=second\nHost board second\n{lines}"

    def other_config(self, name: str, **changes: str) -> Path:
        """A client's configuration with something different."""
        path = self.folder / name
        path.write_text(self.client_config(**changes))
        return path

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(
                mode=0o755, exist_ok=True
            )  # where a server that was started as root gives up rights
        sshd = _find("sshd")
        assert sshd is not None
        log = self.folder / "sshd.log"
        self._process = subprocess.Popen(
            [sshd, "-D", "-e", "-f", str(self.folder / "sshd_config")],
            stderr=log.open("ab"),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"sshd did not start: {log.read_text(errors='replace')}")

    @property
    def leftovers(self) -> list[str]:
        """Folders of models that are on the board."""
        return sorted(path.name for path in (self.folder / "tmp").iterdir())

    def sessions(self) -> list[int]:
        """Process ids of the sessions that are open now: all below the server."""
        assert self._process is not None
        children: dict[int, list[int]] = {}
        names: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    pid_name, _, rest = (entry / "stat").read_text().rpartition(")")
                except OSError:
                    continue
                pid = int(entry.name)
                names[pid] = pid_name.partition("(")[2]
                children.setdefault(int(rest.split()[1]), []).append(pid)
        found, waiting = [], [self._process.pid]
        while waiting:
            below = children.get(waiting.pop(), [])
            waiting += below
            found += [pid for pid in below if names[pid].startswith("sshd")]
        return found

    def cut(self) -> int:
        """Kills all open sessions, as a cable that is pulled; returns how many processes that were."""
        sessions = self.sessions()
        for pid in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(sessions)

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def stop(self) -> None:
        """Nobody listens any more, and open sessions end."""
        if self._process is not None:
            self.cut()
            self._process.kill()
            self._process.wait()
            self._process = None


def make_board_python(folder: Path) -> Path:
    """A virtual environment in which NumPy and the LiteRT runtime can be imported, and nothing else.

    ``$EDGENAS_SSH_TEST_PYTHON`` names another one to use instead. Needs no network: the packages are links to those
    of the running environment.
    """
    given = os.environ.get("EDGENAS_SSH_TEST_PYTHON")
    if given:
        return Path(given)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    for package in BOARD_PACKAGES:
        spec = importlib.util.find_spec(package.partition(".")[0])
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin).parent.parent / package
        if source.exists():
            (site / package).symlink_to(source)
    return folder / "bin" / "python"


FALSE_RUNNER = """
import json, os, signal, sys, time

def say(text):
    print(text, flush=True)

settings = json.loads(sys.stdin.readline())
factor = 1.3 if os.environ.get("BOARD") == "second" else 1.0
say("Welcome to this board!")  # as a login shell might
say(json.dumps({"facts": {"runtime": "false", "runtime_version": "1", "threads": settings["threads"],
                          "cpu_model": "abacus", "pid": os.getpid()}}))
pace = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pace")
pause = float(open(pace).read()) if os.path.exists(pace) else 0.0
for line in sys.stdin:
    time.sleep(pause)
    job = json.loads(line)
    with open(job["path"], "rb") as file:
        words = file.read().decode(errors="replace").split() or ["ok"]
    answer = {"id": job["id"], "samples_ms": [factor, 2 * factor], "runs": 2}
    if settings["anchor"]:
        answer["anchors_ms"] = [[factor, factor]] * 2
    if words[0] == "once":  # "once FILE die": only as long as there is no FILE
        try:
            open(words[1], "x").close()
            words = words[2:]
        except FileExistsError:
            words = ["ok"]
    if words[0] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if words[0] == "hang":
        open(words[1], "w").write(str(os.getpid()))
        time.sleep(1000)
    if words[0] == "slow":
        time.sleep(float(words[1]))
    if words[0] == "garbage":
        say("Segmentation violation in the frobnicator")
        continue
    if words[0] == "refuse":
        answer = {"id": job["id"], "error": "cannot"}
    say(json.dumps(answer))
"""


@pytest.fixture
def false_python(tmp_path: Path) -> Path:
    """A Python that runs the false runner instead of the real one; hears of ``sitecustomize.py`` and
    ``pace`` (seconds a model) beside it.
    """
    runner = tmp_path / "false_runner.py"
    runner.write_text(textwrap.dedent(FALSE_RUNNER))
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\nexport PYTHONPATH="{tmp_path}"\n'
        f'case "$1" in */runner.py) exec "{sys.executable}" -S "{runner}";; esac\nexec "{sys.executable}" "$@"\n'
    )
    python.chmod(0o755)
    return python


@pytest.fixture(scope="session")
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    problem = missing_program()
    if problem:
        pytest.skip(problem)
    return tmp_path_factory.mktemp("ssh")


@pytest.fixture(scope="session")
def shared_server(server_folder: Path) -> Iterator[LoopbackServer]:
    server = LoopbackServer(server_folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(shared_server: LoopbackServer) -> LoopbackServer:
    """The server, running."""
    if not shared_server.is_running:
        shared_server.start()
    return shared_server


@pytest.fixture(scope="session")
def board_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_board_python(tmp_path_factory.mktemp("board") / "env")


@pytest.fixture
def make_board(server: LoopbackServer) -> Iterator[Callable[..., Device]]:
    """Makes devices of kind ssh on the loopback; keywords are options. Looks that they clean up behind them."""
    devices: list[Device] = []

    def make(**options: object) -> Device:
        options = {"host": "board", "ssh_config": str(server.config), "retry_seconds": 0.2} | options
        if "hosts" in options:
            del options["host"]
        options = {key: str(value) if isinstance(value, Path) else value for key, value in options.items()}
        devices.append(device_from_spec(DeviceSpec("pi", "ssh", options=options, source="pi.yaml")))
        return devices[-1]

    yield make
    if not server.is_running:
        server.start()
    for device in devices:
        device.close()  # type: ignore[attr-defined]
    assert server.leftovers == []
