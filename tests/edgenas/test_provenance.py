"""Every output of a run says how its figures are known, and calls nothing measured that no device has run."""

import contextlib
import csv
import dataclasses
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgenas.cli import main
from edgenas.data import load_dataset
from edgenas.devices.device import Device
from edgenas.devices.measurement import Energy, Kind, Measurement, Provenance
from edgenas.recipe.recipe import Recipe
from edgenas.report import build_report
from edgenas.run.pipeline import run
from edgenas.run.result import RunResult
from edgenas.study.workers import Candidate, Evaluator

Make = Callable[..., Recipe]
SHORT = """
search: {trials: 2, finalists: 1, training: {epochs: 1, batch_size: 32}}
training: {epochs: 2, batch_size: 32, learning_rate: 0.01}
export: {calibration_images: 50}
"""
#: Sentences that say that nothing was measured, file and key names.
ALLOWED = re.compile(r"simulated, not measured|measured_ms|measured_share|\"measured\":")


class ByNumber:
    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        return 0.9 - candidate.number / 100


def with_few_images(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe on 300 training and 200 test images."""
    data = load_dataset("fashion_mnist")
    train, test = data.train.subset(300, seed=0), data.test.subset(200, seed=0)
    path = folder / "few.npz"
    np.savez(path, x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"name": None, "path": str(path)})})


def claims_of_measuring(text: str) -> list[str]:
    """The places where a text says that something was measured."""
    left = ALLOWED.sub("", re.sub(r"<style>.*?</style>|<script>.*?</script>", "", text, flags=re.DOTALL))
    return [left[max(0, m.start() - 60) : m.end() + 30] for m in re.finditer(r"(?i)\bmeasured\b", left)]


def outputs(result: RunResult, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Every text that a finished run gives to people and programs."""
    captured = capsys.readouterr()
    names = ("report.html", "pareto.csv", "bundle/README.md", "bundle/metrics.json", "bundle/run.py")
    texts = {name: (result.run / name).read_text(encoding="utf-8") for name in names}
    return texts | {"terminal": captured.err + captured.out, "summary": result.summary()}


def with_device(recipe: Recipe, name: str) -> Recipe:
    return recipe.model_copy(update={"device": recipe.device.model_copy(update={"name": name, "table": None})})


def test_a_simulated_run_is_never_called_measured(
    make_recipe: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = with_device(with_few_images(make_recipe(SHORT, latency_ms=5.0), tmp_path), "edgetpu-sim")
    result = run(recipe, evaluator=ByNumber())
    for name, text in outputs(result, capsys).items():
        assert claims_of_measuring(text) == [], name
    metrics = json.loads((result.run / "bundle/metrics.json").read_text())
    assert metrics["provenance"]["edgetpu-sim"]["kind"] == "simulated"
    assert metrics["energy_mj"]["edgetpu-sim"] > 0
    assert metrics["provenance"]["edgetpu-sim"]["energy"]["kind"] == "simulated"
    assert re.search(r"[\d.]+ ms \(simulated, median\)", result.summary())
    report = (result.run / "report.html").read_text()
    assert re.search(r"at [\d.]+ ms \(simulated\) on edgetpu-sim", report)
    assert '<p class="source simulated"><b>simulated</b> for edgetpu-sim' in report
    assert "simulated (ms)" in report  # the axis of the predictions
    assert "| edgetpu-sim | simulated |" in (result.run / "bundle/README.md").read_text()
    with (result.run / "pareto.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["provenance"] for row in rows} == {"predicted"}
    assert {row["latency_provenance"] for row in rows} == {"predicted from a table simulated for edgetpu-sim"}

    # A run of an earlier version, which kept fewer kinds.
    state = json.loads((result.run / "state.json").read_text())
    del state["steps"]["choose"]["latency_kind"], state["steps"]["export"]["latency_kind"]
    (result.run / "state.json").write_text(json.dumps(state))
    assert claims_of_measuring(build_report(result.run).read_text()) == []


def test_modelled_energy_beside_a_measured_latency(
    make_recipe: Make,
    table_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    energy = Energy(0.25, 0.5, 1.0, 6.0, 1, 0.001, "watts x latency", "modelled")
    found = Measurement((0.05,), Provenance("measured", "local-cpu", "test", "0"), energy)
    monkeypatch.setattr(Device, "measure", lambda *arguments, **options: found)
    monkeypatch.setattr("edgenas.run.device_figures.quiet_latency", lambda *_: {"error": "busy"})
    recipe = with_few_images(make_recipe(SHORT, table=table_path, latency_ms=5.0), tmp_path)
    result = run(recipe, evaluator=ByNumber())
    texts = outputs(result, capsys)
    metrics = json.loads(texts["bundle/metrics.json"])
    assert metrics["energy_mj"] == {"local-cpu": 0.25}
    assert metrics["provenance"]["local-cpu"]["energy"]["kind"] == "modelled"
    assert "0.25 (modelled)" in texts["bundle/README.md"]
    assert "0.05 ms (measured, median)" in result.summary()
    assert "0.25 mJ (modelled)" in result.summary()
    assert '<p class="source modelled"><b>modelled</b> watts x latency' in texts["report.html"]
    assert "0.0500 ms (measured) on local-cpu" in texts["report.html"]
    for name, text in texts.items():
        assert not re.search(r"mJ[^.;,|]{0,20}measured", text), name


@pytest.mark.parametrize("kind", ["simulated", "modelled", "measured"])
def test_a_device_is_believed_about_its_own_figures(
    kind: Kind, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a device is called: what it says of its figures stands beside them."""
    from edgenas.devices.kinds.simulated import SimulatedEdgeTpu

    told = SimulatedEdgeTpu._provenance

    def own(self: SimulatedEdgeTpu, words: str) -> Provenance:
        return dataclasses.replace(told(self, words), kind=kind, protocol="a cost of my own")

    monkeypatch.setattr(SimulatedEdgeTpu, "_provenance", own)
    model = tmp_path / "model.tflite"
    commands = [
        ["build", "mobilenet_v2_0.35", "-o", str(model), "--quantization", "int8"],
        ["benchmark", str(model), "--device", "edgetpu-sim"],
        ["predict", str(model), "--device", "edgetpu-sim"],
        ["describe", "mobilenet_v2_0.35", "--device", "edgetpu-sim"],
    ]
    for arguments in commands:
        with contextlib.suppress(SystemExit):
            monkeypatch.setattr(sys, "argv", ["edgenas", *arguments])
            main()
        captured = capsys.readouterr()
        text = captured.out
        if arguments[0] == "build":
            continue
        assert kind in text, (arguments, captured.err)
        latency = [line for line in text.splitlines() if re.search(r"\bms\b", line)]
        for other in {"simulated", "modelled", "measured"} - {kind}:
            assert not any(other in line for line in latency if "mJ" not in line), (arguments, latency)
