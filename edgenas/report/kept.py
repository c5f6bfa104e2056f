"""What a run keeps of how the exported file did on the test examples: read only where it is of the bundle's file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_kept(path: Path, checksums: Mapping[str, str]) -> dict[str, Any] | None:
    """A document of the form 1; None when it is of another file than those of the bundle.

    ``checksums`` are those of the bundle's files. Raises KeyError, TypeError or ValueError when it is something else.
    """
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if document["format"] != 1:
        raise ValueError(f"format {document['format']!r} found, expected 1")
    return None if checksums and document["model_sha256"] not in checksums.values() else document
