"""The main job: profile, search, train, export, report, in one run folder, each step only as far as it is not done.

:func:`run_recipe` does everything, :func:`search_recipe` stops after the search, :func:`export_trial` ships one trial
of a run. All of them can be interrupted at any moment and continued.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.export.figure import UNKNOWN, Figure, common_kind, kind_of
from edgenas.plugins import given
from edgenas.recipe.recipe import Recipe
from edgenas.run.choose import NothingFitsError, choose, reject
from edgenas.run.context import RunContext
from edgenas.run.disk import is_full, no_space
from edgenas.run.export import export
from edgenas.run.fixed import find_tables, train_fixed
from edgenas.run.folder import RunFolder
from edgenas.run.other_quantization import OtherQuantization
from edgenas.run.preflight import check
from edgenas.run.profile import profile
from edgenas.run.progress import Progress, duration
from edgenas.run.records import PER_BUDGET, DeviceRecord, ExportRecord, RankingRecord, ReportRecord
from edgenas.run.saved import saved_words
from edgenas.run.search import figure_words, rank_again, search
from edgenas.run.take_over import keep_bundle, take_over
from edgenas.run.train import train_final
from edgenas.spaces.errors import EdgeNASError, InputError, WorkError
from edgenas.spaces.network import Network
from edgenas.study.cost_names import nested
from edgenas.study.evaluators import SHORT_TRAINING, judged_words
from edgenas.study.scheduler import SchedulerFactory
from edgenas.study.study import Trial
from edgenas.study.workers import EvaluatorFactory

if TYPE_CHECKING:
    from edgenas.run.ray_workers import RayCrew

__all__ = ["RunResult", "check", "export_trial", "run", "run_from_supernet", "run_recipe", "search_recipe"]


@dataclass(frozen=True)
class BudgetResult:
    """What was found for one of several budgets. ``seconds``: of choosing, training and exporting for it."""

    budget: dict[str, float]
    bundle: Path
    trial: Trial | None
    export: ExportRecord
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """``{"budget", "bundle", "best", "shipped"}``; the last three are null where nothing is shipped for it."""
        trial = self.trial
        return {
            "budget": nested(self.budget),
            "bundle": str(self.bundle) if self.export.done else None,
            "best": None if trial is None else _trial_json(trial),
            "shipped": self.export.shipped() or None,
        }

    @property
    def words(self) -> str:
        """One line for people."""
        limits = ", ".join(f"{name} {limit:g}" for name, limit in self.budget.items())
        if not self.export.done or self.trial is None:
            return f"{limits}: nothing was shipped"
        metric, _, score = self.export.scores
        measured = self.export.measured["latency_ms"]
        latency = Figure(measured, "ms", self.export.latency_kind or UNKNOWN, "median")
        return f"{limits}: trial {self.trial.number} in {self.bundle}: {metric} {score:.4f}, {latency}"


def _trial_json(trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "architecture": trial.architecture,
        **({"top1": trial.top1} if trial.metric == "top1" else {}),
        "metric": trial.metric,
        "metrics": dict(trial.metrics),
        "predicted": nested(trial.predicted),
    }


@dataclass(frozen=True)
class RunResult:
    """What a run has found. ``seconds`` counts all its steps, also those of earlier, interrupted calls."""

    run: Path
    best: Trial | None
    trials: int
    seconds: float
    export: ExportRecord = field(default_factory=ExportRecord)
    bundle: Path | None = None
    bundles: tuple[BudgetResult, ...] = ()
    """Of several budgets, what was found for each, the smallest first."""
    is_fixed: bool = False
    """Whether one network was trained instead of searched for."""
    evaluator: str = SHORT_TRAINING
    """Which judged the trials."""
    ranking: RankingRecord = field(default_factory=RankingRecord)
    """How well the supernet of a one-shot run ranks."""

    @property
    def shipped(self) -> dict[str, Any]:
        """What is shipped, as in the run's record; empty when nothing is."""
        return self.export.shipped()

    def to_json(self) -> dict[str, Any]:
        """``{"run", "best": {"trial", "architecture", "metric", "metrics", ...}, "trials", "seconds", ...}``.

        Also ``"shipped"``, which names the trial, and ``"bundle"``, the folder that it is in; of a one-shot run
        ``"ranking"``, the check of its supernet.
        """
        return {
            "run": str(self.run),
            "best": None if self.best is None else _trial_json(self.best),
            "trials": self.trials,
            "seconds": round(self.seconds, 2),
            "shipped": self.shipped or None,
            "bundle": None if self.bundle is None else str(self.bundle),
            **({"bundles": [one.to_json() for one in self.bundles]} if self.bundles else {}),
            **({"ranking": self.ranking.to_json()} if self.ranking.done else {}),
        }

    def summary(self) -> str:
        """A few lines for people, without colours."""
        named = ("trained", "best", "shipped", "report")
        return "\n".join(f"{label}: {line}" if label in named else line for label, line in self.lines())

    def lines(self) -> list[tuple[str, str]]:
        """The lines of the summary with what each is about."""
        lines = [("run", f"{self.trials} trials in {duration(self.seconds)}; everything is in {self.run}")]
        if self.is_fixed and self.best is not None:
            lines = [("run", f"{self.best.architecture} in {duration(self.seconds)}; everything is in {self.run}")]
            lines.append(("trained", f"{figure_words(self.best)} on validation examples"))
        elif self.best is not None:
            words = (
                f"trial {self.best.number}, {self.best.architecture}, "
                f"{figure_words(self.best)} on validation examples {judged_words(self.evaluator)}"
            )
            lines.append(("best", words))
        if self.ranking.words:
            lines.append(("ranking", self.ranking.words))
        if self.shipped:
            record = self.export
            devices = record.devices
            costs = [self._costs(name, facts) for name, facts in devices.items()] if len(devices) > 1 else []
            size = f"{record.measured['size_bytes']:,} bytes"
            metric, score_float, score_tflite = record.scores
            what = "" if self.is_fixed else f"trial {record.trial} in "
            shipped = (
                f"{what}{self.bundle}: {metric} {score_tflite:.4f} on "
                f"the test examples (float {score_float:.4f}), "
                f"{'; '.join(costs) or self._costs('', record)}, {size}"
            )
            lines.append(("shipped", shipped))
            lines += [("budget", use.words) for use in record.budget_use.values()]
            lines += [("budget", one.words) for one in self.bundles[:-1]]
            lines.append(("report", str(self.run / "report.html")))
        return lines

    def _costs(self, device: str, facts: ExportRecord | DeviceRecord) -> str:
        """Latency and energy of the shipped file on a device."""
        measured = facts.measured
        kind = facts.latency_kind or _bundle_kind(self.bundle or self.run / "bundle")
        costs = str(Figure(measured["latency_ms"], "ms", str(kind), "median"))
        if "energy_mj" in measured:
            costs += f", {Figure(measured['energy_mj'], 'mJ', facts.energy_kind or 'predicted')}"
        return f"{costs} on {device}" if device else costs


