"""``log.jsonl``: what happened in a run and when, one JSON object per line, only ever appended to."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgenas.spaces.errors import WorkError


class RunLog:
    """Appends events to a file: ``{"time_utc": ..., "event": ..., ...}``.

    A line that a crash cut off stays behind as it is; :func:`read_log` skips it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def event(self, event: str, **fields: Any) -> None:
        """Writes one event with the time. Raises WorkError when the file cannot be written."""
        record = {"time_utc": datetime.now(timezone.utc).isoformat(timespec="milliseconds"), "event": event, **fields}
        line = json.dumps(record, default=str) + "\n"
        try:
            with self.path.open("ab") as file:
                if file.tell() and not self._ends_with_newline():
                    line = "\n" + line
                file.write(line.encode())
        except OSError as error:
            raise WorkError(f"{self.path}: cannot be written ({error.strerror}); free space, then --resume") from error

    def _ends_with_newline(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


def read_log(path: Path) -> list[dict[str, Any]]:
    """The events of a log in order, without lines that are not whole."""
    events = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            events.append(record)
    return events
