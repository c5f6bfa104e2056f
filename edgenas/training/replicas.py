"""Several devices that share the examples of a step, by ``tf.distribute.MirroredStrategy``.

Every device computes the gradient of its share; the state of the training stays in one place and is moved once, by the
mean. Batch norms use the statistics of the whole batch. So the result is that of one device, but for rounding, and for
dropout, which draws the same on all devices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edgenas.data.examples import tree_map
from edgenas.export._tensorflow import tensorflow
from edgenas.spaces.errors import InputError


def training_devices(gpus: int | None, batch_size: int, owner: str = "training") -> tuple[str, ...]:
    """Names of the GPUs that share batches of this size; empty where one device does all.

    None takes as many of those that TensorFlow sees as divide the batch. Raises InputError naming the key when so many
    are not there, or do not divide the batch.
    """
    visible = visible_gpus(gpus, owner)
    if gpus is not None and batch_size % gpus:
        raise InputError(f"{owner}.gpus: {gpus} GPUs do not divide a batch of {batch_size}; change {owner}.batch_size")
    count = next((count for count in range(len(visible), 1, -1) if batch_size % count == 0), 0)
    return visible[:count]


def visible_gpus(gpus: int | None, owner: str = "training") -> tuple[str, ...]:
    """Names of so many of the GPUs that TensorFlow sees, of all where None; empty where one device does all.

    Raises InputError naming the key when so many are not there.
    """
    visible = [device.name for device in tensorflow().config.list_logical_devices("GPU")]
    count = len(visible) if gpus is None else gpus
    if count > max(1, len(visible)):
        raise InputError(f"{owner}.gpus: {count} are wanted, TensorFlow sees {len(visible)} here; use fewer, or null")
    return tuple(visible[:count]) if count > 1 else ()


class Replicas:
    """Runs a function of a batch on every device with its share of the examples.

    Args:
        devices: at least two, such as ``GPU:0``; they must divide the batch.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        self.count = len(devices)
        self.strategy = tensorflow().distribute.MirroredStrategy(list(devices))

    def prepare(self, model: Any) -> None:
        """Makes the batch norms of a model use the statistics of all devices' examples."""
        for layer in model.layers:
            if hasattr(layer, "synchronized"):
                layer.synchronized = True

    def mean(self, function: Callable[..., Sequence[Any]], batch: Any, *rest: Any) -> list[Any]:
        """Means over the devices of what a function of (share of the batch, rest) puts out; part of a graph."""
        tf = tensorflow()

        def share(values: Any) -> Any:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            size = values.shape[0] // self.count
            return tf.slice(values, [replica * size] + [0] * (len(values.shape) - 1), [size, *values.shape[1:]])

        found = self.strategy.run(lambda *given: function(tree_map(share, given[0]), *given[1:]), (batch, *rest))
        return [self._mean(value) for value in found]

    def _mean(self, value: Any) -> Any:
        first = self.strategy.experimental_local_results(value)[0]
        if first.dtype.is_floating:
            return self.strategy.reduce(tensorflow().distribute.ReduceOp.MEAN, value, axis=None)
        return first  # a counter, alike everywhere
