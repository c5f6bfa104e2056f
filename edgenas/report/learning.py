"""What candidates of a run took from each other, in a sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from edgenas.recipe.recipe import Recipe
from edgenas.report.text import escape
from edgenas.study.learning import LEARNED_FILE


@dataclass(frozen=True)
class Learned:
    """How many candidates began with weights of others, and which share of their arrays was taken, whole or in part."""

    transfer: str
    candidates: int
    began: int
    whole: float
    sliced: float


def read_learned(recipe: Recipe, trials: Path, numbers: Sequence[int]) -> Learned | None:
    """From what the finished trials left; None where they took nothing from each other."""
    if recipe.search.transfer == "off":
        return None
    whole, sliced, count = [], [], 0
    for number in numbers:
        try:
            found = json.loads((trials / str(number) / LEARNED_FILE).read_text(encoding="utf-8"))
            count += 1
            if found["sources"]:
                whole.append(found["taken"] / found["arrays"])
                sliced.append(found["sliced"] / found["arrays"])
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):  # of another worker, or of an older run
            continue
    if not count:
        return None
    return Learned(recipe.search.transfer, count, len(whole), mean(whole or [0.0]), mean(sliced or [0.0]))


def learned_html(found: Learned | None) -> str:
    """A paragraph; empty where there is nothing to tell."""
    if found is None:
        return ""
    taken = f": on average {found.whole:.0%} of their arrays whole, {found.sliced:.0%} in part" if found.began else ""
    return (
        f'<p class="facts" id="transfer">Transfer ({escape(found.transfer)}): {found.began} of {found.candidates} '
        f"candidates began with weights of finished trials{taken}. Their accuracies hold what earlier trials learned, "
        "so later ones have an advantage over earlier ones.</p>"
    )