def _bundle_kind(bundle: Path) -> str:
    """How the latency of a bundle is known, where a run of an earlier version did not keep it itself."""
    from edgenas.export.bundle.bundle import read_metrics

    with suppress(EdgeNASError, OSError):
        return common_kind(kind_of(origin) for origin in read_metrics(bundle)["provenance"].values())
    return UNKNOWN


def run_recipe(
    path: Path | str, *, resume: bool = False, data_dir: Path | None = None, output: Path | None = None
) -> RunResult:
    """Everything that the recipe in a file asks for; see :func:`run`."""
    return run(_load(path, data_dir), resume=resume, output=_output(path, output, resume))


def search_recipe(
    path: Path | str,
    *,
    resume: bool = False,
    data_dir: Path | None = None,
    output: Path | None = None,
    study: str | None = None,
    crew: RayCrew | None = None,
) -> RunResult:
    """Profile and search only, in the study behind a URL where one is given; see :func:`run`."""
    recipe = _load(path, data_dir)
    if study is not None:
        recipe = recipe.with_study(study)
    return run(recipe, resume=resume, output=_output(path, output, resume), ship=False, crew=crew)


def run_from_supernet(
    lender: Path | str,
    budgets: Sequence[str],
    *,
    resume: bool = False,
    data_dir: Path | None = None,
    output: Path | None = None,
    ship: bool = True,
) -> RunResult:
    """Searches the trained supernet of a run for other budgets, each ``COST=LIMIT``, in a run of its own.

    Nothing of the supernet is trained again. The run's folder is beside the lender's unless ``output`` names another;
    the rest is as in :func:`run`. Raises InputError when there is no supernet in that run, or a budget is none.
    """
    from edgenas.run.supernet.borrowed import borrowing_recipe

    recipe = borrowing_recipe(lender, budgets)
    if data_dir is not None:
        recipe = recipe.with_data_directory(data_dir)
    return run(recipe, resume=resume, output=output or Path(lender).parent / recipe.name, ship=ship)


