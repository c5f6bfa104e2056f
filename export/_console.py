"""Keeping native libraries quiet: what C++ code writes to the console goes past Python's own streams."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from typing import BinaryIO


@contextlib.contextmanager
def quiet_console() -> Iterator[BinaryIO]:
    """Sends standard output and error, down to the file descriptors, into the temporary file that is yielded.

    Python warnings and absl's log are off as well. Everything is put back at the end. For short calls into
    TensorFlow only: other threads that print meanwhile are not seen either.
    """
    _flush()
    absl = logging.getLogger("absl")
    level = absl.level
    saved = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as log, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        absl.setLevel(logging.ERROR)
        try:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            yield log
        finally:
            _flush()
            for target, source in enumerate(saved, start=1):
                os.dup2(source, target)
                os.close(source)
            absl.setLevel(level)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # a stream may be closed or replaced; that is not ours to report
            stream.flush()
