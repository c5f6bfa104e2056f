"""The journal of a profile that is under way: every visit is on disk soon after it happened.

One JSON line per visit, after a first line that says what is measured and how. A process that is killed loses at most
its last lines; the next profile of the same device and protocol goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from edgenas.latency.measure.operator_visits import OperatorVisit
from edgenas.latency.measure.visits import Visit, Visits
from edgenas.spaces.errors import WorkError


class Journal:
    """An open journal; use as a context manager. A journal of another ``identity`` is started anew."""

    def __init__(self, path: Path, identity: Mapping[str, str]) -> None:
        self.path = path
        self._first_line = json.dumps({"journal": 1, **identity}, sort_keys=True)

    def __enter__(self) -> Journal:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lines = self._read()
            # Rewritten without the half line that a kill may have left.
            self._file: IO[str] = self.path.open("w", encoding="utf-8")
            self._file.write("\n".join([self._first_line, *self._lines]) + "\n")
            self._file.flush()
        except OSError as error:
            raise WorkError(f"{self.path}: cannot be written ({error.strerror}); nothing was measured") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _read(self) -> list[str]:
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
        if lines[0] != self._first_line:
            return []
        return [line for line in lines[1:] if _parse(line) is not None]

    def restore(self, visits: Visits) -> int:
        """Adds what was measured before to ``visits``; returns how many visits that was."""
        for line in self._lines:
            parsed = _parse(line)
            if parsed is not None:
                visits.add(*parsed)
        return len(self._lines)

    def add(self, name: str, visit: Visit) -> None:
        """Writes one visit. Raises WorkError when the disk is full; what was measured before stays."""
        try:
            self._file.write(json.dumps([name, _plain(visit)]) + "\n")
            self._file.flush()
        except OSError as error:
            raise WorkError(
                f"{self.path}: cannot be written ({error.strerror}); what was measured before is kept: make room and "
                f"give the same command again"
            ) from error

    def remove(self) -> None:
        """Deletes the file: its content is in the table."""
        self.path.unlink(missing_ok=True)


def _plain(visit: Visit) -> Any:
    return vars(visit) if isinstance(visit, OperatorVisit) else visit


def _parse(line: str) -> tuple[str, Visit] | None:
    """The visit of a line, or None for a line that was not written whole."""
    try:
        name, plain = json.loads(line)
        visit = _operators(**plain) if isinstance(plain, dict) else _chunks(plain)
    except (ValueError, TypeError):
        return None
    return (name, visit) if isinstance(name, str) else None


def _chunks(plain: Any) -> Visit:
    visit = tuple((float(sample), float(before), float(after)) for sample, before, after in plain)
    if not min(map(min, visit)) > 0:
        raise ValueError("times must be above 0")
    return visit


def _operators(anchors_ms: Any, operators_us: Any) -> Visit:
    visit = OperatorVisit(
        tuple((float(before), float(after)) for before, after in anchors_ms),
        tuple(tuple(map(int, run)) for run in operators_us),
    )
    if not visit.fastest_anchor_ms > 0 or len({len(run) for run in visit.operators_us} - {0}) != 1:
        raise ValueError("anchors must be above 0, and runs of the same operators")
    return visit
