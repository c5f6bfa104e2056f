"""Step 1: the latency table. Measures what the device's table lacks, and copies it into the run folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.latency.predict.predictor import Predictor, unknown_energy
from edgenas.latency.profile.reference_networks import table_for
from edgenas.latency.table.latency_table import LatencyTable, default_table_path
from edgenas.run.budget_range import budget_ranges, describe_ranges
from edgenas.run.post_processing import describe_behind
from edgenas.run.records import ProfileRecord
from edgenas.run.step_times import check_terms, profile_steps
from edgenas.spaces.errors import InputError, WorkError

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.run.device import RunDevice


def profile(context: RunContext) -> None:
    """Makes the run's table of each device and checks the budgets against them.

    It is a copy of the device's table with the calibration of the run's space alone, so nobody else's changes it.
    Raises InputError when a given table is of another device or lacks blocks, or a budget cannot be reached.
    """
    folder = context.folder
    if not (folder.read(ProfileRecord).done and all(device.table_path.is_file() for device in context.devices)):
        with context.step(ProfileRecord):
            paths = {device.name: str(_profile(context, device)) for device in context.devices}
            record = folder.read(ProfileRecord)
            folder.write(replace(record, done=True, table=paths[context.first.name], tables=paths))
    for device in context.devices:
        if words := describe_behind(device):
            context.log.event("post_processing", device=device.name, predicted_ms=device.behind_ms)
            context.progress.say(words)
    profile_steps(context)
    check_terms(context)
    for view in context.budgets:
        check_budget(view)
    ranges = budget_ranges(context)
    record = folder.read(ProfileRecord)
    if record.budget != ranges:
        folder.write(replace(record, budget=ranges))
        for line in describe_ranges(ranges, context.recipe.limits):
            context.progress.say(line)


def _profile(context: RunContext, device: RunDevice) -> Path:
    path = given_table(context, device) if device.recipe.table else measured_table(context, device)
    run_table(context, path).save(device.table_path)
    return path


def run_table(context: RunContext, path: Path) -> LatencyTable:
    """A table as a run keeps it: with the calibration of its space alone."""
    return table_for(LatencyTable.load(path), context.space).with_one_calibration()


def check_energy_known(context: RunContext) -> None:
    """Raises InputError when there is a budget of energy, and no way to know it. Measures no block."""
    for device in context.devices:
        if "energy_mj" in device.budget and not _energy_known(device):
            key = context.recipe.budget_key("energy_mj", device.name)
            raise InputError(f"{key}: {unknown_energy(device.name)}")


def _energy_known(device: RunDevice) -> bool:
    if device.device.spec.power.has_watts:
        return True
    given = device.recipe.table
    known = [Path(given)] if given else [device.table_path, default_table_path(device.name, device.precision)]
    if any(path.is_file() and LatencyTable.load(path).energy is not None for path in known):
        return True
    return not given and device.device.meter().name is not None


def check_budget(context: RunContext) -> None:
    """Raises InputError with the smallest latency or energy that can be reached when a budget is below it."""
    for device in context.devices:
        if "latency_ms" in device.budget:
            _check_latency(context, device)
        if "energy_mj" in device.budget:
            _check_energy(context, device)
    context.costs.problem(context.limits, trials=1)


def _check_latency(context: RunContext, device: RunDevice) -> None:
    budget = device.budget["latency_ms"]
    architecture, predicted = device.predictor.cheapest(context.space)
    needed = predicted * device.latency_factor
    if needed > budget:
        raise InputError(
            f"{context.recipe.budget_key('latency_ms', device.name)}: {budget:.4g} ms cannot be reached on "
            f"{device.name!r}: the fastest architecture of space {context.space.name!r} ({architecture}) is predicted "
            f"at {predicted:.4g} ms, and keeping the budget on the running device takes "
            f"{device.latency_factor:.2f} times that; the smallest budget is {needed:.4g} ms"
        )


def _check_energy(context: RunContext, device: RunDevice) -> None:
    key, budget_mj = context.recipe.budget_key("energy_mj", device.name), device.budget["energy_mj"]
    try:
        architecture, predicted = device.predictor.cheapest_energy(context.space)
    except InputError as error:
        raise InputError(f"{key}: {error}") from None
    needed = predicted * device.energy_factor
    if needed > budget_mj:
        raise InputError(
            f"{key}: {budget_mj:.4g} mJ cannot be reached on {device.name!r}: the architecture of "
            f"space {context.space.name!r} with the least energy ({architecture}) is predicted at {predicted:.4g} mJ, "
            f"and keeping the budget takes {device.energy_factor:.2f} times that; the smallest budget is "
            f"{needed:.4g} mJ"
        )


def given_table(context: RunContext, device: RunDevice) -> Path:
    """The table that the recipe names. Raises InputError when it is another device's or lacks blocks of the space."""
    path = Path(str(device.recipe.table))
    table = LatencyTable.load(path, device=device.name, precision=device.precision)
    table.check_device(device.device, str(path))
    missing = Predictor(table).missing(context.space)
    if missing:
        raise InputError(
            f"{path}: lacks {len(missing)} blocks of space {context.space.name!r}, such as {missing[0]}; complete it "
            f"with `edgenas profile`, or remove device.table from the recipe"
        )
    return path


def measured_table(context: RunContext, device: RunDevice) -> Path:
    """The device's own table, with what it lacked of the space measured. Raises WorkError when blocks do not run."""
    from edgenas.latency.profile.profiler import profile_space
    from edgenas.latency.profile.progress import StageProgress

    behind = device.behind
    further = {} if behind is None else {behind.signature(device.precision): behind}
    with context.progress.task(f"profile {device.name}, percent", 100) as task:

        def show(progress: StageProgress) -> None:
            task.update(int(100 * progress.done / max(progress.total, 1)))

        result = profile_space(
            context.space,
            device.device,
            precision=device.precision,
            threads=device.threads,
            progress=show,
            further=further,
        )
    failed = {signature: error for signature, error in result.failed.items() if signature not in further}
    if failed:
        signature, error = next(iter(failed.items()))
        raise WorkError(
            f"{len(failed)} blocks of space {context.space.name!r} do not run on {device.name!r}, such "
            f"as {signature}: {error}. The others are kept in {result.path}; take these blocks out of the space"
        )
    context.log.event(
        "profiled",
        device=device.name,
        table=result.path,
        signatures=result.signatures,
        measured=result.measured,
        provenance=result.table.provenance.kind,
        reused=result.reused,
        seconds=round(result.seconds, 2),
    )
    context.progress.say(
        f"profile {device.name}: {result.measured} blocks {result.table.provenance.kind}, {result.reused} known "
        f"already; {Predictor(result.table).describe_error()}"
        + (f"; {result.table.energy.describe()}" if result.table.energy is not None else "")
    )
    return result.path
