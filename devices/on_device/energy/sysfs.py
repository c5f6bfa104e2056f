"""Small files of the system's tree under ``/sys``, or of a tree elsewhere that looks like it."""

from __future__ import annotations

import glob
import os


def paths(root: str, pattern: str) -> list[str]:
    """Files or folders that match, sorted; ``pattern`` is relative to ``root``."""
    return sorted(glob.glob(os.path.join(glob.escape(root), pattern)))


def text(path: str) -> str | None:
    """The stripped content, or None when it cannot be read."""
    try:
        with open(path) as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return None


def number(path: str) -> float | None:
    """The number in a file, or None."""
    try:
        return float(text(path) or "")
    except ValueError:
        return None
