"""The documents' example of a block of one's own: what the page shows are the files, and a search takes the block."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from edgenas.recipe.recipe import Recipe
from edgenas.run.pipeline import run
from edgenas.spaces.block import block_class
from edgenas.spaces.conformance import BlockConformance
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.study.scheduler import InProcess
from edgenas.supernet.places import Places
from tests.docs.documents import ROOT

FOLDER = ROOT / "docs" / "examples" / "own_block"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """The example as a user has it in a folder, for a device that is simulated."""
    folder = tmp_path_factory.mktemp("example")
    for path in FOLDER.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    path = folder / "convnext.yaml"
    text = path.read_text().replace("local-cpu", "edgetpu-sim")
    path.write_text(text.replace("latency_ms: 0.3", "latency_ms: 5.0").replace("trials: 12", "trials: 6"))
    return Recipe.load(path).model_copy(update={"output": str(folder / "runs")})


def test_the_page_shows_the_files():
    shown = re.findall(r"^```(?:py|yml)\n(.*?)^```$", (ROOT / "docs" / "extending.md").read_text(), re.M | re.S)
    assert shown == [(FOLDER / name).read_text() for name in ("my_blocks.py", "convnext_space.yaml", "convnext.yaml")]


def test_it_conforms(recipe: Recipe):
    convnext = block_class("convnext")

    class Conforms(BlockConformance):
        blocks = ((convnext(16), ((8, 8, 16),)), (convnext(24, 3, 2, 2), ((9, 9, 8),)))
        bad_options = ({"filters": 0}, {"kernel": 4}, {"expansion": 0}, {"stride": 0})

    for name in dir(BlockConformance):
        if name.startswith("test_"):
            getattr(Conforms(), name)()


def test_a_search_takes_it(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """From the recipe's plug-in through the profile to trials, some of which have the block."""
    monkeypatch.setenv("EDGENAS_HOME", str(tmp_path / "home"))
    kinds: Counter[str] = Counter()

    def judged(candidate) -> float:
        network = space.decode(space.parse(candidate.architecture))
        kinds.update(node.block.kind for node in network.nodes)
        return 0.5 + 0.1 * any(node.block.kind == "convnext" for node in network.nodes)

    space = SearchSpace.load(Path(str(recipe.space.path)))
    result = run(recipe, evaluator=lambda: judged, scheduler=InProcess, ship=False, quiet=True)
    assert result.best is not None
    assert kinds["convnext"]
    assert kinds["ibn"]
    assert "convnext(" in (result.run / "table.csv").read_text()
    assert kinds["classifier"] == 6  # one for each trial


def test_a_supernet_holds_it(recipe: Recipe):
    space = SearchSpace.load(Path(str(recipe.space.path)))
    places = Places(space)
    row = space.sample(np.random.default_rng(0), 1)[0]
    assert places.plan(space.architecture(row)).any()
