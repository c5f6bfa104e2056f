"""Step 3a: which trial to ship. The best of a few whose untrained networks, measured on the device, keep the budget.

Latency does not depend on the weights, so a candidate that the predictor flattered is found out in seconds, before
anybody trains it for minutes. Short trainings say little about close candidates, so the finalists get a longer one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgenas.export.figure import Figure
from edgenas.run.records import ChooseRecord, FinalistRecord, FinalistsRecord
from edgenas.spaces.errors import EdgeNASError, WorkError
from edgenas.study.cost_names import MEMORY_COSTS
from edgenas.study.objectives import within
from edgenas.study.store import StudyStore
from edgenas.study.study import Trial

if TYPE_CHECKING:
    from edgenas.devices.measurement import Measurement
    from edgenas.run.context import RunContext
    from edgenas.run.device import RunDevice

#: Other processes can only make a measurement slower, so one over the budget is repeated after a pause, so often.
MEASUREMENTS = 5
PAUSE_SECONDS = 1.5


class NothingFitsError(WorkError):
    """No candidate keeps the budget, or is accurate enough."""


def choose(context: RunContext) -> int:
    """Number of the trial to ship; remembered, so that a resumed run trains the same one.

    Raises WorkError when none of the candidates keeps the latency and energy budgets on the device.
    """
    chosen = context.folder.read(ChooseRecord).trial
    if chosen is not None:
        return chosen
    study = context.open_study()
    try:
        while True:
            with context.step(ChooseRecord):
                numbers = _finalists(context, study)
            best = numbers[0] if len(numbers) == 1 else _best_finalist(context, study, numbers)
            if best is not None:
                return _remember(context, best, numbers)
    except WorkError:
        # The device may have been busy: a resumed run measures again.
        with suppress(EdgeNASError):
            if not _alive(context):
                context.folder.write(replace(context.folder.read(ChooseRecord), rejected={}))
                context.folder.write(replace(context.folder.read(FinalistsRecord), finalists={}, gathered=False))
        raise
    finally:
        study.close()


def _remember(context: RunContext, number: int, finalists: list[int]) -> int:
    record, kinds = context.folder.read(ChooseRecord), context.folder.read(FinalistsRecord).kinds
    context.folder.write(replace(record, trial=number, latency_kind=kinds.get(context.first.name), kinds=kinds))
    context.log.event("chosen", trial=number, finalists=finalists)
    context.progress.say(f"chosen: trial {number}")
    return number


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
        if limit_ms is None or best.median <= limit_ms or not device.device.varies:
            break
    assert best is not None
    return best


@dataclass(frozen=True)
class Untrained:
    """What an untrained network was measured at on the devices, up to the first whose budget it does not keep.

    Attributes:
        measurements: by device.
        problem: what is over a budget, in words; empty when nothing is.
        slowdown: measured over predicted median, of the device whose latency budget it does not keep.
        words: latencies on all devices, where all budgets are kept.
    """

    measurements: Mapping[str, Measurement]
    problem: str
    slowdown: Mapping[str, float]
    words: str

    @property
    def kinds(self) -> dict[str, str]:
        """How the latency on each device is known."""
        return {name: one.provenance.kind for name, one in self.measurements.items()}


def measure_untrained(context: RunContext, study: StudyStore, trial: Trial) -> Untrained:
    """Measures a trial's network with random weights on the devices of the run, and keeps that in the study."""
    from edgenas.export.tflite.flatbuffer import write_tflite
    from edgenas.export.tflite.group_split import split_group_convolutions
    from edgenas.run.post_processing import with_tail

    network = context.space.decode(context.space.parse(trial.architecture))
    model = write_tflite(network.graph, context.precision)
    found: dict[str, Measurement] = {}
    slowdown: dict[str, float] = {}
    words = []
    for device in context.devices:
        lowered = split_group_convolutions(model) if device.device.group_convolution == "split" else model
        lowered = with_tail(context, device, lowered, network)
        measurement = measure_deployed(context, device, lowered, device.budget.get("latency_ms"))
        found[device.name] = measurement
        study.record_measured(trial.number, _measured(context, device, measurement))
        predicted_ms = _predicted_ms(context, device, trial)
        if problem := _over(context, device, measurement) or _over_arena(device, lowered):
            if measurement.median > device.budget.get("latency_ms", math.inf) and predicted_ms:
                slowdown[device.name] = measurement.median / predicted_ms
            return Untrained(found, problem, slowdown, "")
        quiet = f", and {predicted_ms:.4g} ms (predicted) when nothing disturbs it" if predicted_ms else ""
        words.append(f"{_median(measurement)} on {device.name}{quiet}")
    return Untrained(found, "", slowdown, "; ".join(words))


def _alive(context: RunContext) -> list[int]:
    """The finalists so far that were not rejected, best ranked first."""
    rejected = context.folder.read(ChooseRecord).rejected
    return [number for number in context.folder.read(FinalistsRecord).finalists if number not in rejected]


