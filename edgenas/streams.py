"""Standard output and standard error that outlive their reader.

Who reads them may leave at any time (``| head``, a closed terminal) and that is no reason to end hours of work: what
is written from then on is dropped.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import TextIO, cast

from edgenas.spaces.errors import WorkError

_READER_IS_GONE = (errno.EPIPE, errno.EIO, errno.ECONNRESET, errno.EBADF)


def keep_streams_open() -> None:
    """Replaces ``sys.stdout`` and ``sys.stderr`` by streams that drop what nobody can read any more.

    A full disk behind standard output raises WorkError, once: the data that were asked for are not there. Streams
    that are no files, as in tests, stay what they are.
    """
    sys.stdout = _patient(sys.stdout, must_arrive=True)
    sys.stderr = _patient(sys.stderr, must_arrive=False)


class _PatientFile(io.FileIO):
    """A file descriptor whose writing fails at most once."""

    def __init__(self, descriptor: int, must_arrive: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._must_arrive = must_arrive
        self._broken = False

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]
        size = memoryview(data).nbytes
        if self._broken:
            return size
        try:
            return super().write(data) or 0
        except OSError as error:
            self._broken = True
            if self._must_arrive and error.errno not in _READER_IS_GONE:
                raise WorkError(f"standard output cannot be written ({error.strerror})") from None
            return size


def _patient(stream: TextIO | None, must_arrive: bool) -> TextIO:
    if stream is None:  # closed by whoever started us
        return open(os.devnull, "w", encoding="utf-8")
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return stream
    if isinstance(getattr(getattr(stream, "buffer", None), "raw", None), _PatientFile):
        return stream
    with contextlib.suppress(OSError):
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(cast(io.RawIOBase, _PatientFile(descriptor, must_arrive))),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=not must_arrive or stream.isatty(),
    )
