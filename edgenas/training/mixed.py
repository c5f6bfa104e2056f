"""Mixed precision for a trained network: its layers are judged by the task's own metric on held-out examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.data.examples import Examples
from edgenas.export.quantization.selective.settings import MixedSettings
from edgenas.spaces.network import Network
from edgenas.tasks.task import Task

if TYPE_CHECKING:
    from edgenas.export.quantization.selective.choice import Mixed

#: More would take longer than they tell: each layer is judged twice on them.
MOST_EXAMPLES = 1000


def mix_trained(
    network: Network,
    model: Any,
    calibration: Any,
    held_out: Examples,
    *,
    task: Task,
    preprocessing: Any,
    seed: int,
    settings: MixedSettings,
    all_of_them: bool = False,
    known: Mixed | None = None,
    on_layer: Callable[[int, int], None] | None = None,
) -> Mixed:
    """:func:`edgenas.export.quantization.mixed.mix` by the task's primary metric on at most :data:`MOST_EXAMPLES`.

    ``held_out`` are examples that were not trained on, and are not those of the test.
    """
    from edgenas.export.quantization.mixed import mix
    from edgenas.tasks.files import in_memory, network_inputs

    rows = np.arange(len(held_out))
    if len(rows) > MOST_EXAMPLES:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_EXAMPLES, replace=False))
    some = held_out.take(rows)
    inputs = [np.asarray(values[:]) for values in network_inputs(task, some, network, preprocessing)]
    targets, judge = in_memory(some.targets), task.for_network(network, preprocessing)

    def score(outputs: Sequence[np.ndarray]) -> float:
        return judge.score(targets, dict(zip(network.outputs, outputs, strict=True)))

    return mix(model, calibration, inputs, score, settings, all_of_them=all_of_them, known=known, on_layer=on_layer)
