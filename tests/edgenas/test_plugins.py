"""Plug-ins by --import, by module and by entry point: known to every command, and kept by the run they are given to."""

import json
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from edgenas import plugins
from edgenas.cli import main
from edgenas.cli.app import hoisted
from edgenas.run.folder import RunFolder
from edgenas.spaces.block import block_kinds
from edgenas.spaces.errors import InputError
from tests.edgenas.run.test_pipeline_ship import ByNumber

BLOCK = """
from dataclasses import dataclass
from edgenas.spaces import Block, register_block
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import Activation, BatchNorm, Convolution

@register_block("{name}")
@dataclass(frozen=True)
class Pointwise(Block):
    filters: int
    stride: int = 1

    def lower(self, *input_shapes) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        out = builder.add("conv", Convolution(self.filters, 1, self.stride), builder.inputs[0])
        out = builder.add("bn", BatchNorm(), out)
        return builder.build(builder.add("act", Activation("relu"), out))
"""
SPACE = """
name: {name}_space
input_shape: [16, 16, 3]
classes: 4
stem: {{block: conv, filters: 8}}
stages:
  - {{filters: [16, 24], depth: 1, stride: 2, layers: [{{blocks: [{{block: {name}}}]}}]}}
head:
  - {{block: classifier}}
"""


def edgenas(monkeypatch, capsys, *words: object) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["edgenas", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    captured = capsys.readouterr()
    return int(end.value.code or 0), captured.out, captured.err


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_given", [])


def written(folder: Path, name: str) -> tuple[Path, Path]:
    """A plug-in with a block, and a space with that block."""
    plugin, space = folder / f"{name}_plugin.py", folder / f"{name}.yaml"
    plugin.write_text(BLOCK.format(name=name))
    space.write_text(SPACE.format(name=name))
    return plugin, space


@pytest.mark.parametrize("place", ["front", "end", "equals"])
def test_a_file_is_imported_wherever_it_stands(place: str, tmp_path: Path, home: Path, monkeypatch, capsys) -> None:
    plugin, space = written(tmp_path, f"own_{place}")
    words = ["spaces", "sample", space, "--count", "1", "--json"]
    code, _, err = edgenas(monkeypatch, capsys, *words)
    assert code == 2
    assert f"own_{place}" in err.replace(str(space), "")
    given = {"front": ["--import", plugin, *words], "end": [*words, "--import", plugin]}
    code, out, err = edgenas(monkeypatch, capsys, *given.get(place, [*words, f"--import={plugin}"]))
    assert code == 0, err
    assert json.loads(out)[0]["params"] > 0


def test_a_module_is_imported(tmp_path: Path, home: Path, monkeypatch, capsys) -> None:
    _, space = written(tmp_path, "own_module")
    monkeypatch.syspath_prepend(tmp_path)
    code, _, err = edgenas(
        monkeypatch, capsys, "spaces", "sample", space, "--count", "1", "--import", "own_module_plugin"
    )
    assert code == 0, err


def test_what_is_wrong_with_a_plug_in_is_one_line(tmp_path: Path, home: Path, monkeypatch, capsys) -> None:
    (tmp_path / "broken.py").write_text("x = 1\nraise ValueError('no\\nway')\n")
    (tmp_path / "text.txt").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    for name, expected in (
        (tmp_path / "broken.py", "broken.py:2: ValueError: no way"),
        ("broken", "--import: broken: ValueError: no way"),
        (tmp_path / "none.py", "none.py: cannot be read as a plug-in"),
        (tmp_path / "text.txt", "is no Python file"),
        ("no_such_module.at_all", "there is no module 'no_such_module'"),
    ):
        code, _, err = edgenas(monkeypatch, capsys, "devices", "list", "--import", name)
        assert code == 2
        assert err.count("\n") == 1
        assert expected in err


def test_installed_plug_ins_are_known_and_a_broken_one_is_told(tmp_path: Path, home: Path, monkeypatch, capsys) -> None:
    written(tmp_path, "own_installed")
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        EntryPoint("good", "own_installed_plugin", plugins.ENTRY_POINT_GROUP),
        EntryPoint("bad", "not_there_at_all", plugins.ENTRY_POINT_GROUP),
    ]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points if "plugins" in group else [])
    monkeypatch.setattr(plugins, "_installed", set())
    code, _, err = edgenas(monkeypatch, capsys, "devices", "list")
    assert code == 0
    assert "plug-in 'bad' (not_there_at_all) cannot be used: ModuleNotFoundError" in err
    assert "own_installed" in block_kinds()


def test_a_run_writes_down_what_it_was_given(make_recipe, table_path: Path, tmp_path: Path, monkeypatch) -> None:
    from edgenas.run.opening import load_recipe

    plugin, _ = written(tmp_path, "own_given")
    make_recipe("search: {trials: 1}\n", table=table_path)
    plugins.import_given([str(plugin)])
    recipe = load_recipe(tmp_path / "recipe.yaml", None)
    assert recipe.plugins == [str(plugin)]
    from edgenas.run.pipeline import run
    from edgenas.study.scheduler import InProcess

    folder = RunFolder(run(recipe, quiet=True, ship=False, evaluator=ByNumber(), scheduler=InProcess).run)
    assert "../../own_given_plugin.py" in folder.recipe_path.read_text()
    assert folder.read_recipe().plugins == [str(plugin)]


def test_modules_in_a_recipe_stay_as_they_are(make_recipe, tmp_path: Path, monkeypatch) -> None:
    written(tmp_path, "own_listed")
    monkeypatch.syspath_prepend(tmp_path)
    recipe = make_recipe("plugins: [own_listed_plugin, own_listed_plugin.py]\n")
    assert recipe.plugins == ["own_listed_plugin", str(tmp_path / "own_listed_plugin.py")]
    with pytest.raises(InputError, match="there is no module 'own_missing'"):
        make_recipe("plugins: [own_missing]\n")


def test_only_whole_options_are_moved() -> None:
    assert hoisted(["run", "a", "--import"]) == ["run", "a", "--import"]
    assert hoisted(["--import=x", "run"]) == ["--import=x", "run"]


def test_a_folder_is_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder_of_blocks").mkdir()
    (tmp_path / "folder_of_blocks" / "mine.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    for _ in range(2):
        with pytest.raises(InputError, match=r"--import: folder_of_blocks: is a folder .*folder_of_blocks/FILE\.py"):
            plugins.load_plugins(["folder_of_blocks"], "--import")
    plugins.load_plugins(["folder_of_blocks.mine"], "--import")
