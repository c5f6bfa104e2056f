"""A small search space, a latency table of it for this machine, and recipes that use them."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from edgenas.recipe.recipe import Recipe

SPACE = """\
name: tiny_test
task: classification
input_shape: [28, 28, 1]
classes: 10
stem: {block: conv, filters: 8, kernel: 3, stride: 2}
stages:
  - stride: 2
    filters: [8, 16]
    depth: [1, 2]
    layers:
      - blocks:
          - {block: ibn, kernel: [3, 5], expansion: [2, 4]}
          - {block: fused_ibn, expansion: [1, 2]}
head:
  - {block: classifier}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An EdgeNAS home of its own, so that no test meets the user's tables."""
    folder = tmp_path / "home"
    monkeypatch.setenv("EDGENAS_HOME", str(folder))
    monkeypatch.delenv("EDGENAS_DATA_DIR", raising=False)
    return folder


@pytest.fixture(scope="session")
def made_up_table() -> Callable[[str, Path], str]:
    """Makes tables of this machine with latencies made up from multiply-accumulates: for tests that measure nothing."""

    def make(space_text: str, folder: Path) -> str:
        from edgenas.devices import get_device
        from edgenas.latency.table.latency_table import LatencyTable, Row
        from edgenas.spaces.space.search_space import SearchSpace

        path = folder / "space.yaml"
        path.write_text(space_text)
        space = SearchSpace.load(path)
        identity = get_device("local-cpu").identity()
        return LatencyTable(
            device=identity.device,
            precision="int8",
            runtime=identity.runtime,
            runtime_version=identity.runtime_version,
            threads=1,
            protocol="made up for a test",
            anchor_ms=1.0,
            created="2000-01-01T00:00:00Z",
            rows={name: Row(1e-3 + entry.graph.macs * 1e-7) for name, entry in space.signatures("int8").items()},
            cpu_model=identity.cpu_model,
        ).to_text()

    return make


@pytest.fixture(scope="session")
def table_text(tmp_path_factory: pytest.TempPathFactory, made_up_table: Callable[[str, Path], str]) -> str:
    """A table of the small space."""
    return made_up_table(SPACE, tmp_path_factory.mktemp("space"))


@pytest.fixture
def table_path(tmp_path: Path, home: Path, table_text: str) -> Path:
    """:func:`table_text` as a file."""
    path = tmp_path / "given-table.csv"
    path.write_text(table_text)
    return path


@pytest.fixture
def make_recipe(tmp_path: Path, home: Path) -> Callable[..., Recipe]:
    """Recipes for the small space; text is added at the end, ``table`` is what the table fixture made.

    Without a word about finalists there is one, so that nothing is trained besides what is shipped.
    """

    def make(extra: str = "", *, table: Path | None = None, latency_ms: float = 0.05) -> Recipe:
        (tmp_path / "space.yaml").write_text(SPACE)
        text = f"""\
        name: demo
        seed: 1
        output: {tmp_path / "runs"}
        data: {{name: fashion_mnist}}
        space: {{path: space.yaml}}
        device: {{name: local-cpu, table: {table or "null"}}}
        budget: {{latency_ms: {latency_ms}}}
        """
        path = tmp_path / "recipe.yaml"
        path.write_text(textwrap.dedent(text) + textwrap.dedent(extra))
        recipe = Recipe.load(path)
        if "finalists" in extra:
            return recipe
        return recipe.model_copy(update={"search": recipe.search.model_copy(update={"finalists": 1})})

    return make
