"""A run that goes on with a changed recipe: which keys may change, what is done again, and that nothing is lost."""

import json
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from edgenas.recipe.devices import BudgetedDevice
from edgenas.recipe.errors import section_of
from edgenas.recipe.recipe import Recipe
from edgenas.run.changes import RULES, changes_between, may_change, refuse, rule_of
from edgenas.run.folder import RunFolder
from edgenas.run.log import read_log
from edgenas.run.pipeline import export_trial, run, run_recipe
from edgenas.run.records import ChooseRecord, ExportRecord, SearchRecord
from edgenas.search.algorithm import algorithm_names
from edgenas.spaces.errors import InputError, WorkError
from edgenas.study.scheduler import InProcess
from tests.edgenas.run.test_pipeline_ship import SHORT, ByNumber, with_few_images

Make = Callable[..., Recipe]


def keys(model: type[BaseModel] = Recipe, prefix: str = "") -> Iterator[str]:
    """Every key that a recipe can have."""
    for name, field in model.model_fields.items():
        section = section_of(field.annotation)
        if section is BudgetedDevice:
            yield from keys(section, f"{prefix}{name}.0.")
        elif section is not None:
            yield from keys(section, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


KEYS = list(keys())


@pytest.fixture(autouse=True)
def same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgenas.run.search.WorkerPool", InProcess)


# The table ---------------------------------------------------------------------------------------------------------


def test_every_key_has_a_rule_and_every_rule_a_key():
    assert len(KEYS) > 80
    used = {rule_of(key) for key in KEYS}
    assert {rule.key for rule in RULES} <= {rule.key for rule in used}
    assert all(rule in RULES for rule in used)
    assert all(rule.why and rule.instead for rule in RULES)


@pytest.mark.parametrize("key", KEYS)
def test_a_change_of_any_key_is_found_and_refused_or_not_as_the_table_says(key: str, make_recipe: Make):
    recipe = make_recipe()
    if key.startswith("devices."):
        device = {"name": "local-cpu", "budget": {"latency_ms": 0.05}}
        values = recipe.model_dump(mode="json") | {"device": None, "budget": None, "devices": [device]}
        recipe = Recipe.model_validate(values)
    if key.startswith("supernet."):
        recipe = make_recipe("search: {algorithm: supernet}\n")
    if key.startswith("distillation."):
        recipe = make_recipe("distillation: {teacher: best}\n")
    if key.startswith("export.finalize."):
        recipe = make_recipe("export: {finalize: {argmax: chain}}\n")
    if ".progressive." in key:
        recipe = make_recipe("search: {training: {progressive: true}}\ntraining: {progressive: true}\n")
    other = changed(recipe, key.split("."))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the value is of any type
        (change,) = changes_between(recipe, other)
        assert change.key == key
        if rule_of(key).again is None:
            with pytest.raises(InputError, match=f"{key} may not change in a run that has begun .*\\): .*instead, "):
                refuse("runs/demo", [change], recipe, other)
        elif key not in ("export.quantization", "search.study"):
            refuse("runs/demo", [change], recipe, other)


def changed(section: Any, path: list[str]) -> Any:
    """The same with another value at the end of a path, whether it makes sense or not."""
    if path[0].isdigit():
        return (changed(section[0], path[1:]),)
    if len(path) == 1:
        return section.model_copy(update={path[0]: 12345})
    return section.model_copy(update={path[0]: changed(getattr(section, path[0]), path[1:])})


def test_a_quantization_of_another_table_is_refused(make_recipe: Make):
    recipe = make_recipe()

    def other(name: str) -> Recipe:
        return recipe.model_copy(update={"export": recipe.export.model_copy(update={"quantization": name})})

    refuse("runs/demo", changes_between(recipe, other("int8-qat")), recipe, other("int8-qat"))
    with pytest.raises(InputError, match=r"int8 table, and this needs float32.*edgenas export RUN --quantization"):
        refuse("runs/demo", changes_between(recipe, other("dynamic")), recipe, other("dynamic"))


def test_the_help_names_what_may_change():
    for key in ("search.trials", "search.workers", "budget", "training", "export"):
        assert key in may_change()
    assert "seed" not in may_change()
    assert "export.quantization" not in may_change()


# The search --------------------------------------------------------------------------------------------------------


def recipe_of(make_recipe: Make, table: Path, search: str = "trials: 6", **options: Any) -> Recipe:
    return make_recipe(f"search: {{{search}}}\nobjective: {{reward: soft}}\n", table=table, **options)


def go(recipe: Recipe, *, resume: bool = True) -> RunFolder:
    return RunFolder(run(recipe, resume=resume, quiet=True, ship=False, evaluator=ByNumber()).run)


def trials(folder: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.path.glob("trials/*/trial.json"))]


