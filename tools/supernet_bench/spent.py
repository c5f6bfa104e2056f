"""Processor seconds of the parts of a comparison, kept in files, so that an interrupted one goes on counting.

Wall-clock time would say how busy the machine was, which is not the same for one contender as for the next.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgenas.export.files import write_atomically


class Spent:
    """Seconds by name of what they were spent on, a file each; those of finished child processes count too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def seconds(self, name: str) -> float | None:
        """None where nothing was spent yet."""
        path = self._path(name)
        return float(path.read_text()) if path.is_file() else None

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Adds what the body takes, also when it is interrupted."""
        start = _processor_seconds()
        try:
            yield
        finally:
            taken = (self.seconds(name) or 0.0) + _processor_seconds() - start
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path(name), f"{taken:.2f}\n")

    def _path(self, name: str) -> Path:
        return self.folder / f"{name.replace(' ', '-')}.seconds"


def _processor_seconds() -> float:
    found = os.times()
    return found.user + found.system + found.children_user + found.children_system
