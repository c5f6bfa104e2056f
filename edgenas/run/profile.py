"""Step 1: the latency table. Measures what the device's table lacks, and copies it into the run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.latency.predict.predictor import Predictor, unknown_energy
from edgenas.latency.profile.reference_networks import table_for
from edgenas.latency.table.latency_table import LatencyTable, default_table_path
from edgenas.run.budget_range import budget_ranges, describe_ranges
from edgenas.spaces.errors import InputError, WorkError

if TYPE_CHECKING:
    from edgenas.run.context import RunContext


def profile(context: RunContext) -> None:
    """Makes ``table.csv`` of the run and checks the budget against it.

    It is a copy of the device's table with the calibration of the run's space alone, so nobody else's changes it.
    Raises InputError when a given table is of another device or lacks blocks, or the budget cannot be reached.
    """
    folder = context.folder
    if not (folder.step("profile").get("done") and folder.table_path.is_file()):
        with context.step("profile"):
            path = _given_table(context) if context.recipe.device.table else _own_table(context)
            table_for(LatencyTable.load(path), context.space).alone().save(folder.table_path)
            folder.record("profile", {"done": True, "table": str(path)})
    check_budget(context)
    ranges = budget_ranges(context)
    if folder.step("profile").get("budget") != ranges:
        folder.record("profile", {"budget": ranges})
        for line in describe_ranges(ranges, context.recipe.budget.limits):
            context.progress.say(line)


def check_energy_known(context: RunContext) -> None:
    """Raises InputError when there is a budget of energy, and no way to know it. Measures no block."""
    recipe, folder = context.recipe, context.folder
    if recipe.budget.energy_mj is None or context.device.spec.power.has_watts:
        return
    known = [Path(recipe.device.table)] if recipe.device.table else [folder.table_path, _default_path(context)]
    for path in known:
        if path.is_file() and LatencyTable.load(path).energy is not None:
            return
    if recipe.device.table or context.device.meter().name is None:
        raise InputError(f"budget.energy_mj: {unknown_energy(context.device.name)}")


def _default_path(context: RunContext) -> Path:
    return default_table_path(context.device.name, context.precision)


def check_budget(context: RunContext) -> None:
    """Raises InputError with the smallest latency or energy that can be reached when the budget is below it."""
    budget = context.recipe.budget.limits.get("latency_ms")
    if budget is not None:
        architecture, predicted = context.predictor.cheapest(context.space)
        needed = predicted * context.latency_factor
        if needed > budget:
            raise InputError(
                f"budget.latency_ms: {budget:.4g} ms cannot be reached on {context.device.name!r}: the fastest "
                f"architecture of space {context.space.name!r} ({architecture}) is predicted at {predicted:.4g} ms, "
                f"and keeping the budget on the running device takes {context.latency_factor:.2f} times that; the "
                f"smallest budget is {needed:.4g} ms"
            )
    energy_mj = context.recipe.budget.limits.get("energy_mj")
    if energy_mj is not None:
        _check_energy(context, energy_mj)
    context.costs.problem(context.limits, trials=1)


def _check_energy(context: RunContext, budget_mj: float) -> None:
    try:
        architecture, predicted = context.predictor.cheapest_energy(context.space)
    except InputError as error:
        raise InputError(f"budget.energy_mj: {error}") from None
    needed = predicted * context.energy_factor
    if needed > budget_mj:
        raise InputError(
            f"budget.energy_mj: {budget_mj:.4g} mJ cannot be reached on {context.device.name!r}: the architecture of "
            f"space {context.space.name!r} with the least energy ({architecture}) is predicted at {predicted:.4g} mJ, "
            f"and keeping the budget takes {context.energy_factor:.2f} times that; the smallest budget is "
            f"{needed:.4g} mJ"
        )


def _given_table(context: RunContext) -> Path:
    path = Path(str(context.recipe.device.table))
    table = LatencyTable.load(path, device=context.device.name, precision=context.precision)
    table.check_device(context.device, str(path))
    missing = Predictor(table).missing(context.space)
    if missing:
        raise InputError(
            f"{path}: lacks {len(missing)} blocks of space {context.space.name!r}, such as {missing[0]}; complete it "
            f"with `edgenas profile`, or remove device.table from the recipe"
        )
    return path


def _own_table(context: RunContext) -> Path:
    from edgenas.latency.profile.profiler import profile_space
    from edgenas.latency.profile.progress import StageProgress

    with context.progress.task(f"profile {context.device.name}, percent", 100) as task:

        def show(progress: StageProgress) -> None:
            task.update(int(100 * progress.done / max(progress.total, 1)))

        result = profile_space(
            context.space,
            context.device,
            precision=context.precision,
            threads=context.recipe.device.threads,
            progress=show,
        )
    if result.failed:
        signature, error = next(iter(result.failed.items()))
        raise WorkError(
            f"{len(result.failed)} blocks of space {context.space.name!r} do not run on {context.device.name!r}, such "
            f"as {signature}: {error}. The others are kept in {result.path}; take these blocks out of the space"
        )
    context.log.event(
        "profiled",
        table=result.path,
        signatures=result.signatures,
        measured=result.measured,
        provenance=result.table.provenance.kind,
        reused=result.reused,
        seconds=round(result.seconds, 2),
    )
    context.progress.say(
        f"profile: {result.measured} blocks {result.table.provenance.kind}, {result.reused} known already; "
        f"{Predictor(result.table).describe_error()}"
        + (f"; {result.table.energy.describe()}" if result.table.energy is not None else "")
    )
    return result.path
