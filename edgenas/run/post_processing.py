"""What stands behind a network in a device's file, and what that costs there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.spaces.errors import EdgeNASError

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.run.device import RunDevice
    from edgenas.run.device_figures import DeviceFigures
    from edgenas.spaces.entry import SlotEntry
    from edgenas.spaces.network import Network

#: Networks that are asked what they put out.
_NETWORKS = 8


def is_wanted(context: RunContext, device: RunDevice) -> bool:
    """Whether the device's file is to end in the task's post-processing."""
    given = context.recipe.export.post_processing
    wanted = device.device.post_processing if given == "auto" else given
    return wanted == "operator"


def with_tail(
    context: RunContext, device: RunDevice, model: bytes, network: Network, preprocessing: Any = None
) -> bytes:
    """A model file as the device's will be: with post-processing behind it, if that is wanted there."""
    return context.task.deployed(model, network, preprocessing) if is_wanted(context, device) else model


def block_behind(context: RunContext, device: RunDevice) -> SlotEntry | None:
    """What the device's file will have behind every network of the run's space, as a latency table has it.

    Where networks differ in what it reads (their anchors), it is that of the largest of a few.
    """
    if not is_wanted(context, device):
        return None
    rows = context.space.sample(np.random.default_rng(0), _NETWORKS)
    found = [context.task.deployed_block(context.space.decode(row)) for row in rows]
    blocks = [block for block in found if block is not None]
    return max(blocks, key=lambda block: math.prod(block.input_shapes[-1]), default=None)


def describe_behind(device: RunDevice) -> str:
    """One line about what the device's file has behind the network, as predictions know it; empty where nothing is."""
    if device.behind is None or device.known_table is None:
        return ""
    what = f"post-processing in the file of {device.name}"
    if device.behind_ms is None:
        return f"{what}: its cost is not in the table, so predictions are without it; candidates are measured with it"
    known = device.table.provenance.kind
    return f"{what}: {device.behind_ms:.4g} ms ({known}, with no box to suppress), which is in every prediction"


def post_processing_costs(
    context: RunContext, figures: DeviceFigures, network: Network, preprocessing: Any
) -> dict[str, Any]:
    """``{"in_file", "with_ms", "without_ms", "kind"}``: medians of the shipped file and of its other form there.

    Empty for tasks without post-processing, and where the device does not take the other form.
    """
    from edgenas.export.tflite.post_processing import without_post_processing

    in_file = is_wanted(context, figures.device)
    try:
        if in_file:
            other = without_post_processing(figures.model)
        else:
            other = context.task.deployed(figures.model, network, preprocessing)
        if other == figures.model:
            return {}
        median = figures.device.device.measure(other, threads=figures.device.threads).median
    except EdgeNASError as error:
        context.log.event("not_measured", device=figures.name, what="post-processing", why=str(error))
        return {}
    shipped = figures.measurement.median
    both = (shipped, median) if in_file else (median, shipped)
    return {"in_file": in_file, "with_ms": both[0], "without_ms": both[1], "kind": figures.latency_kind}
