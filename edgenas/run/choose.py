"""Step 3a: which trial to ship. The best one whose untrained network, measured on the device, keeps the budget.

Latency does not depend on the weights, so a candidate that the predictor flattered is found out in seconds, before
anybody trains it for minutes.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from edgenas.export.figure import Figure
from edgenas.spaces.errors import EdgeNASError, WorkError
from edgenas.study.study import Study

if TYPE_CHECKING:
    from edgenas.devices.measurement import Measurement
    from edgenas.run.context import RunContext

#: Other processes can only make a measurement slower, so one over the budget is repeated after a pause, so often.
MEASUREMENTS = 5
PAUSE_SECONDS = 1.5


def choose(context: RunContext) -> int:
    """Number of the trial to ship; remembered, so that a resumed run trains the same one.

    Raises WorkError when none of the candidates keeps the latency and energy budgets on the device.
    """
    chosen = context.folder.step("choose").get("trial")
    if chosen is not None:
        return int(chosen)
    study = context.open_study()
    try:
        with context.step("choose"):
            return _first_within_budget(context, study)
    except WorkError:
        # The device may have been busy: a resumed run measures again.
        with suppress(EdgeNASError):
            context.folder.record("choose", {"rejected": {}})
        raise
    finally:
        study.close()


def reject(context: RunContext, number: int, reason: str) -> None:
    """Remembers that a trial is not shipped, and why; the next :func:`choose` takes the next best."""
    rejected = dict(context.folder.step("choose").get("rejected", {}))
    context.folder.record("choose", {"trial": None, "rejected": rejected | {str(number): reason}})
    context.log.event("trial_rejected", trial=number, reason=reason)
    context.progress.say(f"  trial {number} is not shipped: {reason}")


def measure_deployed(context: RunContext, model: bytes, limit_ms: float | None) -> Measurement:
    """Measures a model on the run's device, up to :data:`MEASUREMENTS` times while its median is over the limit.

    The one with the least median counts; the log holds all of them.
    """
    threads = context.recipe.device.threads
    best: Measurement | None = None
    for attempt in range(MEASUREMENTS):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        measurement = context.device.measure(model, threads=threads)
        context.log.event(
            "measured",
            device=context.device.name,
            provenance=measurement.provenance.kind,
            latency_ms=measurement.statistics(),
        )
        if best is None or measurement.median < best.median:
            best = measurement
        if limit_ms is None or best.median <= limit_ms:
            break
    assert best is not None
    return best


def _first_within_budget(context: RunContext, study: Study) -> int:
    """Goes down the ranking; tries at most ``export.candidates`` trials, those rejected before included.

    A trial that measures over the budget tells how much slower the device is now than predicted: trials that would
    be over the budget by the same factor are passed over unmeasured.
    """
    from edgenas.export.tflite.flatbuffer import write_tflite

    limits = context.recipe.budget.limits
    limit_ms, limit_mj = limits.get("latency_ms"), limits.get("energy_mj")
    rejected = context.folder.step("choose").get("rejected", {})
    measured, slowdown = len(rejected), 1.0
    for trial in study.ranking:
        predicted_ms = trial.predicted.get("latency_ms", 0.0)
        if str(trial.number) in rejected or (limit_ms is not None and predicted_ms * slowdown > limit_ms):
            continue
        if measured == context.recipe.export.candidates:
            break
        measured += 1
        network = context.space.decode(context.space.parse(trial.architecture))
        measurement = measure_deployed(context, write_tflite(network.graph, context.precision), limit_ms)
        study.record_measured(trial.number, _measured(measurement))
        if over_energy(measurement, limit_mj):
            reject(context, trial.number, f"energy {over_energy(measurement, limit_mj)}")
            continue
        if limit_ms is None or measurement.median <= limit_ms:
            context.folder.record("choose", {"trial": trial.number, "latency_kind": measurement.provenance.kind})
            context.progress.say(
                f"chosen: trial {trial.number}; untrained, it takes {_median(measurement)} on {context.device.name}, "
                f"and {predicted_ms:.4g} ms (predicted) when nothing disturbs it"
            )
            return trial.number
        slowdown = max(slowdown, measurement.median / predicted_ms)
        reject(context, trial.number, f"{_median(measurement)} is over the budget of {limit_ms:.4g} ms")
    raise WorkError(_nothing_fits(context))


def _median(measurement: Measurement) -> Figure:
    return Figure(measurement.median, "ms", measurement.provenance.kind, "median")


def _measured(measurement: Measurement) -> dict[str, float]:
    """What the study keeps of a measurement; an energy that was not measured is none."""
    kept = {"latency_ms": measurement.median, "latency_min_ms": measurement.min}
    if measurement.energy is not None and measurement.energy.kind == "measured":
        kept["energy_mj"] = measurement.energy.energy_mj
    return kept


def over_energy(measurement: Measurement, limit_mj: float | None) -> str:
    """Words about an energy that is over its limit, empty when it is not (or there is no limit)."""
    energy = measurement.energy
    if limit_mj is None or energy is None or energy.energy_mj <= limit_mj:
        return ""
    return f"{Figure(energy.energy_mj, 'mJ', energy.kind)} is over the budget of {limit_mj:.4g} mJ"


def _nothing_fits(context: RunContext) -> str:
    rejected = context.folder.step("choose").get("rejected", {})
    reasons = "; ".join(f"trial {number}: {reason}" for number, reason in rejected.items()) or "no trial is left"
    return (
        f"no candidate can be shipped ({reasons}). The search is kept in {context.folder.path}. If other programs kept "
        "the device busy, run again with --resume when they are done; otherwise raise search.latency_margin, "
        "export.candidates or the budget in a new run; where accuracy was short, train longer or choose another "
        "quantization"
    )
