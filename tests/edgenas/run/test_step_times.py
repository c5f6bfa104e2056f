"""Rewards over any costs, and the table of training steps that one of them comes from."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from edgenas.recipe.recipe import Recipe
from edgenas.run import step_times
from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import run
from edgenas.run.step_times import StepTable
from edgenas.spaces.blocks import ConvBnAct
from edgenas.spaces.errors import InputError
from edgenas.study.candidates import Candidate
from edgenas.study.objectives import Objective
from edgenas.study.scheduler import InProcess
from edgenas.study.study import Study
from edgenas.training.step_time import StepTime, measure_steps

Make = Callable[..., Recipe]
SMALL, LARGE = (ConvBnAct(filters, 3, 1).lower((16, 16, 8)) for filters in (4, 256))


def test_a_product_and_a_sum_of_any_costs() -> None:
    costs = {"step_ms": 4.0, "params": 100.0}
    product = Objective("product", {"step_ms": 2.0, "params": 100.0}, weights={"step_ms": -0.07, "params": -0.05})
    assert product.reward(0.5, costs) == pytest.approx(0.5 * 2**-0.07)
    total = Objective("sum", {"step_ms": 2.0}, weights={"step_ms": -0.1})
    assert total.reward(0.5, costs) == pytest.approx(0.5 - 0.2)
    with pytest.raises(InputError, match="unknown reward 'quotient'"):
        Objective("quotient", {})


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ("{reward: product}", "reward product needs terms"),
        ("{reward: soft, terms: {params: -0.05}}", "terms are of the rewards product and sum, not of soft"),
        ("{reward: product, terms: {paramz: 1}}", "objective.terms names 'paramz'; expected some of size_bytes"),
        ("{reward: sum, terms: {params: -1}}", "objective.references lacks 'params'"),
        ("{reward: sum, terms: {params: -1}, references: {params: 0}}", "references.params: must be above 0"),
        ("{reward: sum, terms: {latency_ms: -1}, references: {params: 1}}", "references names 'params'"),
        ("{reward: product, terms: {params: -1}, beta: -0.1}", "beta and costs are not of reward product"),
    ],
)
def test_a_reward_that_makes_no_sense_is_told(make_recipe: Make, objective: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_recipe(f"objective: {objective}")


def test_a_budget_is_the_reference_where_there_is_one(make_recipe: Make) -> None:
    recipe = make_recipe(
        "objective: {reward: sum, terms: {latency_ms: -0.1, params: -0.2}, references: {params: 5000}}"
    )
    assert recipe.objective_within({"latency_ms": 0.04}).targets == {"latency_ms": 0.05, "params": 5000}


def test_steps_of_a_larger_block_take_longer() -> None:
    found = measure_steps({"small": SMALL, "large": LARGE}, 16, rounds=2, visit_seconds=0.002)
    assert found["large"].step_ms > found["small"].step_ms > 0
    assert found["large"].visits == 2


def test_a_table_reads_back_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    path = tmp_path / "steps.csv"
    table = StepTable({"kind": "measured"}, {"conv(filters=4)@16x16x8/float32": StepTime(0.5, 0.1, 3, 5)})
    path.write_text(table.to_text())
    assert StepTable.load(path) == table
    path.write_text("nothing")
    with pytest.raises(InputError, match="cannot be read as a table of training steps"):
        StepTable.load(path)


def test_a_search_counts_training_steps(
    make_recipe: Make, table_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def stand_in(graphs: Mapping[str, Any], batch: int, **_: Any) -> dict[str, StepTime]:
        measured.append(len(graphs))
        return {name: StepTime(1.0 + graph.macs / 1e6, 0.0, 1, 1) for name, graph in graphs.items()}

    monkeypatch.setattr("edgenas.training.step_time.measure_steps", stand_in)
    text = (
        "search: {trials: 3, algorithm: random}\nobjective: {reward: product, terms: {step_ms: -0.5, params: -0.05}}\n"
    )
    recipe = make_recipe(text, table=table_path)

    def search(name: str) -> RunFolder:
        evaluator: Any = lambda: _half  # noqa: E731
        folder = tmp_path / name
        run(recipe, output=folder, ship=False, quiet=True, scheduler=InProcess, evaluator=evaluator)
        return RunFolder(folder)

    folders = [search("one"), search("two")]
    assert len(measured) == 1  # the second run takes the table of the first
    assert step_times.step_table_path(recipe.search.training.batch_size).is_file()
    trial = Study.open(folders[1].study_path).trials[0]
    costs = trial.predicted
    assert trial.reward == pytest.approx(0.5 * costs["step_ms"] ** -0.5 * costs["params"] ** -0.05)


def _half(candidate: Candidate) -> float:
    return 0.5
