"""All searches here are of few images, and evaluate in this process."""

from pathlib import Path

import pytest

from tests.edgenas.run.safety.searching import Make, SameProcess, with_few_images


@pytest.fixture(name="make_recipe")
def make_recipe_of_few_images(make_recipe: Make, tmp_path: Path) -> Make:
    """Recipes as everywhere, of data that are read in no time."""
    return lambda *arguments, **options: with_few_images(make_recipe(*arguments, **options), tmp_path)


@pytest.fixture(autouse=True)
def same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgenas.run.search.WorkerPool", SameProcess)
