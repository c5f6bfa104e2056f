"""One fixed network through a run: `edgenas train`, and the recipe key `space.architecture`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from edgenas.cli import main
from edgenas.devices.device import Device
from edgenas.devices.measurement import Measurement, Provenance
from edgenas.recipe.recipe import Recipe
from edgenas.run.log import read_log
from edgenas.run.pipeline import run
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.network import chain

SMALL = chain("small", (32, 32, 3), {"stem": ConvBnAct(8, 3, 2), "head": ClassifierHead(1000)})


@pytest.fixture
def files(tmp_path: Path, home: Path) -> Path:
    """A folder with 300 images and a network made for others."""
    from edgenas.data import load_dataset

    data = load_dataset("fashion_mnist")
    train, test = data.train.subset(300, seed=0), data.test.subset(100, seed=0)
    np.savez(tmp_path / "few.npz", x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL.to_dict()))
    return tmp_path


def command(monkeypatch, capsys, *arguments: object) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["edgenas", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    captured = capsys.readouterr()
    return int(end.value.code or 0), captured.out, captured.err


def train(monkeypatch, capsys, files: Path, *options: object) -> tuple[int, str, str]:
    data = ("--data", files / "few.npz", "--epochs", 1, "--batch-size", 50, "-o", files / "run")
    return command(monkeypatch, capsys, "train", files / "small.yaml", *data, *options)


def test_a_network_is_trained_exported_and_measured(monkeypatch, capsys, files: Path):
    from edgenas.export.bundle.bundle import verify_bundle

    code, out, err = train(monkeypatch, capsys, files, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["best"]["architecture"] == str(files / "small.yaml")
    assert found["best"]["metric"] == "top1"
    assert found["trials"] == 1
    assert found["bundle"] == str(files / "run" / "bundle")
    assert verify_bundle(Path(found["bundle"])) == []
    metrics = json.loads((files / "run" / "bundle" / "metrics.json").read_text())
    assert metrics["inputs"] == {"image": [28, 28, 1]}
    assert metrics["top1"]["tflite"] == found["shipped"]["top1_tflite"]
    assert metrics["latency_ms"]["local-cpu"]["median"] > 0
    assert (metrics["budget"], metrics["predicted"]) == ({}, {})
    page = (files / "run" / "report.html").read_text()
    assert "int8 test accuracy" in page
    assert "no latency table yet" not in page

    events = len(read_log(files / "run" / "log.jsonl"))
    code, out, err = train(monkeypatch, capsys, files, "--json", "--resume")
    assert code == 0, err
    assert json.loads(out)["shipped"] == found["shipped"]
    new = [event["event"] for event in read_log(files / "run" / "log.jsonl")[events:]]
    assert not {"trained", "exported", "measured"} & set(new)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--budget", "latency_ms"], "--budget 'latency_ms': expected COST=LIMIT, such as latency_ms=0.3"),
        (["--budget", "latency_s=1"], "budget.latency_s: unknown key, expected one of latency_ms"),
        (["--device", "no-such-device"], "no-such-device"),
        (["--quantization", "int3"], "int3"),
    ],
)
def test_wrong_options_are_told(monkeypatch, capsys, files: Path, options: list[str], message: str):
    code, _, err = train(monkeypatch, capsys, files, *options)
    assert (code, err.count("error:")) == (2, 1)
    assert message in err
    assert "Traceback" not in err
    assert not (files / "run").exists()


def test_an_unknown_architecture_is_told(monkeypatch, capsys, files: Path):
    code, _, err = command(monkeypatch, capsys, "train", "no_such", "--data", files / "few.npz", "-o", files / "run")
    assert code == 2
    assert "space.architecture: unknown architecture 'no_such'" in err


def recipe(files: Path, extra: str = "") -> Recipe:
    (files / "recipe.yaml").write_text(
        "name: fixed\ndata: {path: few.npz}\nspace: {architecture: small.yaml}\ndevice: {name: local-cpu}\n"
        "training: {epochs: 1, batch_size: 50}\n" + extra
    )
    return Recipe.load(files / "recipe.yaml")


def test_over_the_budget_nothing_is_trained(monkeypatch, files: Path):
    slow = Measurement((1.0,), Provenance("measured", "local-cpu", "test", "0"))
    monkeypatch.setattr("edgenas.run.choose.MEASUREMENTS", 1)
    monkeypatch.setattr(Device, "measure", lambda *arguments, **options: slow)
    with pytest.raises(WorkError, match=r"1 ms \(measured, median\) is over the budget of 0.5 ms; nothing was trained"):
        run(recipe(files, "budget: {latency_ms: 0.5}\n"), output=files / "run", quiet=True)
    assert not (files / "run" / "trials").exists()


def test_a_space_needs_a_budget_and_one_network_none(files: Path):
    assert recipe(files).limits == {}
    with pytest.raises(InputError, match="budget: is missing"):
        Recipe.parse("name: a\ndata: {path: few.npz}\nspace: {name: tiny_edge}\ndevice: {name: local-cpu}\n")
    devices = "devices: [{name: local-cpu, budget: null}]\n"
    with pytest.raises(InputError, match="a search needs a budget for 'local-cpu'"):
        Recipe.parse(f"name: a\ndata: {{path: few.npz}}\nspace: {{name: tiny_edge}}\n{devices}")
    (files / "recipe.yaml").write_text(
        f"name: fixed\ndata: {{path: few.npz}}\nspace: {{architecture: small.yaml}}\n{devices}"
    )
    found = Recipe.load(files / "recipe.yaml")
    assert (found.limits, Recipe.parse(found.to_yaml()).limits) == ({}, {})
    with pytest.raises(InputError, match="exactly one of the keys 'name', 'path' and 'architecture'"):
        Recipe.parse("name: a\ndata: {path: few.npz}\nspace: {name: tiny_edge, architecture: mobilenet_v2_1.0}\n")
