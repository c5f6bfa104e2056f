"""What the documents say is so: commands exist with their options, quick ones run, YAML and Python blocks work."""

from __future__ import annotations

import json
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from edgenas.cli.app import app, hoisted
from edgenas.devices.device import read_device_spec
from edgenas.export.figure import KINDS
from edgenas.recipe.recipe import Recipe
from edgenas.spaces import SearchSpace
from tests.docs.documents import DOCUMENTS, ROOT, Shown, blocks, commands, inline_commands, links, prose

COMMANDS = [shown for document in DOCUMENTS for shown in commands(document)]
INLINE = [shown for document in DOCUMENTS for shown in inline_commands(document)]
YAML = [shown for document in DOCUMENTS for shown in blocks(document, "yaml")]
LINKS = [shown for document in DOCUMENTS for shown in links(document)]
PYTHON = [document for document in DOCUMENTS if any(blocks(document, "python"))]

#: Commands of others that documents may show.
FOREIGN = {"source", "tensorboard", "pip", "ruff", "mypy", "lint-imports", "zensical", "unzip"}
#: These run as they stand in a moment, on nothing but the program itself.
QUICK = (
    "edgenas spaces list",
    "edgenas spaces show",
    "edgenas spaces sample",
    "edgenas recipe",
    "edgenas devices list",
    "edgenas devices show",
    "edgenas describe mobilenet",
    "edgenas describe --references",
)
#: The least recipe; fragments in documents are laid over it.
LEAST = {
    "name": "shown",
    "data": {"name": "fashion_mnist"},
    "space": {"name": "tiny_edge"},
    "device": {"name": "local-cpu"},
    "budget": {"latency_ms": 0.25},
}


def words_of(command: str) -> list[str]:
    """The words of a command, without variables that are set before it."""
    words = shlex.split(command)
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    return words


def check_edgenas(words: list[str], *, whole: bool) -> None:
    """The verb, its options and its arguments exist; with ``whole``, none that it needs is missing."""
    command: Any = typer.main.get_command(app)
    verb = "edgenas"
    words = hoisted(words)
    while words[:1] == ["--import"]:
        words = words[2:]
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        verb, words = f"{verb} {words[0]}", words[1:]
        command = command.commands.get(verb.rpartition(" ")[2])
        assert command is not None, f"there is no {verb!r}"
    given, values = taken(command, verb, words, whole=whole)
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    several = any(argument.nargs == -1 for argument in arguments)
    assert several or len(values) <= len(arguments), f"{verb!r} takes {len(arguments)} argument(s), not {values}"
    if whole:
        needed = {parameter.name for parameter in command.params if parameter.required}
        given |= {parameter.name for parameter in arguments[: len(values)]}
        assert needed <= given, f"{verb!r} needs {needed - given}"


def taken(command: Any, verb: str, words: list[str], *, whole: bool) -> tuple[set[str], list[str]]:
    """Names of the options that are given, and the arguments."""
    options = {name: parameter for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    given: set[str] = set()
    values: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            values.append(word)
        elif word != "--help":
            assert word in options, f"{verb!r} has no option {word}"
            given.add(options[word].name)
            if not options[word].is_flag:
                assert next(rest, None) is not None or not whole, f"{word} needs a value"
    return given, values


def check_tool(words: list[str]) -> None:
    """The file exists, and has the options."""
    tool = ROOT / words[0]
    assert tool.is_file(), f"no file {words[0]}"
    if tool.suffix == ".py":
        text = tool.read_text(encoding="utf-8")
        if "benchmarking.options" in text:
            text += (ROOT / "tools" / "benchmarking" / "options.py").read_text(encoding="utf-8")
        for word in words[1:]:
            if word.startswith("--"):
                assert f'"{word}"' in text, f"{words[0]} has no option {word}"


def check(shown: Shown, *, whole: bool) -> None:
    words = words_of(shown.text)
    if words[0] == "edgenas":
        check_edgenas(words[1:], whole=whole)
    elif words[0] in ("python", "bash") and words[1].startswith("tools/"):
        check_tool(words[1:])
    else:
        assert words[0] in FOREIGN, f"{shown}: {words[0]!r} is no command that documents show"


def test_there_is_something_to_check():
    assert len(COMMANDS) > 40
    assert len(YAML) > 5
    assert len(PYTHON) > 3


@pytest.mark.parametrize("shown", COMMANDS, ids=str)
def test_commands_exist_with_their_options(shown: Shown):
    check(shown, whole=True)


@pytest.mark.parametrize("shown", INLINE, ids=str)
def test_commands_in_sentences_exist_with_their_options(shown: Shown):
    check(shown, whole=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-verb"],
        ["describe", "mobilenet_v2_1.0", "--no-such-option"],
        ["spaces", "no-such-verb"],
        ["export"],
        ["run", "a.yaml", "b.yaml"],
        ["profile", "--space"],
    ],
)
def test_the_check_notices_what_is_wrong(arguments: list[str]):
    with pytest.raises(AssertionError):
        check_edgenas(arguments, whole=True)


