"""Device descriptions: the catalog, users' own files, and what is said about wrong ones."""

from pathlib import Path

import pytest

from edgenas.devices import device_names, edgenas_home, get_device
from edgenas.devices.device import device_from_spec, read_device_spec, register_device
from edgenas.devices.kinds.local import LocalDevice
from edgenas.spaces.errors import InputError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGENAS_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "devices").mkdir(parents=True)
    return tmp_path / "home"


def test_home_is_where_the_variable_says(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert edgenas_home() == home
    monkeypatch.delenv("EDGENAS_HOME")
    assert edgenas_home() == Path.home() / ".edgenas"


def test_an_unknown_device_lists_the_known_ones(home: Path) -> None:
    with pytest.raises(InputError, match=r"'toaster'.*local-cpu"):
        get_device("toaster")


def test_a_user_adds_a_device_with_a_file(home: Path) -> None:
    (home / "devices" / "venv.yaml").write_text("name: venv\nkind: local\noptions: {python: /opt/python}\n")
    assert {"local-cpu", "venv"} <= set(device_names())
    device = get_device("venv")
    assert isinstance(device, LocalDevice)
    assert device.python == "/opt/python"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", "YAML"),
        ("- a\n", "name and kind"),
        ("name: x\n", "kind"),
        ("kind: local\n", "name"),
        ("name: x\nkind: local\ncolour: red\n", "colour"),
        ("name: x\nkind: local\nprecisions: [int3]\n", "int3"),
        ("name: x\nkind: local\noptions: 3\n", "options"),
    ],
)
def test_wrong_files_are_refused_by_name_and_key(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_device_spec(path)
    assert str(path) in str(caught.value)


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text("name: x\nkind: telepathy\n")
    with pytest.raises(InputError, match=r"telepathy.*local"):
        device_from_spec(read_device_spec(path))


def test_a_kind_is_registered_once() -> None:
    with pytest.raises(InputError, match="already registered"):

        @register_device("local")
        class Impostor(LocalDevice):
            pass
