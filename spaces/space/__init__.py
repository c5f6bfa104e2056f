"""Search spaces: from YAML over positions and decisions to populations and their costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgenas.spaces.space.search_space import SearchSpace

__all__ = ["SearchSpace"]


def __getattr__(name: str) -> Any:
    if name == "SearchSpace":  # needs NumPy and YAML, which the command line's help should not wait for
        from edgenas.spaces.space.search_space import SearchSpace

        return SearchSpace
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
