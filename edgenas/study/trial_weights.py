"""Trained weights of trials by number: in the run's folder, behind an interface that another store can have."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgenas.data.npz import read_arrays
from edgenas.export.files import write_atomically
from edgenas.spaces.errors import InputError

_FACTS = "facts"
_FILE = "weights.npz"


@dataclass(frozen=True)
class SavedWeights:
    """What a trial has learned: arrays by the name of their variable, and its validation loss."""

    arrays: Mapping[str, np.ndarray]
    loss: float


class TrialWeights(Protocol):
    """Where the weights of trials are. Each is written once, whole or not at all, and read by any process."""

    def save(self, number: int, weights: SavedWeights) -> None:
        """Keeps a trial's weights; those of an earlier attempt are replaced."""

    def load(self, number: int) -> SavedWeights | None:
        """A trial's weights; None where they are not kept, or cannot be read."""

    def has(self, number: int) -> bool:
        """Whether they are there; nothing is read."""

    def prune(self, keep: Collection[int]) -> None:
        """Deletes all weights but those of these trials."""


@dataclass(frozen=True)
class FolderWeights:
    """In ``FOLDER/<number>/weights.npz``, beside what else a trial leaves there."""

    folder: Path

    def _path(self, number: int) -> Path:
        return self.folder / str(number) / _FILE

    def save(self, number: int, weights: SavedWeights) -> None:
        """Raises WorkError when the disk does not take it."""
        facts: dict[str, Any] = {_FACTS: np.array(json.dumps({"loss": weights.loss}))}
        buffer = io.BytesIO()
        np.savez(buffer, **facts, **weights.arrays)  # type: ignore[arg-type]
        write_atomically(self._path(number), buffer.getvalue())

    def load(self, number: int) -> SavedWeights | None:
        path = self._path(number)
        if not path.is_file():
            return None
        try:
            arrays = dict(read_arrays(path))
            loss = float(json.loads(str(arrays.pop(_FACTS)))["loss"])
        except (InputError, OSError, KeyError, TypeError, ValueError):  # damaged, or pruned this moment
            return None
        return SavedWeights(arrays, loss)

    def has(self, number: int) -> bool:
        return self._path(number).is_file()

    def prune(self, keep: Collection[int]) -> None:
        for path in self.folder.glob(f"*/{_FILE}"):
            if path.parent.name.isdigit() and int(path.parent.name) not in keep:
                with contextlib.suppress(OSError):
                    path.unlink()
