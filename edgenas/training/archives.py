"""Files of Keras, before Keras reads them."""

from __future__ import annotations

import zipfile
from pathlib import Path

from edgenas.spaces.errors import InputError


def check_archive(path: Path, key: str) -> None:
    """Raises InputError, naming the recipe's key, for a file that is no .keras archive: Keras says it is not there."""
    if not zipfile.is_zipfile(path):
        raise InputError(f"{key}: {path}: is no .keras archive, or cut off; save the model again")
