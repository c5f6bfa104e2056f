"""What the packages import is what pyproject.toml declares."""

import ast
import re
import sys
from collections.abc import Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")

ROOT = Path(__file__).parents[2]
OWN = {"edgenas", "latency", "devices", "export", "spaces"}  # folders; all are imported as parts of edgenas
#: Imported where it happens to be there, and never asked for. ``keras`` is what TensorFlow itself depends on;
#: ``tflite_runtime`` is the older name of the runtime on boards, ``cv2`` what a bundle on a board may read images with.
OPTIONAL = {"cv2", "keras", "tflite_runtime"}
NAMES = {
    "PIL": "pillow",
    "google": "google-cloud-storage",
    "yaml": "pyyaml",
    "ai_edge_litert": "ai-edge-litert",
    "tf_keras": "tf-keras",
}


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", "")) in ("import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            found.add(str(node.args[0].value))
    return {name.partition(".")[0] for name in found}


def _declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [
        *project["dependencies"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
    ]
    return {re.split(r"[^A-Za-z0-9._-]", one)[0].lower().replace("_", "-") for one in requirements}


def distributions_of(name: str, known: Mapping[str, list[str]]) -> list[str]:
    """What a module may come from: many distributions share ``google``, so names of ours go first."""
    return [NAMES[name]] if name in NAMES else known.get(name, [name])


def test_every_import_is_declared() -> None:
    imported: dict[str, Path] = {}
    for package in OWN:
        for path in (ROOT / package).rglob("*.py"):
            imported |= {name: path for name in _imports(path) if name not in imported}
    assert len(imported) > 20, "the packages were not found"
    others = set(imported) - OWN - set(sys.stdlib_module_names) - OPTIONAL
    known = packages_distributions()
    declared = _declared()
    undeclared = {
        name: str(imported[name])
        for name in others
        if not {d.lower().replace("_", "-") for d in distributions_of(name, known)} & declared
    }
    assert undeclared == {}


def test_the_python_versions_are_bounded() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.10,<3.14"
