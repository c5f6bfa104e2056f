"""``edgenas serve`` and ``edgenas worker`` as programs."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgenas.cli.app import app
from edgenas.run.serving import serving
from edgenas.spaces.errors import InputError, WorkError
from edgenas.study.store import create_study, open_study


def start(target: str, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgenas", "serve", target, "--port", "0", "--json", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_json(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    text = ""
    while not text.rstrip().endswith("}"):
        line = process.stdout.readline()
        assert line, process.communicate()
        text += line
    return json.loads(text)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_served_study_is_used_and_stops_in_order(tmp_path: Path, how: signal.Signals) -> None:
    process = start(f"sqlite:///{tmp_path / 'study.db'}")
    try:
        found = read_json(process)
        store = create_study(found["study"], {"seed": 1})
        assert store.facts == {"seed": 1}
        store.close()
        with urllib.request.urlopen(found["report"], timeout=30) as page:
            assert b"no report yet" in page.read()
        os.kill(process.pid, how)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert "stopped" in said
        assert "Traceback" not in said
    finally:
        process.kill()
    assert open_study(tmp_path / "study.db").facts == {"seed": 1}


def test_other_hosts_are_warned_of(tmp_path: Path) -> None:
    process = start(f"sqlite:///{tmp_path / 'study.db'}", "--host", "0.0.0.0")
    try:
        read_json(process)
        process.terminate()
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "neither port asks who is there" in said
    assert "ssh" in said


def test_a_dashboard_stands_beside_the_report(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard", reason="needs the extra edgenas[dashboard]")
    with serving(f"sqlite:///{tmp_path / 's.db'}", port=0, dashboard=True) as (url, report):
        create_study(url, {"a": 1}).close()
        address = report.removesuffix("/report")
        with urllib.request.urlopen(f"{address}/api/studies", timeout=30) as answer:
            assert [study["study_name"] for study in json.load(answer)["study_summaries"]] == ["edgenas"]
        with urllib.request.urlopen(f"{address}/dashboard/", timeout=30) as answer:
            assert b"Optuna Dashboard" in answer.read()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with serving(f"sqlite:///{tmp_path / 's.db'}", port=0) as (url, _):
        port = int(url.rpartition(":")[2])
        with (
            pytest.raises(WorkError, match=f"localhost:{port} cannot be listened on"),
            serving(f"sqlite:///{tmp_path / 't.db'}", port=port),
        ):
            pass
        with pytest.raises(InputError, match="only a study in a database can be served"), serving(url, port=0):
            pass


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve", "no-such-run"], "holds no study yet"),
        (["worker", "grpc://localhost:1", "--wait", "0"], "no study is served there"),
        (["worker", "grpc://"], "expected grpc://HOST:PORT"),
        (["worker", "redis://host"], "unknown kind of study 'redis'"),
        (["worker", "missing.db"], "there is no study; name the URL that `edgenas serve` tells, or a file"),
        (["worker", "."], "is a folder; name the file of a study, such as study.db"),
        (["serve", "sqlite://study.db"], "expected sqlite:///FILE, with three slashes"),
        (["worker", "sqlite://study.db"], "expected sqlite:///FILE, with three slashes"),
        (["serve", "sqlite:///s.db", "--port", "65535"], "--port: none comes after 65535"),
        (["serve", "sqlite:///s.db", "--host", "no.such.host.invalid"], "--host: no.such.host.invalid is no address"),
        (["serve", "sqlite:///s.db", "--host", "192.0.2.1"], "--host: 192.0.2.1 is no address of this machine"),
    ],
)
def test_wrong_targets_are_named(arguments: list[str], words: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, InputError)
    assert words in str(result.exception)
    assert {path.name for path in tmp_path.iterdir()} <= {"s.db"}


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with serving(f"sqlite:///{tmp_path / 's.db'}", port=0) as (url, _):
        port = url.rpartition(":")[2]
        command = [sys.executable, "-m", "edgenas", "serve", f"sqlite:///{tmp_path / 't.db'}", "--port", port]
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
    assert found.returncode == 1
    assert found.stderr == (
        f"error: localhost:{port} cannot be listened on (Address already in use); choose another with --port\n"
    )


def test_a_study_is_served_on_an_address_of_ipv6(tmp_path: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with serving(f"sqlite:///{tmp_path / 's.db'}", host="::1", port=0) as (url, report):
        assert (url.rpartition(":")[0], report.rpartition(":")[0]) == ("grpc://[::1]", "http://[::1]")
        create_study(url, {"seed": 1}).close()
        with urllib.request.urlopen(report, timeout=30) as page:
            assert b"no report yet" in page.read()
