"""What of a run is saved already, in words: for who interrupts it, and for who begins it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from edgenas.run.records import ExportRecord, ProfileRecord
from edgenas.spaces.errors import EdgeNASError

if TYPE_CHECKING:
    from edgenas.run.context import RunContext


def saved_words(context: RunContext) -> str:
    """``the latency table, 7 of 10 trials, the final training of trial 3 up to its last whole epoch``."""
    folder, trials = context.folder, context.folder.path / "trials"
    finals = {path.parent.parent.name for path in trials.glob("*/final/training.json")}
    begun = {path.parents[2].name for path in trials.glob("*/final/checkpoints/checkpoint.npz")} - finals
    words = []
    with suppress(EdgeNASError):  # a damaged state is told by who needs it
        if folder.read(ProfileRecord).done:
            words.append("the latency table")
    if count := sum(1 for _ in trials.glob("*/trial.json")):
        words.append(f"{count} of {max(count, context.recipe.trials)} trials")
    if finals:
        several = len(finals) > 1
        words.append(f"the final training{'s' * several} of trial{'s' * several} {', '.join(sorted(finals, key=int))}")
    words += [f"the final training of trial {number} up to its last whole epoch" for number in sorted(begun, key=int)]
    with suppress(EdgeNASError):
        if folder.read(ExportRecord).done:
            words.append("the bundle")
    return ", ".join(words) or "nothing that took long yet"
