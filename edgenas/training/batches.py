"""The batches of a training: the same for the same seed, from memory or from a disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from edgenas.data.augmentation import Augmentation
from edgenas.data.examples import Examples, Tree
from edgenas.tasks.task import Task

Batch = tuple[dict[str, np.ndarray], Tree]
#: Batches that are made ahead while the network learns, where they come from a disk.
_AHEAD = 2


class Batches:
    """Batches of ``batch_size`` examples in a random order of each epoch, changed by the task's augmentation.

    Args:
        examples: at least ``batch_size``.
        task: of the augmentation, and of the preparation where that is no part of the training step.
        preprocessing: for the preparation.
        batch_size: the last, smaller batch of an epoch is left out.
        seed: of order and changes; each epoch has a stream of its own, so any epoch can be repeated alone.
    """

    def __init__(self, examples: Examples, task: Task, preprocessing: Any, *, batch_size: int, seed: int) -> None:
        self.examples, self.task, self.preprocessing = examples, task, preprocessing
        self.batch_size, self.seed = batch_size, seed
        #: Whether the training step prepares raw inputs itself; else the batches are prepared already.
        self.raw = type(task).prepare_tensors is not Task.prepare_tensors

    def epoch(self, index: int, count: int, augmentation: Augmentation) -> Iterator[Batch]:
        """The first ``count`` batches of an epoch."""
        made = self._made(index, count, augmentation)
        return _made_ahead(made) if self.examples.streamed else made

    def _made(self, index: int, count: int, augmentation: Augmentation) -> Iterator[Batch]:
        rng = np.random.default_rng([self.seed, index])
        order = rng.permutation(len(self.examples))
        for place in range(count):
            chosen = order[place * self.batch_size : (place + 1) * self.batch_size]
            inputs, targets = self.task.augment(*self.examples.batch(chosen), augmentation, rng)
            yield (inputs if self.raw else self.task.prepare(inputs, self.preprocessing)), targets


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def _made_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, made in a thread of their own while the ones before are used."""
    ready: queue.Queue[Any] = queue.Queue(maxsize=_AHEAD)
    ended = threading.Event()

    def put(item: Any) -> None:
        while not ended.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def make() -> None:
        try:
            for batch in batches:
                put(batch)
                if ended.is_set():
                    return
            put(None)
        except BaseException as error:
            put(_Failure(error))

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, _Failure):
                raise item.error
            yield item
    finally:
        ended.set()
        thread.join()
