"""Candidates on devices that can say of a whole network what it costs, before anybody trains it.

A vendor's compiler answers in tens of milliseconds, so a candidate that a table flattered is not trained at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgenas.devices.measurement import Measurement
from edgenas.spaces.errors import WorkError
from edgenas.study.cost_names import MEMORY_COSTS
from edgenas.study.objectives import within

if TYPE_CHECKING:
    from edgenas.run.context import RunContext


def whole_costs(context: RunContext, architecture: str) -> dict[str, float]:
    """What the whole network costs on such devices of a run, by the cost's name; nothing where there are none.

    The arena of the microcontrollers' interpreter too, where it is budgeted. Raises WorkError when a device, or that
    interpreter, cannot run it.
    """
    devices = [device for device in context.devices if device.device.tells_shares]
    asks_arena = "arena_bytes" in context.recipe.limits
    if not devices and not asks_arena:
        return {}
    from edgenas.export.tflite.flatbuffer import write_tflite

    network = context.space.decode(context.space.parse(architecture))
    model = write_tflite(network.graph, context.precision)
    costs: dict[str, float] = {}
    if asks_arena:
        from edgenas.export.micro.interpreter import allocate

        costs["arena_bytes"] = allocate(model).total_bytes
    for device in devices:
        outcome = device.device.measure_many({architecture: model})[architecture]
        if not isinstance(outcome, Measurement):
            raise WorkError(str(outcome))
        found = {"latency_ms": outcome.median} | {name: outcome.memory[name] for name in MEMORY_COSTS}
        costs |= {context.recipe.cost_name(cost, device.name): value for cost, value in found.items()}
    return costs


def over_budget(costs: Mapping[str, float], budget: Mapping[str, float]) -> str:
    """What of these is over the budget, in words; empty when nothing is.

    >>> over_budget({"sram_bytes": 300.0, "latency_ms": 1.0}, {"sram_bytes": 200, "macs": 5})
    'compiled as a whole, its sram_bytes is 300, over the budget of 200'
    """
    over = [
        f"its {name} is {costs[name]:.6g}, over the budget of {limit:.6g}"
        for name, limit in budget.items()
        if name in costs and not within(costs, {name: limit})
    ]
    return f"compiled as a whole, {' and '.join(over)}" if over else ""
