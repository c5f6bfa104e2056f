"""Ships the best candidate of a run, or the one that the user chose, and writes the report."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from edgenas.run.choose import NothingFitsError, choose, reject
from edgenas.run.context import RunContext
from edgenas.run.export import export
from edgenas.run.records import ExportRecord, ReportRecord
from edgenas.run.take_over import keep_bundle
from edgenas.run.train import train_final
from edgenas.spaces.errors import WorkError
from edgenas.spaces.network import Network
from edgenas.study.trial import Trial


def ship_best(context: RunContext) -> None:
    """Trains and exports the best candidate that keeps the budget when measured; of several budgets, one for each.

    A budget for which there is none is told when the others are shipped.
    """
    from edgenas.export.bundle.bundle import copy_bundle

    views, folder, failed = context.budgets, context.folder, list[str]()
    if len(views) == 1:
        _ship_within(context)
        return
    for view in views:
        context.progress.say(f"budget {view.budget_name}:")
        context.log.event("budget_started", budget=view.budget_name)
        try:
            _ship_within(view)
        except NothingFitsError as error:
            failed.append(f"{view.budget_name}: {error}")
    copy = folder.budget_bundle_path(context.budget_name)
    if folder.read(ExportRecord).done and not _same_bundle(folder.bundle_path, copy):
        copy_bundle(folder.bundle_path, copy)
    if failed:
        report(context)
        raise NothingFitsError("; ".join(failed))


def _same_bundle(one: Path, other: Path) -> bool:
    pair = [path / "metrics.json" for path in (one, other)]
    return all(path.is_file() for path in pair) and pair[0].read_bytes() == pair[1].read_bytes()


def _ship_within(context: RunContext) -> None:
    while True:
        number = choose(context)
        if _ship_trial(context, number):
            return


def _ship_trial(context: RunContext, number: int) -> bool:
    trial, network = _trained(context, number)
    done = context.folder.read(ExportRecord)
    bundle = context.folder.bundle_path
    there = done.done and (bundle / "metrics.json").is_file()
    if there and done.trial == number and not done.earlier:
        return True
    if there:
        keep_bundle(context)
    facts = export(context, trial, network, bundle)
    if isinstance(facts, str):
        reject(context, number, facts)
        return False
    context.folder.write(replace(facts, seconds=context.folder.read(ExportRecord).seconds))
    return True


def ship_chosen(context: RunContext, number: int, destination: Path) -> ExportRecord:
    """Ships a trial that the user chose, beside what the run chose."""
    trial, network = _trained(context, number)
    facts = export(context, trial, network, destination)
    if isinstance(facts, str):
        raise WorkError(f"trial {number} is not shipped: {facts}; its files are in {context.folder.trial_path(number)}")
    return facts


def _trained(context: RunContext, number: int) -> tuple[Trial, Network]:
    with closing(context.open_study()) as study:
        trial = study.trial(number)
    network = context.space.decode(context.space.parse(trial.architecture))
    train_final(context, number, network)
    return trial, network


def report(context: RunContext) -> None:
    """Writes ``report.html`` of what the run has found so far."""
    from edgenas.report import build_report

    with context.step(ReportRecord):
        build_report(context.folder.path)
        context.folder.write(replace(context.folder.read(ReportRecord), done=True))
