"""Reading what the command line names, with errors that say which file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgenas.spaces.errors import InputError


def read_model(path: Path) -> bytes:
    """The bytes of a model file. Raises InputError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); expected a .tflite file") from None


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Puts the file's name before the message of an InputError."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
