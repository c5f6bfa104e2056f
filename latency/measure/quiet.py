"""The quiet latency: how long a model takes when nothing else disturbs the device.

A busy neighbour on the same physical core slows a model by 1.5 to 2.6, for tenths of a second to minutes, and no
counter of the system shows it. So the device visits all models in shuffled order, round after round in fresh
processes, and times a small reference model, the *anchor*, before and after every chunk of runs: it waits for quiet
moments, and what was not quiet is visited again (:mod:`edgenas.latency.measure.visits` says what counts).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edgenas.devices import Device, Measurement, MeasurementError, MeasureSettings
from edgenas.devices.device import Model
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.measure.operator_visits import OperatorVisit
from edgenas.latency.measure.quietness import PROBED_MODELS, QUIET_VISITS
from edgenas.latency.measure.visits import THOROUGH, QuietLatency, QuietSettings, Visit, Visits
from edgenas.spaces.blocks import FusedInvertedBottleneck

# A process is worth starting for so many visits: few models are visited several times in it.
_VISITS_PER_PROCESS = 150


def anchor_model() -> bytes:
    """The reference model: a small int8 block of about 5 microseconds, the same for every table."""
    return write_tflite(FusedInvertedBottleneck(filters=16, expansion=4).lower((7, 7, 16)), "int8")


def visit_in_rounds(
    device: Device,
    models: Mapping[str, Model],
    visits: Visits,
    *,
    rng: np.random.Generator,
    threads: int = 1,
    on_visit: Callable[[str, Visit], None] | None = None,
) -> dict[str, MeasurementError]:
    """Visits models until each has its quiet visits or its most visits; collects into ``visits``.

    ``on_visit`` hears of each visit. Returns the errors by model; a model that fails is not visited again.
    """
    settings = visits.settings
    errors: dict[str, MeasurementError] = {}
    anchor = anchor_model()

    def record(key: str, outcome: Measurement | MeasurementError) -> None:
        name = key.partition(" ")[2]
        if isinstance(outcome, MeasurementError):
            errors[name] = outcome
            return
        # A device without anchors is taken as always quiet.
        anchors = outcome.anchors_ms or ((1.0, 1.0),) * len(outcome.samples_ms)
        visit: Visit
        if outcome.operators_us:
            visit = OperatorVisit(anchors, outcome.operators_us)
        else:
            visit = tuple((sample, *pair) for sample, pair in zip(outcome.samples_ms, anchors, strict=True))
        visits.add(name, visit)
        if on_visit:
            on_visit(name, visit)

    with device.exclusive():
        while todo := [name for name in visits.lacking(models) if name not in errors]:
            measure_settings = MeasureSettings(
                threads=threads,
                anchor=anchor,
                warmup_seconds=settings.warmup_seconds,
                anchor_ms=visits.fastest_anchor_ms if np.isfinite(visits.fastest_anchor_ms) else None,
                tolerance=settings.tolerance,
                quiet_chunks=settings.quiet_chunks,
                chunk_seconds=settings.chunk_seconds,
                visit_seconds=settings.visit_seconds,
                wait_seconds=settings.wait_seconds,
                operators_above=settings.operators_above,
                operator_seconds=settings.operator_seconds,
                timeout_seconds=settings.timeout_seconds,
                inputs=settings.inputs,
            )
            order = _order(todo, visits, rng)
            device.measure_many({f"{turn} {name}": models[name] for turn, name in order}, measure_settings, record)
            visits.look_whether_quiet()
    return errors


def _order(todo: Sequence[str], visits: Visits, rng: np.random.Generator) -> list[tuple[int, str]]:
    """The visits of the next process, as (how often before in this process, model): shuffled, each model in turn.

    Before anybody knows whether the device is quiet, a few models are visited just twice.
    """
    if visits.can_tell_quiet and len(todo) >= PROBED_MODELS:
        chosen = [todo[index] for index in rng.permutation(len(todo))[:PROBED_MODELS]]
        return [(turn, name) for turn in range(QUIET_VISITS) for name in chosen]
    passes = 1 if visits.is_quiet else max(1, _VISITS_PER_PROCESS // len(todo))
    enough = {name: max(1, round(visits.effort.get(name, 1.0) * visits.settings.visits)) for name in todo}
    shuffled = [(turn, todo[index]) for turn in range(passes) for index in rng.permutation(len(todo))]
    return [(turn, name) for turn, name in shuffled if turn < enough[name]]


def measure_quiet(
    device: Device,
    models: Mapping[str, Model],
    *,
    settings: QuietSettings | None = None,
    seed: int = 0,
    threads: int = 1,
    anchor_ms: float | None = None,
) -> dict[str, QuietLatency | MeasurementError]:
    """Quiet latencies of whole models, such as the one that is to be shipped.

    ``anchor_ms`` is the reference model's time at the clock that is asked for, such as a table's.
    """
    visits = Visits(settings or QuietSettings(), anchor_ms, effort=dict.fromkeys(models, THOROUGH))
    errors = visit_in_rounds(device, models, visits, rng=np.random.default_rng(seed), threads=threads)
    latencies = visits.latencies(models)
    return {name: errors[name] if name in errors else latencies[name] for name in models}