def test_more_trials_go_on_from_those_that_are_there(make_recipe: Make, table_path: Path):
    first = go(recipe_of(make_recipe, table_path), resume=False)
    before = trials(first)
    folder = go(recipe_of(make_recipe, table_path, "trials: 9, workers: 2"))
    assert [trial for trial in trials(folder) if trial["trial"] < 6] == before
    assert folder.read(SearchRecord).trials == 9
    assert folder.read_recipe().search.trials == 9
    (event,) = [event for event in read_log(folder.path / "log.jsonl") if event["event"] == "recipe_changed"]
    assert event["changes"] == {"search.trials": [6, 9], "search.workers": [1, 2]}
    go(recipe_of(make_recipe, table_path, "trials: 4"))
    assert len(trials(folder)) == 9, "fewer trials delete none"


#: Those that keep most of their state in what they have seen; the others are slow tests.
FEW = ("auto", "layernas", "reinforce")


@pytest.mark.parametrize(
    "algorithm",
    [
        pytest.param(name, marks=[] if name in FEW else pytest.mark.slow)
        for name in algorithm_names()
        if name not in ("gp", "hypervolume")
    ],
)
def test_every_algorithm_goes_on_with_more_trials(make_recipe: Make, table_path: Path, algorithm: str):
    go(recipe_of(make_recipe, table_path, f"trials: 5, algorithm: {algorithm}"), resume=False)
    folder = go(recipe_of(make_recipe, table_path, f"trials: 12, algorithm: {algorithm}"))
    assert len(trials(folder)) > 5


def test_another_budget_ranks_the_trials_again(make_recipe: Make, table_path: Path):
    folder = go(recipe_of(make_recipe, table_path, "trials: 10, algorithm: random"), resume=False)
    from edgenas.run.ranked import open_ranked

    study = open_ranked(folder)
    before = {trial.number: trial for trial in study.trials}
    half = sorted(trial.predicted["latency_ms"] for trial in study.trials)[4]
    folder = go(recipe_of(make_recipe, table_path, "trials: 10, algorithm: random", latency_ms=half * 1.08))
    limit = folder.read(SearchRecord).limits["latency_ms"]
    assert half <= limit < half * 1.08
    again = open_ranked(folder)
    assert again.facts["limits"] == {"latency_ms": limit}
    kept = {trial.number for trial in again.ranking}
    assert kept == {number for number, trial in before.items() if trial.predicted["latency_ms"] <= limit}
    assert 0 < len(kept) < 10
    for trial in again.trials:
        ratio = trial.predicted["latency_ms"] / limit
        assert trial.reward == pytest.approx(before[trial.number].metrics["top1"] * ratio**-0.07)
    assert folder.read(SearchRecord).best == again.ranking[0].number
    # and back again
    back = open_ranked(go(recipe_of(make_recipe, table_path, "trials: 10, algorithm: random")))
    assert [trial.reward for trial in back.trials] == pytest.approx([trial.reward for trial in before.values()])


def test_a_budget_that_no_trial_keeps_says_what_to_do(make_recipe: Make, table_path: Path):
    few = "trials: 3, algorithm: random"
    folder = go(recipe_of(make_recipe, table_path, few), resume=False)
    from edgenas.run.ranked import open_ranked

    with pytest.raises(InputError, match=r"budget\.latency_ms: 0\.0001 ms cannot be reached") as error:
        go(recipe_of(make_recipe, table_path, few, latency_ms=0.0001))
    smallest = float(re.findall(r"smallest budget is ([\d.]+) ms", str(error.value))[0]) * 1.001
    assert smallest < min(trial.predicted["latency_ms"] for trial in open_ranked(folder).trials)
    with pytest.raises(WorkError, match=r"none of 3 trials keeps the budget .*Raise search\.trials"):
        go(recipe_of(make_recipe, table_path, few, latency_ms=smallest))
    assert go(recipe_of(make_recipe, table_path, "trials: 6, algorithm: random", latency_ms=smallest))
    assert open_ranked(folder).ranking[0].number >= 3


