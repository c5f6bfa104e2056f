"""Fills a disk to the last bytes at a given step of a run. The disk is a small one of its own: never that of a user."""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from pathlib import Path

#: Environment variable: ``POINT:FREE_BYTES:FOLDER``.
VARIABLE = "FAULTS_FILL"
#: A disk that is larger than this is not filled: it is not the small one that was made for it.
LARGEST_BYTES = 1 << 30


@dataclass(frozen=True)
class Filling:
    """When the step named ``point`` begins, the disk of ``folder`` is filled until ``free_bytes`` are left."""

    point: str
    free_bytes: int
    folder: Path

    @classmethod
    def from_environment(cls) -> Filling:
        point, free, folder = os.environ[VARIABLE].split(":", 2)
        return cls(point, int(free), Path(folder))

    def to_environment(self) -> dict[str, str]:
        return {VARIABLE: f"{self.point}:{self.free_bytes}:{self.folder}"}

    @property
    def path(self) -> Path:
        """The file that takes the space; delete it to have the space again."""
        return self.folder / ".filler"

    def fill(self) -> None:
        facts = os.statvfs(self.folder)
        if facts.f_blocks * facts.f_frsize > LARGEST_BYTES:
            raise ValueError(f"{self.folder} is on a disk of more than {LARGEST_BYTES:,} bytes: not filled")
        with self.path.open("ab") as file:
            while (room := self._free() - self.free_bytes) > 0:
                try:
                    file.write(bytes(min(room, 1 << 20)))
                    file.flush()
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    break

    def release(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def _free(self) -> int:
        facts = os.statvfs(self.folder)
        return facts.f_bavail * facts.f_frsize
