"""Several budgets: one search, and a bundle for each."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from edgenas.devices.device import Device
from edgenas.devices.measurement import Measurement, Provenance
from edgenas.recipe.recipe import Recipe
from edgenas.report.budgets import budgets_html, read_budgets
from edgenas.run.choose import choose
from edgenas.run.context import RunContext
from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import run
from edgenas.run.progress import Progress
from edgenas.run.records import ChooseRecord, ExportRecord
from edgenas.spaces.errors import InputError
from edgenas.study.scheduler import InProcess
from edgenas.study.store import open_study
from edgenas.study.workers import Candidate, Evaluator

Make = Callable[..., Recipe]
LIMITS = (0.02, 0.03, 0.05)
EXTRA = "search: {trials: 9, algorithm: random, latency_margin: 0, finalists: 1}\nobjective: {beta: 0}\n"
BASE = "name: a\ndata: {name: fashion_mnist}\nspace: {name: tiny_edge}\n"
ONE = BASE + "device: {name: local-cpu}\n"


class ByNumber:
    """Candidates get better with their number."""

    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        return 0.5 + candidate.number / 100


@pytest.fixture
def context(make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunContext:
    recipe = make_recipe(EXTRA, table=table_path, latency_ms=list(LIMITS))  # type: ignore[arg-type]
    found = run(recipe, ship=False, quiet=True, evaluator=ByNumber(), scheduler=InProcess)
    measurement = Measurement((0.01,), Provenance("measured", "local-cpu", "test", "0"))
    monkeypatch.setattr(Device, "measure", lambda *arguments, **options: measurement)
    return RunContext(recipe, RunFolder(found.run), Progress(quiet=True))


def test_candidates_are_searched_up_to_each_budget_and_chosen_for_it(context: RunContext):
    study = open_study(context.folder.study_path)
    trials = study.trials
    study.close()
    for trial in trials:
        assert trial.predicted["latency_ms"] <= LIMITS[trial.number % 3]
    assert [view.recipe.limits for view in context.budgets] == [{"latency_ms": limit} for limit in LIMITS]
    for view, limit in zip(context.budgets, LIMITS, strict=True):
        best = max(trial.number for trial in trials if trial.predicted["latency_ms"] <= limit)
        assert choose(view) == best
        assert choose(view) == best, "remembered"
    assert context.budgets[-1] is context
    assert context.folder.read(ChooseRecord).trial == 8
    state = json.loads((context.folder.path / "state.json").read_text())
    assert set(state["budgets"]) == {"latency_ms-0.02", "latency_ms-0.03"}


def test_each_has_a_bundle_of_its_own_and_all_are_reported(context: RunContext):
    names = [view.budget_name for view in context.budgets]
    assert names == ["latency_ms-0.02", "latency_ms-0.03", "latency_ms-0.05"]
    paths = [view.folder.bundle_path.relative_to(context.folder.path).as_posix() for view in context.budgets]
    assert paths == ["bundles/latency_ms-0.02", "bundles/latency_ms-0.03", "bundle"]
    shipped = ExportRecord(
        done=True, trial=6, top1_float=0.9, top1_tflite=0.89, measured={"latency_ms": 0.019, "size_bytes": 10_000}
    )
    context.budgets[0].folder.write(shipped)
    rows, _ = read_budgets(context.folder.path, context.recipe)
    assert [(row.name, row.trial, row.score) for row in rows] == [
        ("latency_ms-0.02", 6, 0.89),
        ("latency_ms-0.03", None, None),
        ("latency_ms-0.05", None, None),
    ]
    page = budgets_html(rows, "accuracy")
    assert 'href="bundles/latency_ms-0.02/README.md"' in page
    assert page.count("nothing is shipped") == 2
    assert context.folder.read(ExportRecord) == ExportRecord()


def test_a_damaged_state_of_a_budget_is_told(context: RunContext):
    path = context.folder.path / "state.json"
    state = json.loads(path.read_text())
    state["budgets"] = {"latency_ms-0.02": {"choose": {"trial": "six"}}}
    path.write_text(json.dumps(state))
    with pytest.raises(InputError, match=r"budgets\.latency_ms-0\.02\.choose\.trial"):
        context.folder.read(ChooseRecord)


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ("{latency_ms: [0.1, 0.1]}", "expected different numbers"),
        ("{latency_ms: []}", "is an empty list, expected one or more limits"),
        ("{latency_ms: [0.1, -1]}", "budget.latency_ms: input should be greater than 0, found -1"),
        ("{latency_ms: [0.1, a]}", "budget.latency_ms: input should be a valid number"),
        ("{latency_ms: [0.1, 0.2], macs: [1, 2]}", "latency_ms and macs are lists, expected one"),
    ],
)
def test_wrong_lists_are_told(budget: str, message: str):
    with pytest.raises(InputError) as error:
        Recipe.parse(f"{ONE}budget: {budget}\n")
    assert message in str(error.value)


def test_one_list_over_all_devices():
    first = "{name: local-cpu, budget: {latency_ms: [0.2, 0.1]}}"
    recipe = Recipe.parse(f"{BASE}devices: [{first}, {{name: edgetpu-sim, budget: {{latency_ms: 1}}}}]\n")
    assert recipe.budget_list == ("local-cpu", "latency_ms", (0.1, 0.2))
    assert recipe.limits == {"latency_ms@local-cpu": 0.2, "latency_ms@edgetpu-sim": 1.0}
    assert recipe.at_budget(0.1).limits == {"latency_ms@local-cpu": 0.1, "latency_ms@edgetpu-sim": 1.0}
    for again in (Recipe.parse(recipe.to_yaml()), pickle.loads(pickle.dumps(recipe))):
        assert (again, again.budget_list) == (recipe, recipe.budget_list)
    with pytest.raises(InputError, match="the budgets of local-cpu and edgetpu-sim hold a list each"):
        Recipe.parse(f"{BASE}devices: [{first}, {{name: edgetpu-sim, budget: {{latency_ms: [1, 2]}}}}]\n")


def test_a_list_of_one_is_a_limit():
    recipe = Recipe.parse(f"{ONE}budget: {{latency_ms: [0.2]}}\n")
    assert recipe.budget_list is None
    assert recipe == Recipe.parse(f"{ONE}budget: {{latency_ms: 0.2}}\n")