def test_keys_that_may_not_change_are_told_all_at_once(make_recipe: Make, table_path: Path):
    recipe = recipe_of(make_recipe, table_path)
    folder = go(recipe, resume=False)
    text = folder.recipe_path.read_text()
    with pytest.raises(InputError) as error:
        go(recipe.model_copy(update={"seed": 9, "task": "classification"}))
    seed, task = error.value.problems
    assert "seed may not change in a run that has begun (was 1, now 9): " in seed
    assert "Undo that to continue the run; instead, start another run with a new name" in seed
    assert "task may not change" in task
    assert folder.recipe_path.read_text() == text


def test_the_recipe_in_the_run_folder_can_be_edited(make_recipe: Make, table_path: Path):
    folder = go(recipe_of(make_recipe, table_path), resume=False)
    text = folder.recipe_path.read_text()
    folder.recipe_path.write_text("# mine\n" + text.replace("trials: 6", "trials: 8"))
    options: dict[str, Any] = {"evaluator": ByNumber(), "quiet": True, "ship": False}
    run_folder = RunFolder(run(folder.read_recipe(), resume=True, output=folder.path, **options).run)
    assert run_folder.read(SearchRecord).trials == 6 or len(trials(folder)) == 8
    assert folder.recipe_path.read_text().startswith("# mine\n")
    folder.recipe_path.write_text(text.replace("seed: 1", "seed: 2"))
    with pytest.raises(InputError, match=r"seed may not change .* \(was 1, now 2\)"):
        run_recipe(folder.recipe_path, resume=True)
    with pytest.raises(InputError, match=r"seed may not change .* \(was 1, now 2\)"):
        export_trial(folder.path)


# What is shipped ---------------------------------------------------------------------------------------------------


def test_a_longer_training_and_another_export_keep_what_was_there(make_recipe: Make, table_path: Path, tmp_path: Path):
    def recipe(text: str = SHORT) -> Recipe:
        return with_few_images(make_recipe(text, table=table_path, latency_ms=5.0), tmp_path)

    def ship(text: str) -> RunFolder:
        return RunFolder(run(recipe(text), resume=True, quiet=True, evaluator=ByNumber()).run)

    folder = RunFolder(run(recipe(), quiet=True, evaluator=ByNumber()).run)
    number = folder.read(ChooseRecord).trial
    assert number is not None
    first = (folder.bundle_path / "metrics.json").read_bytes()
    weights = (folder.trial_path(number) / "final" / "model.weights.h5").read_bytes()

    longer = ship(SHORT.replace("epochs: 2", "epochs: 3"))
    assert (longer.path / "bundles" / "earlier-1" / "metrics.json").read_bytes() == first
    assert (folder.trial_path(number) / "final-earlier-1" / "model.weights.h5").read_bytes() == weights
    record = json.loads((folder.trial_path(number) / "final" / "training.json").read_text())
    assert record["settings"]["epochs"] == 3
    assert (folder.bundle_path / "metrics.json").read_bytes() != first
    assert not folder.read(ExportRecord).earlier

    ship(SHORT.replace("images: 50", "images: 40"))  # the first training again, exported otherwise
    events = [event["event"] for event in read_log(folder.path / "log.jsonl")]
    assert events.count("trained") == 2, "the training of these settings was taken back"
    assert events.count("exported") == 3
    assert (folder.trial_path(number) / "final" / "model.weights.h5").read_bytes() == weights
    before = (folder.bundle_path / "metrics.json").read_bytes()
    ship(SHORT.replace("images: 50", "images: 40"))
    assert (folder.bundle_path / "metrics.json").read_bytes() == before, "nothing is done again when nothing changed"


def test_the_documents_name_every_rule():
    text = (Path(__file__).parents[3] / "docs" / "getting-started.md").read_text(encoding="utf-8")
    table = text.partition("## Going on with a changed recipe")[2].partition("\n## ")[0]
    assert [rule.key for rule in RULES if f"`{rule.key}`" not in table] == []
