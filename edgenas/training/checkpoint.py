"""One file per training that is replaced after every epoch: arrays and the little else that resuming needs."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.data.examples import Examples
from edgenas.data.npz import read_arrays
from edgenas.export.files import write_atomically
from edgenas.spaces.errors import InputError

_FACTS = "facts"


@dataclass(frozen=True)
class Checkpoint:
    """State after ``epoch`` epochs and ``step`` steps; ``fingerprint`` names the training it belongs to."""

    epoch: int
    step: int
    seconds: float
    history: tuple[Mapping[str, Any], ...]
    fingerprint: str
    arrays: Mapping[str, np.ndarray]


def checkpoint_path(folder: Path) -> Path:
    return folder / "checkpoint.npz"


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes the checkpoint whole or not at all. Raises WorkError when the disk does not take it."""
    facts = {
        "epoch": checkpoint.epoch,
        "step": checkpoint.step,
        "seconds": checkpoint.seconds,
        "history": list(checkpoint.history),
        "fingerprint": checkpoint.fingerprint,
    }
    buffer = io.BytesIO()
    np.savez(buffer, **{_FACTS: np.array(json.dumps(facts))}, **checkpoint.arrays)  # type: ignore[arg-type]
    write_atomically(checkpoint_path(folder), buffer.getvalue())


def load_checkpoint(folder: Path, fingerprint: str) -> Checkpoint | None:
    """The checkpoint in a folder, None when there is none.

    Raises InputError when it cannot be read or belongs to another training (other network, data, settings or seed).
    """
    path = checkpoint_path(folder)
    if not path.exists():
        return None
    try:
        arrays = dict(read_arrays(path))
    except InputError as error:
        raise InputError(f"{path}: a damaged checkpoint; delete it to train anew ({error})") from None
    try:
        facts = json.loads(str(arrays.pop(_FACTS)))
        checkpoint = Checkpoint(
            int(facts["epoch"]),
            int(facts["step"]),
            float(facts["seconds"]),
            tuple(facts["history"]),
            str(facts["fingerprint"]),
            arrays,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a checkpoint of a training ({error!r}); delete it to train anew") from None
    if checkpoint.fingerprint != fingerprint:
        raise InputError(
            f"{path}: of a training with another network, data, settings or seed; delete it, or use another folder, "
            "to train anew"
        )
    return checkpoint


def training_fingerprint(facts: Mapping[str, Any], examples: Examples) -> str:
    """Short text that differs when the settings (as plain data) or the training examples differ."""
    text = json.dumps({**facts, "images": examples.checksum()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
