"""Workers that are apart from their server: in a network namespace of their own, as another user."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgenas.study.store import open_study

ROOT = Path(__file__).parents[3]
NOBODY = 65534
SERVER_ADDRESS, WORKER_ADDRESS = "10.213.0.1", "10.213.0.2"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def namespaces() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a cable between them."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the program ip")
    names = (f"edgenas-{os.getpid()}-a", f"edgenas-{os.getpid()}-b")
    with contextlib.ExitStack() as ending:
        try:
            for name in names:
                _run("ip", "netns", "add", name)
                ending.callback(subprocess.run, ["ip", "netns", "delete", name], check=False)
            _run(
                "ip",
                "link",
                "add",
                "edgenas0",
                "netns",
                names[0],
                "type",
                "veth",
                "peer",
                "edgenas1",
                "netns",
                names[1],
            )
            for name, link, address in zip(
                names, ("edgenas0", "edgenas1"), (SERVER_ADDRESS, WORKER_ADDRESS), strict=True
            ):
                _run("ip", "-n", name, "address", "add", f"{address}/30", "dev", link)
                _run("ip", "-n", name, "link", "set", link, "up")
                _run("ip", "-n", name, "link", "set", "lo", "up")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
        yield names


@pytest.fixture
def as_nobody() -> list[str]:
    """The beginning of a command that another user runs, who may read the program."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("another user needs root and the program setpriv")
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    probe = [*command, sys.executable, "-c", "import edgenas.study.tuning"]
    found = subprocess.run(probe, capture_output=True, text=True, check=False, cwd="/", env=_environment())
    if found.returncode:
        pytest.skip(f"another user cannot read the program: {found.stderr.strip().splitlines()[-1]}")
    return command


def _environment() -> dict[str, str]:
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    return os.environ | {"PYTHONPATH": paths, "HOME": "/nonexistent", "EDGENAS_HOME": "/nonexistent"}


@contextlib.contextmanager
def served(folder: Path, host: str, before: list[str]) -> Iterator[str]:
    """`edgenas serve` as a program; its address."""
    command = [sys.executable, "-m", "edgenas", "serve", f"sqlite:///{folder / 'served.db'}", "--host", host]
    process = subprocess.Popen(
        [*before, *command, "--port", "0", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        text = ""
        while not text.rstrip().endswith("}"):
            line = process.stdout.readline()
            assert line, "the server ended"
            text += line
        yield json.loads(text)["study"]
    finally:
        process.terminate()
        process.wait(60)


def _reachable(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 0.5).close()
    except OSError:
        return False
    return True


def worker(url: str, before: list[str]) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, str(ROOT / "tools" / "studies" / "worker.py"), url, "--trials", "5", "--name", "apart"]
    return subprocess.run(
        [*before, *program], capture_output=True, text=True, check=False, timeout=250, cwd="/", env=_environment()
    )


def test_a_worker_in_another_network_talks_to_its_server(namespaces: tuple[str, str], tmp_path: Path) -> None:
    inside, outside = (["ip", "netns", "exec", name] for name in namespaces)
    with served(tmp_path, SERVER_ADDRESS, inside) as url:
        host, _, port = url.removeprefix("grpc://").partition(":")
        assert not _reachable(host, int(port)), "the server can be reached from everywhere"
        ended = worker(url, outside)
    assert ended.returncode == 0, ended.stderr
    store = open_study(tmp_path / "served.db")
    assert [(trial.state, trial.worker) for trial in store.trials] == [("complete", "apart")] * 5
    store.close()


def test_a_worker_of_another_user_talks_to_its_server(as_nobody: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), "localhost", []) as url:
        ended = worker(url, as_nobody)
        assert ended.returncode == 0, ended.stderr
        store = open_study(Path(folder) / "served.db")
        assert [(trial.state, trial.worker) for trial in store.trials] == [("complete", "apart")] * 5
        store.close()