def run(
    recipe: Recipe,
    *,
    resume: bool = False,
    output: Path | None = None,
    ship: bool = True,
    quiet: bool = False,
    evaluator: EvaluatorFactory | None = None,
    scheduler: SchedulerFactory | None = None,
    crew: RayCrew | None = None,
) -> RunResult:
    """Runs a recipe in its run folder, ``OUTPUT/NAME`` unless ``output`` names another.

    Args:
        recipe: checked already by itself; here it is checked against the data, the space and the device.
        resume: continue the run in that folder; finished work is not repeated.
        output: the run's folder.
        ship: also train, export and report; False ends after the search.
        quiet: show no progress.
        evaluator: how candidates are judged; None trains them shortly, as the recipe says.
        scheduler: where they are judged, such as :class:`edgenas.study.scheduler.InProcess`; None starts workers.
        crew: workers elsewhere that judge them instead, as Ray actors.

    Raises:
        InputError: something in the recipe is wrong, or the folder holds another run.
        WorkError: a step failed or was interrupted; the message says what is saved and how to go on.
    """
    folder = RunFolder(output or Path(recipe.output) / recipe.name)
    context = RunContext(recipe, folder, Progress(quiet=quiet))
    if resume and folder.recipe_path.is_file():
        folder.prepare(recipe, resume=True)  # a key that may not change is told before anything is loaded
    check(context)
    with _removed_if_wrong(folder, fresh=not folder.path.exists()), working(context):
        existed = _prepare(context, resume=resume)
        context.log.event("run_resumed" if existed else "run_started", recipe=recipe.name)
        there = f"goes on with {saved_words(context)}" if existed else "begins"
        context.progress.say(
            f"run {recipe.name} {there}; every finished trial, epoch of a final training and step is saved in "
            f"{folder.path}"
        )
        if recipe.is_fixed:
            find_tables(context)
            train_fixed(context)
        else:
            profile(context)
            _search(context, evaluator, scheduler, crew)
        if ship:
            _ship(context)
            _report(context)
        return _result(context)


def export_trial(
    folder: Path | str,
    trial: int | None = None,
    *,
    data_dir: Path | None = None,
    output: Path | None = None,
    quantization: str | None = None,
    measure: bool = False,
) -> RunResult:
    """Trains, exports and measures one trial of a run and writes its bundle.

    Args:
        folder: the run.
        trial: its number; its bundle is ``bundles/trial-N`` and leaves ``bundle/`` and what the run chose as they are.
            None takes the best that keeps the budget, which goes to ``bundle/``.
        data_dir: as elsewhere.
        output: another folder for the bundle.
        quantization: another one than the run's, for a bundle in ``output``; those of the run stay as they are.
        measure: with it, profile what the device's table of that precision lacks, so that it can be predicted.

    Raises InputError when there is no such run or trial, WorkError when the trial does not keep the budget.
    """
    from edgenas.export.bundle.bundle import check_replaceable, copy_bundle

    context = open_searched(folder, data_dir)
    run_folder = context.folder
    if trial is not None:
        with closing(context.open_study()) as study:
            study.trial(trial)
    destination = output or (run_folder.bundle_path if trial is None else run_folder.trial_bundle_path(trial))
    check_replaceable(destination.absolute())
    other = None if quantization is None else OtherQuantization(context, quantization, measure=measure)
    with working(context):
        go_on(context)
        if other is not None:
            other.prepare()
            facts = ship_chosen(other, choose(context) if trial is None else trial, destination)
            return replace(_result(context), export=facts, bundle=destination)
        if trial is None:
            _ship(context)
            if output is not None:
                copy_bundle(run_folder.bundle_path, output)
            facts = context.folder.read(ExportRecord)
        else:
            facts = ship_chosen(context, trial, destination)
        _report(context)
        return replace(_result(context), export=facts, bundle=destination)