QUICK_COMMANDS = sorted({shown.text for shown in COMMANDS if shown.text.startswith(QUICK)})


@pytest.mark.parametrize("command", QUICK_COMMANDS)
def test_quick_commands_run(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from typer.testing import CliRunner

    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGENAS_HOME", str(tmp_path / "home"))
    result = CliRunner().invoke(app, hoisted(words_of(command)[1:]))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("shown", YAML, ids=str)
def test_yaml_is_a_recipe_a_space_or_a_device(shown: Shown, tmp_path: Path):
    document: dict[str, Any] = yaml.safe_load(shown.text)
    if "stem" in document or "nodes" in document:
        path = tmp_path / "space.yaml"
        path.write_text(shown.text, encoding="utf-8")
        assert SearchSpace.load(path).size > 1
    elif "kind" in document:
        path = tmp_path / "device.yaml"
        path.write_text(shown.text, encoding="utf-8")
        assert read_device_spec(path).name == document["name"]
    else:
        least = (
            LEAST if "devices" not in document else {k: v for k, v in LEAST.items() if k not in ("device", "budget")}
        )
        Recipe.parse(yaml.safe_dump(least | document), str(shown))


@pytest.mark.parametrize("document", PYTHON, ids=lambda path: path.name)
def test_python_runs(document: Path, tmp_path: Path):
    # One program per page, in a process of its own: what it registers stays there.
    program = "\n".join(block.text for block in blocks(document, "python"))
    environment = os.environ | {"EDGENAS_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr


def test_notebooks_hold_what_their_pages_say():
    # So that running a page, above, is running its notebook.
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "docs" / "notebook.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (path,) = (ROOT / "docs").glob("*.ipynb")
    notebook = json.loads(path.read_text(encoding="utf-8"))
    program = [block.text.strip("\n") for block in blocks(path.with_suffix(".md"), "python")]
    assert ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"] == program


@pytest.mark.parametrize("shown", LINKS, ids=str)
def test_links_lead_to_files(shown: Shown):
    assert (shown.document.parent / shown.text).exists()


def test_every_folder_that_answers_where_is_there():
    text = (ROOT / "docs" / "where-to-change.md").read_text(encoding="utf-8")
    folders = re.findall(r"\| `([\w/]+/)`", text)
    assert len(folders) > 20
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_and_names_in_sentences_exist(document: Path):
    text = prose(document)
    paths = re.findall(r"`((?:spaces|export|devices|latency|edgenas|tests|tools|docs)/[\w./-]*)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    for name in re.findall(r"`(edgenas(?:\.\w+)+)`", text):
        if name != "edgenas.algorithms":  # the group of entry points
            assert pkgutil.resolve_name(name)


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if f'"{page}"' not in navigation] == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def registered(decorator: str, *folders: str) -> list[str]:
    """Names in the code under a decorator; registries may hold those of other tests too."""
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    found = re.compile(rf'^@{decorator}\("([^"]+)"', re.MULTILINE)
    return [name for path in files for name in found.findall(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("your-space.md", registered("register_block", "spaces/blocks")),
        ("your-space.md", [path.stem for path in (ROOT / "spaces" / "catalog").glob("*.yaml")]),
        ("search.md", registered("register_algorithm", "edgenas/search/algorithms")),
        ("devices.md", [path.stem for path in (ROOT / "devices" / "catalog").glob("*.yaml")]),
        ("energy.md", registered("register_meter", "devices/on_device/energy")),
        ("report.md", list(KINDS)),
        ("benchmarks.md", [path.stem for path in (ROOT / "tools").glob("bench_*.py")]),
    ],
)
def test_a_page_names_all_there_are(page: str, names: list[str]):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert len(names) > 3
    assert [name for name in names if not re.search(rf"\b{re.escape(name)}\b", text)] == []


def test_every_verb_is_shown():
    shown = " ".join(shown.text for shown in COMMANDS)
    command: Any = typer.main.get_command(app)
    assert [verb for verb in command.commands if f"edgenas {verb}" not in shown] == []


def test_hosted_ci_runs_the_test_command_on_every_supported_python():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    assert job["strategy"]["matrix"]["python"] == ["3.10", "3.11", "3.12", "3.13"]
    assert "bash tools/test.sh" in [step.get("run") for step in job["steps"]]
    assert 'requires-python = ">=3.10,<3.14"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
