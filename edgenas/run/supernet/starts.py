"""Weights that the short trainings of a one-shot search begin with: what each network inherits of the supernet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgenas.recipe.recipe import Recipe

if TYPE_CHECKING:
    from edgenas.run.context import RunContext


@dataclass(frozen=True)
class InheritedStarts:
    """Reads, in a worker process, the trained supernet of the run in a folder."""

    recipe: Recipe
    folder: Path

    def __call__(self) -> Callable[[str], Mapping[str, np.ndarray]]:
        from edgenas.run.context import RunContext
        from edgenas.run.folder import RunFolder
        from edgenas.run.progress import Progress
        from edgenas.run.supernet.trained import inherited_weights

        context = RunContext(self.recipe, RunFolder(self.folder), Progress(quiet=True))
        return lambda architecture: inherited_weights(context, architecture)


def short_training_starts(context: RunContext) -> InheritedStarts | None:
    """What short trainings begin with; None: random weights."""
    section = context.recipe.supernet
    if section is None or not section.inherits:
        return None
    return InheritedStarts(context.recipe, context.folder.path)