def open_searched(folder: Path | str, data_dir: Path | None) -> RunContext:
    """A run that was searched, checked. Raises InputError when there is none, or its recipe is wrong now."""
    run_folder = RunFolder(folder)
    recipe = run_folder.read_recipe()
    if data_dir is not None:
        recipe = recipe.with_data_directory(data_dir)
    if not run_folder.study_path.is_file():
        raise InputError(f"{folder}: nothing was searched yet; `edgenas search` does that")
    context = RunContext(recipe, run_folder, Progress())
    check(context)
    return context


def go_on(context: RunContext) -> None:
    """Goes on with a run that is open and locked, as far as its trials can be exported."""
    _check_inputs(context)
    take_over(context)
    if context.recipe.is_fixed:
        find_tables(context)
        train_fixed(context)
    else:
        profile(context)
        rank_again(context)


def _load(path: Path | str, data_dir: Path | None) -> Recipe:
    path = Path(path)
    # The recipe inside a run folder names its files from there, and the folder may have been moved without them.
    recipe = RunFolder(path.parent).read_recipe() if _is_of_a_run(path) else Recipe.load(path)
    recipe = recipe.with_plugins(given())
    return recipe if data_dir is None else recipe.with_data_directory(data_dir)


def _is_of_a_run(path: Path) -> bool:
    return path.name == "recipe.yaml" and path.is_file() and (path.parent / "inputs.json").is_file()


def _output(path: Path | str, output: Path | None, resume: bool) -> Path | None:
    """Where to run: ``edgenas run RUN/recipe.yaml --resume`` continues RUN, wherever that was moved."""
    return Path(path).parent if output is None and resume and _is_of_a_run(Path(path)) else output


@contextmanager
def _removed_if_wrong(folder: RunFolder, fresh: bool) -> Iterator[None]:
    """Takes a new folder away again when the recipe turns out to be wrong, so that the mended one can just be run.

    A folder that holds anything that took long is kept, and how to go on is said.
    """
    try:
        yield
    except InputError as error:
        if not fresh or folder.remove_if_cheap() or not folder.path.exists():
            raise
        if "--resume" in str(error):
            raise
        raise InputError(
            f"{error}. Everything finished so far is kept in {folder.path}; mend that and continue with the same "
            "command and --resume"
        ) from None


@contextmanager
def working(context: RunContext) -> Iterator[None]:
    """Locks the folder, shows progress, and says how to go on when the user interrupts or the disk is full."""
    with context.folder, context.progress:
        try:
            yield
        except KeyboardInterrupt:
            with suppress(EdgeNASError):
                context.log.event("interrupted")
            raise WorkError(
                f"interrupted; everything finished so far is saved in {context.folder.path} ({saved_words(context)}); "
                "continue with the same command and --resume"
            ) from None
        except EdgeNASError as error:
            if isinstance(error, WorkError) and is_full(error) and "--resume" not in str(error):
                raise WorkError(f"{error}; {no_space(context.folder.path)}") from None
            raise
        except Exception as error:  # libraries tell of a full disk in exceptions of their own
            if not is_full(error):
                raise
            raise WorkError(no_space(getattr(error, "filename", None) or context.folder.path)) from None


def _prepare(context: RunContext, *, resume: bool) -> bool:
    """Makes the run's folder or checks that it is the same run; True when there was one."""
    folder, recipe = context.folder, context.recipe
    existed = folder.prepare(recipe, resume=resume)
    # One that was killed before its first trial may lack its inputs: what is there now is what it is made from.
    if existed and (folder.inputs.path.is_file() or folder.study_path.is_file()):
        _check_inputs(context)
        take_over(context)
    else:
        folder.accept(recipe)
        folder.inputs.write(recipe, context.space, context.dataset, context.labels)
    return existed


