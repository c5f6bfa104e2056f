"""A package that only some use: its version where it is installed, else one line that says how to install it."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from functools import cache

from edgenas.spaces.errors import InputError


@dataclass(frozen=True)
class OptionalPackage:
    """``name`` on the package index, ``extra`` of ours that brings it, and ``what`` it is to its users."""

    name: str
    extra: str
    what: str

    @property
    def how_to_install(self) -> str:
        """The command."""
        return f"pip install 'edgenas[{self.extra}]'"

    @property
    def version(self) -> str | None:
        """The version that is installed, or None."""
        return _version(self.name)

    def require(self) -> str:
        """The version that is installed. Raises InputError with what to install where there is none."""
        version = self.version
        if version is None:
            raise InputError(f"{self.what} ({self.name}) is not installed: {self.how_to_install}")
        return version


@cache
def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
