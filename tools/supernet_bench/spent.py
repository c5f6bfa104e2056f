"""Processor seconds of the parts of a comparison, kept in a file, so that an interrupted one goes on counting.

Wall-clock time would say how busy the machine was, which is not the same for one contender as for the next.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgenas.export.files import write_atomically


class Spent:
    """Seconds by name of what they were spent on; those of finished child processes count too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds: dict[str, float] = json.loads(path.read_text()) if path.is_file() else {}

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Adds what the body takes, also when it is interrupted."""
        start = _processor_seconds()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + _processor_seconds() - start
            write_atomically(self.path, json.dumps(self.seconds, indent=1) + "\n")


def _processor_seconds() -> float:
    found = os.times()
    return found.user + found.system + found.children_user + found.children_system
