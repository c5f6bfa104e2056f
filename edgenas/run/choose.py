"""Step 3a: which trial to ship. The best one whose untrained network, measured on the device, keeps the budget.

Latency does not depend on the weights, so a candidate that the predictor flattered is found out in seconds, before
anybody trains it for minutes.
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from edgenas.export.figure import Figure
from edgenas.run.records import ChooseRecord
from edgenas.spaces.errors import EdgeNASError, WorkError
from edgenas.study.store import StudyStore
from edgenas.study.study import Trial

if TYPE_CHECKING:
    from edgenas.devices.measurement import Measurement
    from edgenas.run.context import RunContext
    from edgenas.run.device import RunDevice

#: Other processes can only make a measurement slower, so one over the budget is repeated after a pause, so often.
MEASUREMENTS = 5
PAUSE_SECONDS = 1.5


def choose(context: RunContext) -> int:
    """Number of the trial to ship; remembered, so that a resumed run trains the same one.

    Raises WorkError when none of the candidates keeps the latency and energy budgets on the device.
    """
    chosen = context.folder.read(ChooseRecord).trial
    if chosen is not None:
        return chosen
    study = context.open_study()
    try:
        with context.step(ChooseRecord):
            return _first_within_budget(context, study)
    except WorkError:
        # The device may have been busy: a resumed run measures again.
        with suppress(EdgeNASError):
            context.folder.write(replace(context.folder.read(ChooseRecord), rejected={}))
        raise
    finally:
        study.close()


def reject(context: RunContext, number: int, reason: str) -> None:
    """Remembers that a trial is not shipped, and why; the next :func:`choose` takes the next best."""
    record = context.folder.read(ChooseRecord)
    context.folder.write(replace(record, trial=None, rejected={**record.rejected, number: reason}))
    context.log.event("trial_rejected", trial=number, reason=reason)
    context.progress.say(f"  trial {number} is not shipped: {reason}")


def measure_deployed(context: RunContext, device: RunDevice, model: bytes, limit_ms: float | None) -> Measurement:
    """Measures a model on a device of the run, up to :data:`MEASUREMENTS` times while its median is over the limit.

    The one with the least median counts; the log holds all of them.
    """
    best: Measurement | None = None
    for attempt in range(MEASUREMENTS):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        measurement = device.device.measure(model, threads=device.threads)
        context.log.event(
            "measured",
            device=device.name,
            provenance=measurement.provenance.kind,
            latency_ms=measurement.statistics(),
        )
        if best is None or measurement.median < best.median:
            best = measurement
        if limit_ms is None or best.median <= limit_ms:
            break
    assert best is not None
    return best


def _first_within_budget(context: RunContext, study: StudyStore) -> int:
    """Goes down the ranking; tries at most ``export.candidates`` trials, those rejected before included.

    A trial that measures over the budget of a device tells how much slower the device is now than predicted: trials
    that would be over that budget by the same factor are passed over unmeasured.
    """
    from edgenas.export.tflite.flatbuffer import write_tflite
    from edgenas.export.tflite.group_split import split_group_convolutions

    recipe = context.recipe
    rejected = context.folder.read(ChooseRecord).rejected
    measured, slowdown = len(rejected), dict.fromkeys((device.name for device in context.devices), 1.0)
    for trial in study.ranking:
        if trial.number in rejected or any(
            _predicted_ms(context, device, trial) * slowdown[device.name] > device.budget.get("latency_ms", math.inf)
            for device in context.devices
        ):
            continue
        if measured == recipe.export.candidates:
            break
        measured += 1
        network = context.space.decode(context.space.parse(trial.architecture))
        model = write_tflite(network.graph, context.precision)
        found: dict[str, Measurement] = {}
        problem = ""
        for device in context.devices:
            lowered = split_group_convolutions(model) if device.device.group_convolution == "split" else model
            measurement = measure_deployed(context, device, lowered, device.budget.get("latency_ms"))
            found[device.name] = measurement
            study.record_measured(trial.number, _measured(context, device, measurement))
            if problem := _over(context, device, measurement):
                if measurement.median > device.budget.get("latency_ms", math.inf):
                    ratio = measurement.median / _predicted_ms(context, device, trial)
                    slowdown[device.name] = max(slowdown[device.name], ratio)
                break
        if problem:
            reject(context, trial.number, problem)
            continue
        kind = found[context.first.name].provenance.kind
        kinds = {name: one.provenance.kind for name, one in found.items()}
        record = context.folder.read(ChooseRecord)
        context.folder.write(replace(record, trial=trial.number, latency_kind=kind, kinds=kinds))
        untrained = "; ".join(
            f"{_median(found[device.name])} on {device.name}, and {_predicted_ms(context, device, trial):.4g} ms "
            "(predicted) when nothing disturbs it"
            for device in context.devices
        )
        context.progress.say(f"chosen: trial {trial.number}; untrained, it takes {untrained}")
        return trial.number
    raise WorkError(_nothing_fits(context))


def _predicted_ms(context: RunContext, device: RunDevice, trial: Trial) -> float:
    return trial.predicted.get(context.recipe.cost_name("latency_ms", device.name), 0.0)


def _over(context: RunContext, device: RunDevice, measurement: Measurement) -> str:
    """What is over the budget of a device, in words; empty when nothing is."""
    where = f" on {device.name}" if len(context.devices) > 1 else ""
    if words := over_energy(measurement, device.budget.get("energy_mj")):
        return f"energy{where} {words}"
    limit_ms = device.budget.get("latency_ms")
    if limit_ms is not None and measurement.median > limit_ms:
        return f"{_median(measurement)}{where} is over the budget of {limit_ms:.4g} ms"
    return ""


def _median(measurement: Measurement) -> Figure:
    return Figure(measurement.median, "ms", measurement.provenance.kind, "median")


def _measured(context: RunContext, device: RunDevice, measurement: Measurement) -> dict[str, float]:
    """What the study keeps of a measurement; an energy that was not measured is none."""
    kept = {"latency_ms": measurement.median, "latency_min_ms": measurement.min}
    if measurement.energy is not None and measurement.energy.kind == "measured":
        kept["energy_mj"] = measurement.energy.energy_mj
    return {f"{name}@{device.name}": value for name, value in kept.items()} if len(context.devices) > 1 else kept


def over_energy(measurement: Measurement, limit_mj: float | None) -> str:
    """Words about an energy that is over its limit, empty when it is not (or there is no limit)."""
    energy = measurement.energy
    if limit_mj is None or energy is None or energy.energy_mj <= limit_mj:
        return ""
    return f"{Figure(energy.energy_mj, 'mJ', energy.kind)} is over the budget of {limit_mj:.4g} mJ"


def _nothing_fits(context: RunContext) -> str:
    rejected = context.folder.read(ChooseRecord).rejected
    reasons = "; ".join(f"trial {number}: {reason}" for number, reason in rejected.items()) or "no trial is left"
    return (
        f"no candidate can be shipped ({reasons}). The search is kept in {context.folder.path}. If other programs kept "
        "the device busy, run again with --resume when they are done; otherwise raise search.latency_margin, "
        "export.candidates or the budget in the recipe, and continue with --resume; where accuracy was short, train "
        "longer or choose another quantization"
    )
