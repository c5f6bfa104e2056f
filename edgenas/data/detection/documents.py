"""Text files of annotations, read so that a damaged one is told in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_regular_file
from edgenas.spaces.text import one_line

#: The largest file of annotations that is read; COCO's largest has 0.5 GB.
_MOST_BYTES = 2 * 10**9


def read_text(path: Path, what: str, most: int = _MOST_BYTES) -> str:
    """The text of a file. Raises InputError naming it when it cannot be read, is too large, or is not UTF-8."""
    return read_content(path, what, most).decode("utf-8-sig", errors="surrogateescape")


def read_content(path: Path, what: str, most: int = _MOST_BYTES) -> bytes:
    """The bytes of a file. Raises InputError naming it."""
    state = check_regular_file(path, what)
    if state.st_size > most:
        raise InputError(f"{path}: {state.st_size:,} bytes are too many for {what} (at most {most:,})")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read as {what} ({error.strerror})") from None


def read_json(path: Path) -> Any:
    """The document in a JSON file. Raises InputError naming it and the place."""
    try:
        return json.loads(read_text(path, "annotations"))
    except (ValueError, RecursionError) as error:
        raise InputError(one_line(f"{path}: not a JSON document ({error}); make it anew")) from None
