"""Candidates that begin with weights of finished trials."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from edgenas.recipe.recipe import Recipe
from edgenas.report import build_report
from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import run
from edgenas.spaces.errors import InputError, WorkError
from edgenas.study.candidates import Candidate
from edgenas.study.scheduler import InProcess
from edgenas.study.study import Study

Make = Callable[..., Recipe]
SEARCH = """
search:
  trials: {trials}
  algorithm: random
  transfer: {transfer}
  kept_weights: {{trials: 2}}
  training: {{epochs: 1, images: 64, batch_size: 32}}
"""


def searched(recipe: Recipe, output: Path, **options: Any) -> RunFolder:
    run(recipe, output=output, ship=False, quiet=True, **({"scheduler": InProcess} | options))
    return RunFolder(output)


def learned(folder: RunFolder, number: int) -> dict[str, Any]:
    return dict(json.loads((folder.trial_path(number) / "learned.json").read_text()))


def scores(folder: RunFolder) -> list[float | None]:
    return [trial.score for trial in Study.open(folder.study_path).trials]


class Interrupted(InProcess):
    """Ends with the third candidate, before it is evaluated."""

    def run(self, candidates: Iterable[Candidate | None], on_outcome: Any) -> None:
        def some() -> Iterable[Candidate | None]:
            for candidate in candidates:
                if candidate is not None and candidate.number == 2:
                    raise KeyboardInterrupt
                yield candidate

        super().run(some(), on_outcome)


@pytest.mark.slow
def test_a_search_with_transfer_resumes_to_the_same_and_keeps_few_weights(
    make_recipe: Make, table_path: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(SEARCH.format(trials=4, transfer="best"), table=table_path)
    whole = searched(recipe, tmp_path / "whole")
    first = learned(whole, 0)
    assert (first["sources"], "taken" in first) == ([], False)
    later = learned(whole, 3)
    assert len(later["sources"]) == 1
    assert 0 < later["taken"] <= later["arrays"]
    kept = sorted(int(path.parent.name) for path in whole.trials_path.glob("*/weights.npz"))
    best = max(Study.open(whole.study_path).trials, key=lambda trial: trial.reward or 0.0)
    assert best.number in kept
    assert len(kept) == 2
    with pytest.raises(WorkError, match="continue with the same command and --resume"):
        searched(recipe, tmp_path / "parts", scheduler=Interrupted)
    parts = searched(recipe, tmp_path / "parts", resume=True)
    assert scores(parts) == scores(whole)
    assert learned(parts, 3) == later
    page = build_report(parts.path).read_text(encoding="utf-8")
    assert "Transfer (best): 3 of 4 candidates began with weights of finished trials" in page


def test_the_word_off_needs_no_quotes(make_recipe: Make) -> None:
    assert make_recipe("search: {transfer: off}").search.transfer == "off"


def test_an_unknown_way_is_refused(make_recipe: Make) -> None:
    with pytest.raises(InputError, match=r"search\.transfer: input should be 'off', 'previous'"):
        make_recipe("search: {transfer: father}")
