"""Energy as a cost: budgeted, rewarded, searched, shipped and reported with its kind; refused where unknown."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgenas.cli import main
from edgenas.devices import Energy, Measurement, MeterFound, Provenance
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.table.energy_header import TableEnergy
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.recipe.recipe import Recipe
from edgenas.run.choose import over_energy
from edgenas.run.pipeline import run
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.study.costs import CostModel
from edgenas.study.study import Study
from edgenas.study.workers import Candidate, Evaluator

Make = Callable[..., Recipe]
FEW = (
    "search: {trials: 4, algorithm: random}\ntraining: {epochs: 1, batch_size: 32}\nexport: {calibration_images: 20}\n"
)


class ByNumber:
    """Candidates get worse with their number."""

    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        return 0.9 - candidate.number / 100


def few_images(folder: Path) -> Path:
    from edgenas.data import load_dataset

    data = load_dataset("fashion_mnist")
    train, test = data.train.subset(100, seed=0), data.test.subset(50, seed=0)
    path = folder / "few.npz"
    np.savez(path, x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)
    return path


def for_simulation(recipe: Recipe, budget: dict[str, float]) -> Recipe:
    document = recipe.model_dump(mode="json", exclude_none=True)
    document["device"] = {"name": "edgetpu-sim"}
    document["budget"] = budget
    return Recipe.model_validate(document)


def test_a_recipe_with_an_energy_budget_from_profile_to_bundle(make_recipe: Make, tmp_path: Path) -> None:
    recipe = for_simulation(make_recipe(FEW), {"energy_mj": 1.6, "latency_ms": 5.0})
    recipe = recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update={"name": None, "path": str(few_images(tmp_path))}),
            "objective": recipe.objective.model_copy(update={"costs": ["energy_mj"]}),
        }
    )
    assert recipe.objective_targets == {"energy_mj": 1.6}
    result = run(recipe, quiet=True, evaluator=ByNumber())
    study = Study.open(result.run / "study.db")
    limit_mj = study.facts["limits"]["energy_mj"]
    assert limit_mj == pytest.approx(1.6 * 0.95)
    assert len(study.trials) == 4
    for trial in study.trials:
        assert 0 < trial.predicted["energy_mj"] <= limit_mj
        assert trial.reward is not None
        assert trial.top1 is not None
        ratio = trial.predicted["energy_mj"] / limit_mj
        assert trial.reward == pytest.approx(trial.top1 - 0.1 * abs(ratio - 1))
    study.close()

    metrics = json.loads((result.run / "bundle" / "metrics.json").read_text())
    told = metrics["provenance"]["edgetpu-sim"]["energy"]
    assert told["kind"] == "simulated"
    assert 0 < told["energy_mj"] <= 1.6
    assert metrics["predicted"]["edgetpu-sim"]["energy_mj"] == pytest.approx(told["energy_mj"], rel=0.1)
    assert metrics["predicted"]["edgetpu-sim"]["energy_provenance"]["kind"] == "simulated"
    assert metrics["budget"] == {"energy_mj": 1.6, "latency_ms": 5.0}

    rows = list(csv.DictReader((result.run / "pareto.csv").open()))
    assert all(float(row["energy_mj"]) > 0 for row in rows)
    assert any(row["on_energy_front"] == "true" for row in rows)
    assert rows[0]["energy_provenance"].startswith("predicted from energies simulated for edgetpu-sim (watts x latency")
    page = (result.run / "report.html").read_text()
    assert "Accuracy against energy" in page
    assert "<b>simulated</b> watts x latency" in page


def test_an_energy_that_cannot_be_reached_is_refused_with_the_least(make_recipe: Make) -> None:
    recipe = for_simulation(make_recipe(FEW), {"energy_mj": 0.001})
    with pytest.raises(InputError, match=r"budget\.energy_mj: 0\.001 mJ cannot be reached on 'edgetpu-sim'.*smallest"):
        run(recipe, quiet=True, evaluator=ByNumber())


def test_an_energy_budget_without_watts_or_meter_says_what_to_do(make_recipe: Make, table_path: Path) -> None:
    document = make_recipe(FEW, table=table_path).model_dump(mode="json", exclude_none=True)
    recipe = Recipe.model_validate(document | {"budget": {"energy_mj": 1.0}})
    with pytest.raises(InputError, match=r"budget\.energy_mj: nothing is known of the energy.*--idle-watts"):
        run(recipe, quiet=True, evaluator=ByNumber())


def test_it_is_said_before_anything_is_measured(make_recipe: Make, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(*_: object, **__: object) -> None:
        raise AssertionError("blocks were measured")

    monkeypatch.setattr("edgenas.run.pipeline.profile", too_late)
    monkeypatch.setattr("edgenas.devices.kinds.local.LocalDevice.meter", lambda self: MeterFound(None, "none"))
    document = make_recipe(FEW).model_dump(mode="json", exclude_none=True)
    recipe = Recipe.model_validate(document | {"budget": {"energy_mj": 1.0}})
    with pytest.raises(InputError, match=r"budget\.energy_mj: nothing is known of the energy"):
        run(recipe, quiet=True, evaluator=ByNumber())
    monkeypatch.setattr("edgenas.devices.kinds.local.LocalDevice.meter", lambda self: MeterFound("rapl: package-0"))
    with pytest.raises(AssertionError, match="blocks were measured"):
        run(recipe, quiet=True, evaluator=ByNumber())


@pytest.fixture
def costs(make_recipe: Make, table_path: Path) -> CostModel:
    """Costs with energies of 3 W above idle, and one thrifty block."""
    table = LatencyTable.load(table_path)
    energies = {name: 3.0 * row.latency_ms for name, row in table.rows.items()}
    table = table.with_energies(energies, TableEnergy("modelled", "watts x latency", 1.0, 4.0))
    return CostModel(SearchSpace.load(make_recipe().space.spec), "int8", Predictor(table))


def test_populations_have_an_energy(costs: CostModel) -> None:
    population = costs.space.sample(np.random.default_rng(0), 50)
    found = costs.population(population, ["latency_ms", "energy_mj"])
    assert found["energy_mj"] == pytest.approx(3.0 * found["latency_ms"])
    architecture, least = costs.cheapest("energy_mj")
    assert least <= found["energy_mj"].min() + 1e-12
    assert costs.architecture(architecture)["energy_mj"] == pytest.approx(least)
    problem = costs.problem({"energy_mj": float(np.median(found["energy_mj"]))}, trials=5)
    assert problem.feasible(population).mean() == pytest.approx(0.5, abs=0.02)


def test_without_energies_that_cost_is_not_there(make_recipe: Make, table_path: Path) -> None:
    space = SearchSpace.load(make_recipe().space.spec)
    costs = CostModel(space, "int8", Predictor(LatencyTable.load(table_path)))
    assert "energy_mj" not in costs.architecture(costs.cheapest("macs")[0])
    with pytest.raises(InputError, match="energy of device"):
        costs.cheapest("energy_mj")


@pytest.mark.parametrize(
    ("energy_mj", "limit_mj", "is_over"), [(2.0, 1.0, True), (1.0, 1.0, False), (2.0, None, False)]
)
def test_a_measured_energy_over_the_budget_is_told(energy_mj: float, limit_mj: float | None, is_over: bool) -> None:
    energy = Energy(energy_mj, 2 * energy_mj, 1.0, 2.0, 10, 1.0, "rapl: package-0", "measured")
    measurement = Measurement((1.0,), Provenance("measured", "pi", "test", "0"), energy)
    assert bool(over_energy(measurement, limit_mj)) == is_over
    assert over_energy(dataclasses.replace(measurement, energy=None), limit_mj) == ""
    if is_over:
        assert over_energy(measurement, limit_mj) == "2 mJ (measured) is over the budget of 1 mJ"


@pytest.fixture
def edgenas(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> Callable[..., tuple[int, str, str]]:
    def run_command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["edgenas", *arguments])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


def test_describe_tells_energy_node_by_node(edgenas: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = edgenas("describe", "mobilenet_v2_0.35", "--device", "edgetpu-sim", "--json")
    assert code == 0
    data = json.loads(out)
    assert data["energy_mj"] > sum(node["energy_mj"] for node in data["nodes"]) > 0
    assert data["energy_provenance"]["kind"] == "simulated"
    assert "160 pJ per byte" in data["energy_provenance"]["summary"]


def test_this_machine_with_watts_of_ones_own(edgenas: Callable[..., tuple[int, str, str]], home: Path) -> None:
    words = ("devices", "add", "laptop", "--local", "--idle-watts", "3")
    code, _, err = edgenas(*words)
    assert code == 2
    assert "must be given together" in err
    assert edgenas(*words, "--active-watts", "9", "--no-check")[0] == 0
    code, out, _ = edgenas("devices", "check", "laptop", "--json")
    assert code == 0
    data = json.loads(out)
    assert data["energy"]["kind"] == "modelled" or data["meter"]["name"]
    assert "9 W active (given by the user)" in data["meter"]["watts"]
    (home / "devices" / "laptop.yaml").write_text("name: laptop\nkind: local\npower: {idle_watts: 3}\n")
    code, _, err = edgenas("devices", "show", "laptop")
    assert code == 2
    assert "laptop.yaml: power: idle_watts and active_watts must be given together" in err
