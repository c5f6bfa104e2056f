"""What a run has found, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.export.figure import UNKNOWN, Figure, common_kind, kind_of
from edgenas.run.outcomes import figure_words
from edgenas.run.progress import duration
from edgenas.run.records import PER_BUDGET, DeviceRecord, ExportRecord, RankingRecord
from edgenas.spaces.errors import EdgeNASError
from edgenas.study.cost_names import nested
from edgenas.study.evaluators import SHORT_TRAINING, figure_origin
from edgenas.study.trial import Trial

if TYPE_CHECKING:
    from edgenas.run.context import RunContext


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
    is_first: bool = True
    """Whether ``best`` is the first of the search's ranking; else finalists, measured budgets or you chose another."""
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
        named = ("trained", "best", "chosen", "shipped", "report")
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
                f"{figure_words(self.best)} {figure_origin(self.evaluator)}"
            )
            lines.append(("best" if self.is_first else "chosen", words))
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


def result_of(context: RunContext) -> RunResult:
    """What the run of a folder has found so far."""
    with closing(context.open_study()) as study:
        trials, ranking = study.trials, study.ranking
    records = context.folder.records
    shipped = records.of(ExportRecord)
    best = ranking[0] if ranking else None
    if shipped.done:
        best = next((trial for trial in trials if trial.number == shipped.trial), best)
    is_first = not ranking or best is None or best.number == ranking[0].number
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
        is_first=is_first,
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


def _trial_json(trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "architecture": trial.architecture,
        **({"top1": trial.top1} if trial.metric == "top1" else {}),
        "metric": trial.metric,
        "metrics": dict(trial.metrics),
        "predicted": nested(trial.predicted),
    }


def _bundle_kind(bundle: Path) -> str:
    """How the latency of a bundle is known, where a run of an earlier version did not keep it itself."""
    from edgenas.export.bundle.bundle import read_metrics

    with suppress(EdgeNASError, OSError):
        return common_kind(kind_of(origin) for origin in read_metrics(bundle)["provenance"].values())
    return UNKNOWN
