"""``edgenas devices``: adding, checking and removing boards and phones of one's own."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from edgenas.cli import main
from edgenas.devices.device import get_device


@pytest.fixture
def edgenas(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("EDGENAS_HOME", str(tmp_path / "home"))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["edgenas", *arguments])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return run


def test_a_board_is_added_listed_and_removed(edgenas, tmp_path):
    code, out, err = edgenas(
        *("devices", "add", "pi", "--ssh", "me@pi.local", "--python", "~/venv/bin/python"),
        *("--port", "2222", "--no-check"),
    )
    assert code == 0, err
    path = tmp_path / "home" / "devices" / "pi.yaml"
    assert str(path) in out
    assert yaml.safe_load(path.read_text()) == {
        "name": "pi",
        "kind": "ssh",
        "description": "me@pi.local, over SSH",
        "precisions": ["float32", "float16", "int8"],
        "options": {"host": "me@pi.local", "python": "~/venv/bin/python", "port": 2222},
    }
    names = [row["name"] for row in json.loads(edgenas("devices", "list", "--json")[1])]
    assert {"pi", "local-cpu"} <= set(names)
    before = path.read_text()
    code, _, err = edgenas("devices", "add", "pi", "--ssh", "other", "--no-check")
    assert code == 2
    assert "edgenas devices remove pi" in err
    assert path.read_text() == before
    assert edgenas("devices", "remove", "pi")[0] == 0
    assert not path.exists()
    assert edgenas("devices", "remove", "pi")[0] == 2


def test_several_boards_are_one_device(edgenas, tmp_path):
    assert edgenas("devices", "add", "pis", "--ssh", "me@a", "--ssh", "me@b", "--no-check")[0] == 0
    assert [host.host for host in get_device("pis").hosts] == ["me@a", "me@b"]


def test_a_phone_says_that_its_kind_is_untested(edgenas, tmp_path):
    program = tmp_path / "benchmark_model"
    assert edgenas("devices", "add", "phone", "--adb", "S1", "--benchmark-model", str(program), "--no-check")[0] == 0
    description = yaml.safe_load((tmp_path / "home/devices/phone.yaml").read_text())
    assert "untested on hardware" in description["description"]
    assert description["options"] == {"serial": "S1", "benchmark_model": str(program)}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pi",), "--ssh"),
        (("pi", "--ssh", "a", "--adb", "S1"), "--adb"),
        (("local-cpu", "--ssh", "a"), "choose another name"),
        (("../pi", "--ssh", "a"), "no name of a device"),
        (("pi", "--ssh", "-oProxyCommand=x"), "is no host"),
        (("pi", "--ssh", "a", "--port", "0"), "--port"),
    ],
)
def test_wrong_devices_are_refused_before_anything_is_tried(edgenas, tmp_path, arguments, said):
    code, out, err = edgenas("devices", "add", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert not (tmp_path / "home" / "devices").exists()


@pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed (apt-get install openssh-client)")
def test_a_board_that_does_not_answer_is_not_added(edgenas, tmp_path):
    config = tmp_path / "config"
    config.write_text("Host pi\n  HostName 127.0.0.1\n  Port 1\n  UserKnownHostsFile /dev/null\n")
    code, _, err = edgenas("devices", "add", "pi", "--ssh", "pi", "--ssh-config", str(config))
    assert code == 1
    assert "is its ssh server running" in err
    assert not (tmp_path / "home" / "devices").exists()


def test_own_devices_of_the_catalog_stay(edgenas):
    code, _, err = edgenas("devices", "remove", "local-cpu")
    assert code == 2
    assert "comes with EdgeNAS" in err


def test_check_of_everything_says_what_works_and_what_to_install(edgenas, monkeypatch, tmp_path):
    edgenas("devices", "add", "phone", "--adb", "S1", "--no-check")
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, _ = edgenas("devices", "check", "--json")
    assert code == 0
    data = json.loads(out)
    found = {row["device"]: row for row in data["devices"]}
    assert found["local-cpu"] == {"device": "local-cpu", "ok": True, "problems": []}
    assert "apt-get install adb" in found["phone"]["problems"][0]
    assert data["programs"] == {"ssh": None, "adb": None}
    code, out, err = edgenas("devices", "check")
    assert code == 0
    assert "local-cpu" in out
    assert "apt-get install openssh-client" in err


def test_check_of_one_device_measures(edgenas):
    code, out, _ = edgenas("devices", "check", "local-cpu", "--json")
    assert code == 0
    data = json.loads(out)
    assert data["ok"] is True
    assert data["latency_ms"]["min"] > 0


def test_a_damaged_description_is_named(edgenas, tmp_path):
    folder = tmp_path / "home" / "devices"
    folder.mkdir(parents=True)
    (folder / "bad.yaml").write_text("name: bad\nkind: ssh\noptions: {hots: x}\n")
    code, _, err = edgenas("devices", "check", "bad")
    assert code == 2
    assert "bad.yaml" in err
    assert "hots" in err
    rows = json.loads(edgenas("devices", "check", "--json")[1])["devices"]
    assert [row["ok"] for row in rows if row["device"] in ("bad", "local-cpu")] == [False, True]
    assert Path(folder / "bad.yaml").exists()
