"""How long a candidate may take before it counts as hanging.

Without a limit in the recipe it follows the trials that have finished: ten times the slowest one, at least
:data:`SHORTEST_SECONDS`. Before the first has finished nothing is known, so it is :data:`FIRST_SECONDS`, and twice as
much for every candidate that ran out of it: a search whose every candidate takes long gets going by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

FACTOR = 10.0
SHORTEST_SECONDS = 120.0
FIRST_SECONDS = 3600.0
_MOST_DOUBLINGS = 10


@dataclass
class TimeLimit:
    """The limit as of now, which finished trials move.

    >>> limit = TimeLimit()
    >>> limit.seconds, limit.finished(90.0), limit.seconds
    (3600.0, None, 900.0)
    """

    fixed_seconds: float | None = None
    slowest_seconds: float | None = None
    expired: int = 0

    @property
    def seconds(self) -> float:
        """What a candidate may take, with the start of its worker."""
        if self.fixed_seconds is not None:
            return self.fixed_seconds
        if self.slowest_seconds is None:
            return float(FIRST_SECONDS * 2 ** min(self.expired, _MOST_DOUBLINGS))
        return max(FACTOR * self.slowest_seconds, SHORTEST_SECONDS)

    def finished(self, seconds: float) -> None:
        """A trial came to a result after so many seconds."""
        self.slowest_seconds = max(self.slowest_seconds or 0.0, seconds)

    def explain(self) -> str:
        """Where the limit comes from, and how to change it."""
        if self.fixed_seconds is not None:
            return "search.time_limit_seconds"
        if self.slowest_seconds is None:
            return "the limit until a first trial has finished; search.time_limit_seconds sets another"
        return f"the slowest trial took {self.slowest_seconds:.3g} s; search.time_limit_seconds sets another limit"
