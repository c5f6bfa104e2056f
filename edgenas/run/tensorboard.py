"""Scalars for TensorBoard, in ``RUN/tensorboard/NAME``: what a training says while it goes on.

Off unless the recipe asks for it (``tensorboard: true``). The files are TensorBoard's own event files; TensorBoard
itself is not needed to write them, and not installed with EdgeNAS.
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edgenas.export._tensorflow import tensorflow

if TYPE_CHECKING:
    from edgenas.run.context import RunContext


def scalar_log(context: RunContext, name: str, step: int = 0) -> ScalarLog:
    """The log of one training of a run, which goes on at a step; one that keeps nothing where the recipe wants none."""
    return ScalarLog(context.folder.path / "tensorboard" / name if context.recipe.tensorboard else None, step)


class ScalarLog:
    """Numbers by name and step. A context manager; the file is begun with the first number.

    Args:
        folder: for event files; None keeps nothing.
        step: where the training goes on; TensorBoard drops later numbers of an earlier, interrupted part.
    """

    def __init__(self, folder: Path | None, step: int = 0) -> None:
        self.folder, self.step = folder, step
        self._writer: Any = None

    def __enter__(self) -> ScalarLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, step: int, values: Mapping[str, float | None]) -> None:
        """Adds the numbers of a step; those that are None or not finite are left out."""
        known = {name: value for name, value in values.items() if value is not None and math.isfinite(value)}
        if self.folder is None or not known:
            return
        summary = tensorflow().compat.v1.Summary
        found = [summary.Value(tag=name, simple_value=value) for name, value in known.items()]
        self._add(step, summary=summary(value=found))

    def _add(self, step: int, **content: Any) -> None:
        v1 = tensorflow().compat.v1
        if self._writer is None:
            self._writer = self._opened()
            self._add(0, file_version="brain.Event:2")
            if self.step:
                self._add(self.step, session_log=v1.SessionLog(status=v1.SessionLog.START))
        self._writer.write(v1.Event(wall_time=time.time(), step=step, **content).SerializeToString())
        self._writer.flush()

    def _opened(self) -> Any:
        assert self.folder is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        return tensorflow().io.TFRecordWriter(str(self.folder / name))
