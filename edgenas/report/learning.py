"""What candidates of a run took from each other, in a sentence or two."""

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
    """How many candidates began with weights of others, which share of arrays was taken, and who had a teacher."""

    transfer: str
    teacher: str
    candidates: int
    began: int
    whole: float
    sliced: float
    taught: int


def read_learned(recipe: Recipe, trials: Path, numbers: Sequence[int]) -> Learned | None:
    """From what the finished trials left; None where they took nothing from each other."""
    if not recipe.keeps_weights:
        return None
    whole, sliced, count, taught = list[float](), list[float](), 0, 0
    for number in numbers:
        try:
            found = json.loads((trials / str(number) / LEARNED_FILE).read_text(encoding="utf-8"))
            count += 1
            taught += "teacher" in found
            if found["sources"]:
                whole.append(found["taken"] / found["arrays"])
                sliced.append(found["sliced"] / found["arrays"])
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):  # of another worker, or damaged
            continue
    if not count:
        return None
    settings = recipe.distillation
    teacher = str(settings.teacher) if settings is not None and settings.short else ""
    shares = mean(whole or [0.0]), mean(sliced or [0.0])
    return Learned(recipe.search.transfer, teacher, count, len(whole), *shares, taught)


def learned_html(found: Learned | None) -> str:
    """A paragraph for each way of learning; empty where there is nothing to tell."""
    if found is None:
        return ""
    parts = []
    if found.transfer != "off":
        shares = f": on average {found.whole:.0%} of their arrays whole, {found.sliced:.0%} in part"
        taken = shares if found.began else ""
        parts.append(
            f'<p class="facts" id="transfer">Transfer ({escape(found.transfer)}): {found.began} of {found.candidates} '
            f"candidates began with weights of finished trials{taken}. Their accuracies hold what earlier trials "
            "learned, so later ones have an advantage over earlier ones.</p>"
        )
    if found.taught:
        which = "the best trial so far" if found.teacher == "best" else f"trial {escape(found.teacher)}"
        parts.append(
            f'<p class="facts" id="distillation">Distillation: {found.taught} of {found.candidates} candidates learned '
            f"from {which} beside the labels.</p>"
        )
    return "".join(parts)
