"""One model for two devices: one search, a budget and a table each, both in report and bundle."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgenas.compare.quantizations import compare_quantizations
from edgenas.recipe.recipe import Recipe
from edgenas.run.choose import MEASUREMENTS
from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import run
from edgenas.run.shipping import file_names
from edgenas.spaces.errors import InputError
from edgenas.study.study import Study
from edgenas.study.workers import Candidate, Evaluator

Make = Callable[..., Recipe]
TWO = """\
name: demo
seed: 1
output: {output}
data: {{path: few.npz}}
space: {{path: space.yaml}}
devices:
  - {{name: local-cpu, table: given-table.csv, budget: {{latency_ms: {cpu_ms}, macs: 4000000}}}}
  - {{name: edgetpu-sim, weight: 0.5, budget: {{latency_ms: {tpu_ms}}}}}
search: {{trials: 3, finalists: 1, algorithm: random, training: {{epochs: 1, batch_size: 32}}}}
training: {{epochs: 1, batch_size: 32, learning_rate: 0.01}}
export: {{calibration_images: 50, accuracy_drop: 1}}
"""


class ByNumber:
    """Candidates get worse with their number."""

    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        return 0.9 - candidate.number / 100


@pytest.fixture
def make(make_recipe: Make, table_path: Path, tmp_path: Path) -> Make:
    from edgenas.data import load_dataset

    make_recipe()  # writes the space
    data = load_dataset("fashion_mnist")
    train, test = data.train.subset(300, seed=0), data.test.subset(100, seed=0)
    few = {"x_train": train.images, "y_train": train.labels, "x_test": test.images, "y_test": test.labels}
    np.savez(tmp_path / "few.npz", **few)

    def two(cpu_ms: float = 5.0, tpu_ms: float = 5.0) -> Recipe:
        path = tmp_path / "two.yaml"
        path.write_text(TWO.format(output=tmp_path / "runs", cpu_ms=cpu_ms, tpu_ms=tpu_ms))
        return Recipe.load(path)

    return two


def test_one_search_for_two_devices(make: Make) -> None:
    from edgenas.export.bundle.bundle import verify_bundle

    recipe = make()
    result = run(recipe, quiet=True, evaluator=ByNumber())
    folder = RunFolder(result.run)
    names = ["local-cpu", "edgetpu-sim"]

    study = Study.open(folder.study_path)
    limits, (first, *_) = study.facts["limits"], study.trials
    study.close()
    assert set(limits) == {"latency_ms@local-cpu", "latency_ms@edgetpu-sim", "macs"}
    assert set(limits) <= set(first.predicted)
    assert all(first.predicted[name] <= limit for name, limit in limits.items())
    assert folder.table_path.read_text() != (result.run / "table-edgetpu-sim.csv").read_text()

    assert verify_bundle(result.run / "bundle") == []
    metrics = json.loads((result.run / "bundle" / "metrics.json").read_text())
    assert metrics["budget"] == {
        "local-cpu": {"latency_ms": 5.0, "macs": 4_000_000},
        "edgetpu-sim": {"latency_ms": 5.0},
    }
    for name in names:
        assert 0 < metrics["latency_ms"][name]["median"] <= metrics["budget"][name]["latency_ms"]
        assert metrics["predicted"][name]["latency_ms"] > 0
        assert metrics["budget_use"][name]["latency_ms"]["binds"] is False
    assert {metrics["provenance"][name]["kind"] for name in names} == {"measured", "simulated"}
    assert metrics["files"] == dict.fromkeys(names, "model.tflite")

    best = result.to_json()["best"]
    assert list(best["predicted"]) == names
    assert best["predicted"]["edgetpu-sim"]["macs"] == best["predicted"]["local-cpu"]["macs"]
    summary = result.summary()
    assert "on local-cpu" in summary
    assert "(simulated, median)" in summary
    assert "on edgetpu-sim" in summary
    assert "never binds" in summary

    rows = list(csv.DictReader((result.run / "pareto.csv").open()))
    assert float(rows[0]["latency_ms"]) == pytest.approx(first.predicted["latency_ms@local-cpu"], rel=1e-4)
    assert float(rows[0]["latency_ms@edgetpu-sim"]) == pytest.approx(
        first.predicted["latency_ms@edgetpu-sim"], rel=1e-4
    )
    page = (result.run / "report.html").read_text()
    assert 'id="pareto"' in page
    assert 'id="pareto-2"' in page
    assert "never binds" in page
    card = (result.run / "bundle" / "README.md").read_text()
    assert "edgetpu-sim (latency of at most 5 ms)" in card

    again = run(recipe, quiet=True, evaluator=ByNumber(), resume=True)
    assert again.to_json()["best"] == best

    compared = compare_quantizations(result.run, names=("float32", "int8"))
    assert compared["devices"] == names
    by_name = {row["quantization"]: row["devices"] for row in compared["rows"]}
    assert by_name["int8"]["edgetpu-sim"]["latency"]["kind"] == "simulated"
    assert by_name["int8"]["edgetpu-sim"]["latency"]["quiet_ms"] > 0
    assert "float32" in by_name["float32"]["edgetpu-sim"]["latency"]["error"]
    assert {"local-cpu", "edgetpu-sim"} == set(by_name["float32"])


def test_a_budget_out_of_reach_names_its_device(make: Make) -> None:
    with pytest.raises(InputError, match=r"devices\.edgetpu-sim\.budget\.latency_ms: .* cannot be reached"):
        run(make(tpu_ms=1e-5), quiet=True, evaluator=ByNumber())


def test_a_device_that_is_slower_than_predicted_rejects(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgenas.devices.device import Device
    from edgenas.devices.measurement import Measurement, Provenance
    from edgenas.spaces.errors import WorkError

    monkeypatch.setattr("edgenas.run.choose.PAUSE_SECONDS", 0)
    calls = []

    def slow(self: Device, model: bytes, **_: object) -> Measurement:
        calls.append(self.name)
        return Measurement((9.0,), Provenance("simulated", "edgetpu-sim", "test", "0"))

    monkeypatch.setattr(Device, "measure", slow)
    with pytest.raises(WorkError, match=r"trial 0: 9 ms \(simulated, median\) on local-cpu is over the budget of 5 ms"):
        run(make(), quiet=True, evaluator=ByNumber())
    assert set(calls) == {"local-cpu"}  # what is over there need not be measured on the other
    assert len(calls) % MEASUREMENTS == 0


def test_files_are_named_after_devices_where_they_differ() -> None:
    assert file_names({"a": b"1", "my b/2": b"2"}) == {"a": "model.tflite", "my b/2": "model-my-b-2.tflite"}
