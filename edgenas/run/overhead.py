"""What a search costs besides its evaluations: CPU seconds for suggestions, and for keeping the study.

Counted in the process that leads the search; workers evaluate in processes of their own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

#: The log tells the cost of so many trials at a time.
LOGGED_TRIALS = 100


class SearchOverhead:
    """Adds up CPU seconds, from when it is made.

    Args:
        earlier: what :meth:`to_json` gave in an earlier, interrupted call.
    """

    def __init__(self, earlier: Mapping[str, Any] | None = None) -> None:
        found = earlier or {}
        self._trials = int(found.get("trials", 0))
        self._suggest_seconds = float(found.get("suggest_seconds", 0.0))
        self._bookkeeping_seconds = float(found.get("bookkeeping_seconds", 0.0))
        self._since = time.process_time()
        self._suggesting = 0.0
        self._told = (self._trials, self._suggest_seconds, self._bookkeeping_seconds)

    @contextmanager
    def suggesting(self) -> Iterator[None]:
        """What happens inside is a suggestion."""
        start = time.process_time()
        try:
            yield
        finally:
            self._suggesting += time.process_time() - start

    def count(self, trials: int = 1) -> None:
        """So many trials more were started; all that was done since the last call was for them."""
        now = time.process_time()
        self._bookkeeping_seconds += now - self._since - self._suggesting
        self._suggest_seconds += self._suggesting
        self._since, self._suggesting = now, 0.0
        self._trials += trials

    def to_json(self) -> dict[str, Any]:
        """``{"trials", "suggest_seconds", "bookkeeping_seconds"}``, totals in CPU seconds."""
        self.count(0)
        return {
            "trials": self._trials,
            "suggest_seconds": round(self._suggest_seconds, 4),
            "bookkeeping_seconds": round(self._bookkeeping_seconds, 4),
        }

    def lately(self) -> dict[str, Any] | None:
        """The same for the trials since it was last told; None while they are fewer than :data:`LOGGED_TRIALS`."""
        trials, suggest, bookkeeping = self._told
        if self._trials - trials < LOGGED_TRIALS:
            return None
        self._told = (self._trials, self._suggest_seconds, self._bookkeeping_seconds)
        return {
            "after": self._trials,
            "trials": self._trials - trials,
            "suggest_seconds": round(self._suggest_seconds - suggest, 4),
            "bookkeeping_seconds": round(self._bookkeeping_seconds - bookkeeping, 4),
        }


def overhead_words(found: Mapping[str, Any]) -> str:
    """One sentence for people; empty when nothing was counted.

    >>> overhead_words({"trials": 200, "suggest_seconds": 2.0, "bookkeeping_seconds": 9.0})
    'a trial took 0.010 s of CPU to suggest and 0.045 s to keep the record'
    """
    trials = int(found.get("trials", 0))
    if not trials:
        return ""
    suggest, bookkeeping = (float(found.get(f"{name}_seconds", 0.0)) / trials for name in ("suggest", "bookkeeping"))
    return f"a trial took {suggest:.3f} s of CPU to suggest and {bookkeeping:.3f} s to keep the record"
