"""Steps 1 to 3 where one network is given instead of a space: it is held against the budget, trained, and recorded.

The study of such a run has one trial, whose metrics are those after the final training. Latency and energy are
predicted where the device's own table knows all blocks already; nothing is profiled for it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.latency.predict.predictor import unknown_energy
from edgenas.run.choose import Untrained, measure_untrained
from edgenas.run.profile import given_table, run_table
from edgenas.run.records import ChooseRecord, ProfileRecord, SearchRecord
from edgenas.run.search import open_or_create_study
from edgenas.run.train import train_final, training_record
from edgenas.spaces.errors import EdgeNASError, InputError, WorkError
from edgenas.spaces.space.decision import Architecture
from edgenas.study.evaluation import derived_seed

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.run.device import RunDevice
    from edgenas.study.store import StudyStore
    from edgenas.study.study import Trial

#: The only trial.
NUMBER = 0


def find_tables(context: RunContext) -> None:
    """Copies the tables that predict this network: those the recipe names, else the devices' own that know it."""
    folder = context.folder
    if folder.read(ProfileRecord).done:
        return
    with context.step(ProfileRecord):
        paths = {}
        for device in context.devices:
            path = given_table(context, device) if device.recipe.table else _own_table(context, device)
            if path is None:
                context.progress.say(
                    f"{device.name}: no latency table knows all blocks of this network, so nothing is predicted"
                )
                continue
            run_table(context, path).save(device.table_path)
            paths[device.name] = str(path)
        record = folder.read(ProfileRecord)
        folder.write(replace(record, done=True, table=paths.get(context.first.name), tables=paths))


def _own_table(context: RunContext, device: RunDevice) -> Path | None:
    from edgenas.latency.predict.predictor import Predictor
    from edgenas.latency.table.latency_table import LatencyTable, default_table_path

    path = default_table_path(device.name, device.precision)
    if not path.is_file():
        return None
    try:
        table = LatencyTable.load(path, device=device.name, precision=device.precision)
        table.check_device(device.device, str(path))
    except EdgeNASError:
        return None
    return path if table.knows_latency and not Predictor(table).missing(context.space) else None


def train_fixed(context: RunContext) -> None:
    """Measures the untrained network, trains it, and records both.

    Raises WorkError when it is over the budget: nothing is trained then.
    """
    if context.folder.read(SearchRecord).done:
        return
    study = open_or_create_study(context)
    try:
        trial = _trial(context, study)
        _check_budget(context, study, trial)
        network = context.space.decode(Architecture(trial.choices))
        train_final(context, NUMBER, network)
        record = training_record(context, NUMBER)
        if trial.state == "running":
            metrics = record["validation_metrics"]
            study.complete(
                NUMBER,
                metric=record["metric"],
                metrics=metrics,
                reward=metrics[record["metric"]],
                seconds=record["seconds"],
            )
        context.folder.write(
            replace(context.folder.read(SearchRecord), done=True, trials=1, best=NUMBER, limits=context.limits)
        )
    finally:
        study.close()


def _trial(context: RunContext, study: StudyStore) -> Trial:
    if study.trials:
        return study.trials[NUMBER]
    only = context.space.parse("-")
    return study.start(
        str(only),
        only.choices,
        context.space.decisions,
        seed=derived_seed(context.recipe.seed, 1, NUMBER),
        predicted=context.costs.architecture(only),
        files="trials/{number}",
    )


def _check_budget(context: RunContext, study: StudyStore, trial: Trial) -> None:
    if context.folder.read(ChooseRecord).trial is not None:
        return
    name = context.recipe.space.architecture
    with context.step(ChooseRecord):
        found = measure_untrained(context, study, trial)
        _check_energy_known(context, found)
        if found.problem:
            raise WorkError(
                f"{name}: {found.problem}; nothing was trained. If other programs kept the device busy, run again with "
                "--resume when they are done; otherwise raise the budget or take a smaller network"
            )
        record = context.folder.read(ChooseRecord)
        kind = found.kinds[context.first.name]
        context.folder.write(replace(record, trial=NUMBER, latency_kind=kind, kinds=found.kinds))
        context.progress.say(f"{name}: untrained, it takes {found.words}")


def _check_energy_known(context: RunContext, found: Untrained) -> None:
    """Raises InputError where an energy is budgeted that neither a meter, watts, nor a table tells."""
    for device in context.devices:
        measured = found.measurements.get(device.name)
        if "energy_mj" not in device.budget or measured is None or measured.energy is not None:
            continue
        if device.known_table is None or device.known_table.energy is None:
            key = context.recipe.budget_key("energy_mj", device.name)
            raise InputError(f"{key}: {unknown_energy(device.name)}")