def _finalists(context: RunContext, study: StudyStore) -> list[int]:
    """The best candidates that keep the budget when measured, up to ``search.finalists``.

    They are remembered: when the chosen one is rejected later, the others are still there. Raises WorkError when there
    is none.
    """
    if not (context.folder.read(FinalistsRecord).gathered and _alive(context)):
        _gather(context, study)
    if found := _alive(context):
        return found
    raise NothingFitsError(_nothing_fits(context))


def _gather(context: RunContext, study: StudyStore) -> None:
    """Goes down the ranking until there are enough finalists, or ``export.candidates`` trials were rejected.

    A trial that measures over the budget of a device tells how much slower the device is now than predicted: trials
    that would be over that budget by the same factor are passed over unmeasured.
    """
    recipe, folder = context.recipe, context.folder
    slowdown = dict.fromkeys((device.name for device in context.devices), 1.0)
    known = {study.trial(number).architecture for number in folder.read(FinalistsRecord).finalists}
    for trial in _ranking(context, study):
        record, rejected = folder.read(FinalistsRecord), folder.read(ChooseRecord).rejected
        if len(_alive(context)) == recipe.search.finalists or len(rejected) == recipe.export.candidates:
            break
        if trial.number in rejected or trial.architecture in known:
            continue
        if any(
            _predicted_ms(context, device, trial) * slowdown[device.name] > device.budget.get("latency_ms", math.inf)
            for device in context.devices
        ):
            continue
        found = measure_untrained(context, study, trial)
        for name, ratio in found.slowdown.items():
            slowdown[name] = max(slowdown[name], ratio)
        if found.problem:
            reject(context, trial.number, found.problem)
            continue
        known.add(trial.architecture)
        finalists = {**record.finalists, trial.number: FinalistRecord()}
        folder.write(replace(record, finalists=finalists, kinds=found.kinds))
        context.progress.say(f"trial {trial.number} keeps the budget; untrained, it takes {found.words}")
    folder.write(replace(folder.read(FinalistsRecord), gathered=True))


def _ranking(context: RunContext, study: StudyStore) -> Sequence[Trial]:
    """The complete trials, best first; of several budgets, those within this one by the reward that it gives."""
    if not context.budget_name:
        return study.ranking
    limits, objective = context.limits, context.objective
    kept = [trial for trial in study.ranking if within(trial.predicted, limits)]
    rewards = {trial.number: objective.reward(trial.score or 0.0, trial.predicted) for trial in kept}
    return sorted(kept, key=lambda trial: (-rewards[trial.number], trial.number))


def _best_finalist(context: RunContext, study: StudyStore, numbers: list[int]) -> int | None:
    """The finalist that is best after the longer training; None when all of them diverged in it."""
    from edgenas.run.finalists import train_finalists

    for number, reason in train_finalists(context, study, numbers).items():
        reject(context, number, reason)
    found = context.folder.read(FinalistsRecord).finalists
    return max(
        (number for number in _alive(context) if found[number].score is not None),
        key=lambda number: (found[number].score or 0.0, -numbers.index(number)),
        default=None,
    )


def _predicted_ms(context: RunContext, device: RunDevice, trial: Trial) -> float:
    return trial.predicted.get(context.recipe.cost_name("latency_ms", device.name), 0.0)


def _over(context: RunContext, device: RunDevice, measurement: Measurement) -> str:
    """What is over the budget of a device, in words; empty when nothing is."""
    where = f" on {device.name}" if len(context.devices) > 1 else ""
    if words := over_energy(measurement, device.budget.get("energy_mj")):
        return f"energy{where} {words}"
    for name in MEMORY_COSTS:
        limit, found = device.budget.get(name), measurement.memory.get(name)
        if limit is not None and found is not None and found > limit:
            kind = measurement.provenance.kind
            return f"{name} {found:,} bytes ({kind}){where} is over the budget of {limit:,.0f}"
    limit_ms = device.budget.get("latency_ms")
    if limit_ms is not None and measurement.median > limit_ms:
        return f"{_median(measurement)}{where} is over the budget of {limit_ms:.4g} ms"
    return ""


def _over_arena(device: RunDevice, model: bytes) -> str:
    """Whether the microcontrollers' interpreter needs more than the budget, in words."""
    limit = device.budget.get("arena_bytes")
    if limit is None:
        return ""
    from edgenas.export.micro.interpreter import allocate

    found = allocate(model).total_bytes
    return f"arena_bytes {found:,} is over the budget of {limit:,.0f}" if found > limit else ""


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
    if context.recipe.is_fixed:
        return (
            f"{context.recipe.space.architecture} cannot be shipped ({'; '.join(rejected.values())}). Its training is "
            f"kept in {context.folder.path}. If other programs kept the device busy, run again with --resume when they "
            "are done; otherwise change the budget or the quantization, or train longer, in a new run"
        )
    reasons = "; ".join(f"trial {number}: {reason}" for number, reason in rejected.items()) or "no trial is left"
    return (
        f"no candidate can be shipped ({reasons}). The search is kept in {context.folder.path}. If other programs kept "
        "the device busy, run again with --resume when they are done; otherwise raise search.latency_margin, "
        "export.candidates or the budget in the recipe, and continue with --resume; where accuracy was short, train "
        "longer or choose another quantization"
    )
