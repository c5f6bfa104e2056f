"""An installed EdgeNAS puts one name into the world, and works beside files of any other name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("spaces", "export", "devices", "latency", "edgenas")

SMALL_SPACE = """
name: small
input_shape: [8, 8, 3]
classes: 2
stem: {block: conv, filters: 8}
stages:
  - {filters: [8, 16], depth: 1, layers: [{blocks: [{block: ibn, kernel: [3, 5], expansion: 2}]}]}
head:
  - {block: classifier}
"""


def run(command: Sequence[object], **options: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=240, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the tree, since building leaves files in it."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for name in FLOORS:
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    built = tmp_path_factory.mktemp("wheel")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    run([sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", built, tree])
    (file,) = built.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel; its dependencies are those of this environment."""
    environment = tmp_path_factory.mktemp("environment")
    run([sys.executable, "-m", "venv", "--without-pip", environment])
    python = environment / "bin" / "python"
    options = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    # Without PYTHONPATH, and elsewhere: a checkout with an editable install counts as installed where pip sees it.
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run([sys.executable, "-m", "pip", "--python", python, "install", *options, wheel], cwd=environment, env=clean)
    # A plain path: what else lies there, such as links of editable installs, does not count.
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    return environment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's own folder, with files that are called as the floors are."""
    for name in FLOORS[:-1]:
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong file was imported')\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    outer = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "EDGENAS_DATA_DIR")}
    return outer | {"EDGENAS_HOME": str(tmp_path / "home")}


def test_a_wheel_holds_one_name_and_every_file(wheel: Path):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.split("/")[0].endswith(".dist-info")}
    assert {name.split("/")[0] for name in names} == {"edgenas"}
    assert "edgenas/py.typed" in names
    files = {
        (Path() if floor == "edgenas" else Path("edgenas")) / path.relative_to(ROOT)
        for floor in FLOORS
        for path in (ROOT / floor).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and "_cache" not in str(path)
    }
    assert {path.as_posix() for path in files} - names == set()


def test_it_is_the_installed_one_that_runs(installed: Path, folder: Path, variables: dict[str, str]):
    program = "import edgenas.spaces, edgenas.export; print(edgenas.__file__); print(edgenas.export.__file__)"
    for file in run([installed / "bin" / "python", "-c", program], cwd=folder, env=variables).split():
        assert file.startswith(str(installed))


@pytest.mark.parametrize("program", [["edgenas"], ["python", "-m", "edgenas"]])
def test_version_beside_an_export_py(installed: Path, folder: Path, variables: dict[str, str], program: list[str]):
    command = [installed / "bin" / program[0], *program[1:]]
    assert run([*command, "--version"], cwd=folder, env=variables).startswith("edgenas 0.")


def test_describe_beside_an_export_py(installed: Path, folder: Path, variables: dict[str, str]):
    out = run([installed / "bin" / "edgenas", "describe", "mobilenet_v2_1.0", "--json"], cwd=folder, env=variables)
    assert json.loads(out)["params"] == 3_506_153  # 1,001 classes


def test_profile_beside_an_export_py(installed: Path, folder: Path, variables: dict[str, str]):
    (folder / "small.yaml").write_text(SMALL_SPACE, encoding="utf-8")
    verb = ["profile", "--space", "small.yaml", "--device", "edgetpu-sim", "--json"]
    profiled = json.loads(run([installed / "bin" / "edgenas", *verb], cwd=folder, env=variables))
    assert profiled["measured"] == profiled["signatures"] == 7