def _check_inputs(context: RunContext) -> None:
    """Refuses another space or other data than those that the finished trials are of."""
    if remark := context.folder.inputs.check(context.space, context.dataset, context.labels):
        context.progress.say(f"{context.folder.path}: {remark}")
    if context.folder.study_path.is_file():
        with closing(context.open_study()) as study:
            for trial in study.trials:
                if not trial.foreign and str(context.space.parse(trial.architecture)) != trial.architecture:
                    raise InputError(f"{context.folder.path}: trial {trial.number} is of another space")


def _search(
    context: RunContext,
    evaluator: EvaluatorFactory | None,
    scheduler: SchedulerFactory | None,
    crew: RayCrew | None,
) -> None:
    """The search, with the supernet that a one-shot algorithm takes its candidates from."""
    if not context.recipe.is_one_shot:
        search(context, evaluator, scheduler, crew)
        return
    if crew is not None:
        raise InputError(
            "--ray: a one-shot search trains one supernet, here; Ray's workers evaluate separate candidates"
        )
    from edgenas.run.supernet.steps import check_supernet_ranking, prepare_candidates

    prepare_candidates(context)
    search(context, evaluator, scheduler)
    with closing(context.open_study()) as study:
        trials = study.trials
    check_supernet_ranking(context, trials)


def _ship(context: RunContext) -> None:
    """Trains and exports the best candidate that keeps the budget when measured; of several budgets, one for each.

    A budget for which there is none is told when the others are shipped.
    """
    from edgenas.export.bundle.bundle import copy_bundle

    views, folder, failed = context.budgets, context.folder, list[str]()
    if len(views) == 1:
        _ship_best(context)
        return
    for view in views:
        context.progress.say(f"budget {view.budget_name}:")
        context.log.event("budget_started", budget=view.budget_name)
        try:
            _ship_best(view)
        except NothingFitsError as error:
            failed.append(f"{view.budget_name}: {error}")
    copy = folder.budget_bundle_path(context.budget_name)
    if folder.read(ExportRecord).done and not _same_bundle(folder.bundle_path, copy):
        copy_bundle(folder.bundle_path, copy)
    if failed:
        _report(context)
        raise NothingFitsError("; ".join(failed))


def _same_bundle(one: Path, other: Path) -> bool:
    pair = [path / "metrics.json" for path in (one, other)]
    return all(path.is_file() for path in pair) and pair[0].read_bytes() == pair[1].read_bytes()


def _ship_best(context: RunContext) -> None:
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


def _report(context: RunContext) -> None:
    from edgenas.report import build_report

    with context.step(ReportRecord):
        build_report(context.folder.path)
        context.folder.write(replace(context.folder.read(ReportRecord), done=True))


def _result(context: RunContext) -> RunResult:
    with closing(context.open_study()) as study:
        trials, ranking = study.trials, study.ranking
    records = context.folder.records
    shipped = records.of(ExportRecord)
    best = ranking[0] if ranking else None
    if shipped.done:
        best = next((trial for trial in trials if trial.number == shipped.trial), best)
    if best is not None and context.recipe.space.architecture is not None:
        best = replace(best, architecture=context.recipe.space.architecture)
    bundles = _bundles(context, trials)
    return RunResult(
        run=context.folder.path,
        best=best,
        trials=len(trials),
        seconds=sum(records.seconds.values()) + sum(one.seconds for one in bundles[:-1]),
        bundles=bundles,
        export=shipped,
        bundle=context.folder.bundle_path if shipped.done else None,
        is_fixed=context.recipe.is_fixed,
        evaluator=context.recipe.search.evaluator,
        ranking=records.of(RankingRecord),
    )


def _bundles(context: RunContext, trials: Sequence[Trial]) -> tuple[BudgetResult, ...]:
    """What was found for each of several budgets; empty where there is one."""
    if len(context.budgets) == 1:
        return ()
    found = []
    for view in context.budgets:
        records = view.folder.records
        record = records.of(ExportRecord)
        trial = next((trial for trial in trials if record.done and trial.number == record.trial), None)
        seconds = sum(records.seconds.get(step, 0.0) for step in PER_BUDGET)
        bundle = view.folder.budget_bundle_path(view.budget_name)
        found.append(BudgetResult(view.recipe.limits, bundle, trial, record, seconds))
    return tuple(found)
