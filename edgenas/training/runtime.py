"""How TensorFlow is set up for many short trainings: determinism, cheap graphs, precision, memory."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

from edgenas.export._tensorflow import keras, tensorflow


def set_determinism(seed: int) -> None:
    """Makes TensorFlow's ops deterministic for the rest of the process, and seeds what reads global seeds.

    :func:`edgenas.training.train` needs no global seed. On a CPU its results repeat without this for a fixed number
    of threads; on GPUs this call is what makes them repeat.
    """
    keras().utils.set_random_seed(seed)
    tensorflow().config.experimental.enable_op_determinism()


@contextlib.contextmanager
def light_graphs() -> Iterator[None]:
    """Graphs first run inside are not passed through TensorFlow's graph optimizer.

    It costs about a second per network, more than it saves in a short training: the CPU kernels are fused by another
    pass, and the graphs here hold nothing redundant.
    """
    options = tensorflow().config.optimizer
    before = options.get_experimental_options().get("disable_meta_optimizer", False)
    options.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        options.set_experimental_options({"disable_meta_optimizer": before})


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Layers built inside compute in this Keras dtype policy."""
    config = keras().config
    before = config.dtype_policy()
    config.set_dtype_policy(name)
    try:
        yield
    finally:
        config.set_dtype_policy(before)


def release_graphs() -> None:
    """Frees the graphs of models that are no longer used: they hold each other in cycles."""
    keras().backend.clear_session(free_memory=False)
    gc.collect()
