"""The main job: profile, search, train, export, report, in one run folder, each step only as far as it is not done.

:func:`run_recipe` does everything, :func:`search_recipe` stops after the search, :func:`export_trial` ships one trial
of a run. All of them can be interrupted at any moment and continued.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgenas.data.remarks import remarks
from edgenas.export.figure import UNKNOWN, Figure, common_kind, kind_of
from edgenas.recipe.recipe import Recipe
from edgenas.run.choose import choose
from edgenas.run.context import RunContext
from edgenas.run.export import export
from edgenas.run.folder import RunFolder
from edgenas.run.profile import check_energy_known, profile
from edgenas.run.progress import Progress, duration
from edgenas.run.search import search
from edgenas.run.train import train_final
from edgenas.spaces.errors import EdgeNASError, InputError, WorkError
from edgenas.spaces.text import one_line
from edgenas.study.study import Study, Trial
from edgenas.study.workers import EvaluatorFactory

__all__ = ["RunResult", "check", "export_trial", "run", "run_recipe", "search_recipe"]


@dataclass(frozen=True)
class RunResult:
    """What a run has found. ``seconds`` counts all its steps, also those of earlier, interrupted calls."""

    run: Path
    best: Trial | None
    trials: int
    seconds: float
    shipped: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """``{"run", "best": {"trial", "architecture", "top1", "predicted"}, "trials", "seconds", "shipped"}``."""
        best = self.best and {
            "trial": self.best.number,
            "architecture": self.best.architecture,
            "top1": self.best.top1,
            "predicted": dict(self.best.predicted),
        }
        return {
            "run": str(self.run),
            "best": best,
            "trials": self.trials,
            "seconds": round(self.seconds, 2),
            "shipped": self.shipped or None,
        }

    @property
    def _energy_kind(self) -> str:
        return str(self.shipped.get("energy_kind") or "predicted")

    @property
    def _latency_kind(self) -> str:
        return str(self.shipped.get("latency_kind") or _bundle_kind(self.run / "bundle"))

    def summary(self) -> str:
        """A few lines for people."""
        lines = [f"{self.trials} trials in {duration(self.seconds)}; everything is in {self.run}"]
        if self.best is not None:
            lines.append(
                f"best: trial {self.best.number}, {self.best.architecture}, "
                f"top1 {self.best.top1:.3f} on validation images after short training"
            )
        if self.shipped:
            measured = self.shipped["measured"]
            energy = f", {Figure(measured['energy_mj'], 'mJ', self._energy_kind)}" if "energy_mj" in measured else ""
            latency = Figure(measured["latency_ms"], "ms", self._latency_kind, "median")
            lines += [
                f"shipped: {self.run / 'bundle'}: top1 {self.shipped['top1_tflite']:.4f} on the test images (float "
                f"{self.shipped['top1_float']:.4f}), {latency}{energy}, "
                f"{measured['size_bytes']:,} bytes",
                f"report: {self.run / 'report.html'}",
            ]
        return "\n".join(lines)


def _bundle_kind(bundle: Path) -> str:
    """How the latency of a bundle is known, where a run of an earlier version did not keep it itself."""
    from edgenas.export.bundle.bundle import read_metrics

    with contextlib.suppress(EdgeNASError, OSError):
        return common_kind(kind_of(origin) for origin in read_metrics(bundle)["provenance"].values())
    return UNKNOWN


def run_recipe(
    path: Path | str, *, resume: bool = False, data_dir: Path | None = None, output: Path | None = None
) -> RunResult:
    """Everything that the recipe in a file asks for; see :func:`run`."""
    return run(_load(path, data_dir), resume=resume, output=output)


def search_recipe(
    path: Path | str, *, resume: bool = False, data_dir: Path | None = None, output: Path | None = None
) -> RunResult:
    """Profile and search only; see :func:`run`."""
    return run(_load(path, data_dir), resume=resume, output=output, ship=False)


def run(
    recipe: Recipe,
    *,
    resume: bool = False,
    output: Path | None = None,
    ship: bool = True,
    quiet: bool = False,
    evaluator: EvaluatorFactory | None = None,
) -> RunResult:
    """Runs a recipe in its run folder, ``OUTPUT/NAME`` unless ``output`` names another.

    Args:
        recipe: checked already by itself; here it is checked against the data, the space and the device.
        resume: continue the run in that folder; finished work is not repeated.
        output: the run's folder.
        ship: also train, export and report; False ends after the search.
        quiet: show no progress.
        evaluator: how candidates are judged; None trains them shortly, as the recipe says.

    Raises:
        InputError: something in the recipe is wrong, or the folder holds another run.
        WorkError: a step failed or was interrupted; the message says what is saved and how to go on.
    """
    folder = RunFolder(output or Path(recipe.output) / recipe.name)
    context = RunContext(recipe, folder, Progress(quiet=quiet))
    check(context)
    with _removed_if_wrong(folder, fresh=not folder.path.exists()), _working(context):
        existed = folder.prepare(recipe, resume=resume)
        context.log.event("run_resumed" if existed else "run_started", recipe=recipe.name)
        profile(context)
        search(context, evaluator)
        if ship:
            _ship(context)
            _report(context)
        return _result(context)


def export_trial(folder: Path | str, trial: int | None = None, *, data_dir: Path | None = None) -> RunResult:
    """Trains, exports and measures one trial of a run (the best that fits when None) and writes its bundle.

    Raises InputError when there is no such run or trial, WorkError when the trial does not keep the budget.
    """
    run_folder = RunFolder(folder)
    recipe = run_folder.read_recipe()
    if data_dir is not None:
        recipe = recipe.with_data_directory(data_dir)
    if not run_folder.study_path.is_file():
        raise InputError(f"{folder}: nothing was searched yet; `edgenas search` does that")
    context = RunContext(recipe, run_folder, Progress())
    check(context)
    with _working(context):
        profile(context)
        if trial is None:
            _ship(context)
        else:
            _ship_trial(context, trial)
        _report(context)
        return _result(context)


def check(context: RunContext) -> None:
    """Everything that can be wrong with a recipe and is cheap to find out: data, space, device, names.

    Raises InputError.
    """
    from edgenas.export.quantization import get_recipe

    if missing := get_recipe(context.recipe.export.quantization).missing():
        raise InputError(f"export.quantization: {missing}")
    if context.precision not in context.device.precisions:
        raise InputError(
            f"export.quantization: device {context.device.name!r} cannot run {context.precision!r} models, expected "
            f"one of {', '.join(context.device.precisions)}"
        )
    check_energy_known(context)
    _ = context.space  # loads the data first, whose shape and classes it has
    for remark in remarks(context.dataset, context.recipe.data.validation_fraction, context.recipe.seed):
        context.progress.say(f"data: {one_line(remark)}")


def _load(path: Path | str, data_dir: Path | None) -> Recipe:
    recipe = Recipe.load(path)
    return recipe if data_dir is None else recipe.with_data_directory(data_dir)


@contextmanager
def _removed_if_wrong(folder: RunFolder, fresh: bool) -> Iterator[None]:
    """Takes a new folder away again when the recipe turns out to be wrong, so that the mended one can just be run."""
    try:
        yield
    except InputError:
        if fresh:
            shutil.rmtree(folder.path, ignore_errors=True)
        raise


@contextmanager
def _working(context: RunContext) -> Iterator[None]:
    """Locks the folder, shows progress, and says how to go on when the user interrupts."""
    with context.folder, context.progress:
        try:
            yield
        except KeyboardInterrupt:
            context.log.event("interrupted")
            raise WorkError(
                f"interrupted; everything finished so far is saved in {context.folder.path}; continue with the same "
                "command and --resume"
            ) from None


def _ship(context: RunContext) -> None:
    """Trains and exports the best candidate that keeps the budget when measured."""
    while True:
        number = choose(context)
        if _ship_trial(context, number, or_raise=False):
            return


def _ship_trial(context: RunContext, number: int, or_raise: bool = True) -> bool:
    study = Study.open(context.folder.study_path)
    try:
        trial = study.trial(number)
    finally:
        study.close()
    network = context.space.decode(context.space.parse(trial.architecture))
    train_final(context, number, network)
    shipped = export(context, trial, network)
    if or_raise and shipped:
        context.folder.record("choose", {"trial": number})  # what the user chose stays chosen when the run is resumed
    if or_raise and not shipped:
        reason = context.folder.step("choose")["rejected"][str(number)]
        raise WorkError(
            f"trial {number} is not shipped: {reason}; its files are in {context.folder.trial_path(number)}"
        )
    return shipped


def _report(context: RunContext) -> None:
    from edgenas.report import build_report

    with context.step("report"):
        build_report(context.folder.path)
        context.folder.record("report", {"done": True})


def _result(context: RunContext) -> RunResult:
    study = Study.open(context.folder.study_path)
    try:
        trials, ranking = study.trials, study.ranking
    finally:
        study.close()
    steps = context.folder.state["steps"]
    shipped = steps.get("export", {})
    best = ranking[0] if ranking else None
    if shipped.get("done"):
        best = next((trial for trial in trials if trial.number == shipped["trial"]), best)
    return RunResult(
        run=context.folder.path,
        best=best,
        trials=len(trials),
        seconds=sum(step.get("seconds", 0.0) for step in steps.values()),
        shipped={key: value for key, value in shipped.items() if key not in ("done", "seconds")}
        if shipped.get("done")
        else {},
    )
