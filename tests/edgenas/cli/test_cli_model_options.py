"""Open sides, entries and inputs on the command line: chosen by options, named in what is printed, never guessed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.edgenas.cli.test_cli_compare import run
from tests.export.tflite.test_tflite_entries import opened, small, two_graphs, with_input_type


@pytest.fixture
def write(tmp_path: Path):
    def make(content: bytes, name: str = "model.tflite") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return make


@pytest.mark.parametrize("verb", ["benchmark", "predict"])
def test_open_sides_are_refused_by_name(monkeypatch, capsys, write, home, verb: str) -> None:
    path = write(opened(small(), (0, 1, 2)))
    code, out, err = run(monkeypatch, capsys, verb, path)
    assert (code, out) == (2, "")
    assert f"{path}: " in err
    assert "(-1, -1, -1, 3)" in err
    assert "--shape" in err


def test_given_shapes_are_measured_and_told(monkeypatch, capsys, write, home) -> None:
    path = write(opened(small(), (0, 1, 2)))
    code, out, err = run(monkeypatch, capsys, "benchmark", path, "--shape", "1,16,16,3", "--json")
    assert code == 0, err
    (fed,) = json.loads(out)["model"]["inputs"]
    assert (fed["shape"], fed["low"], fed["high"]) == ([1, 16, 16, 3], -1.0, 1.0)
    code, _, err = run(monkeypatch, capsys, "benchmark", path, "--shape", "1,16,16,4")
    assert code == 2
    assert "does not fit" in err


def test_an_open_batch_is_one_and_said(monkeypatch, capsys, write, home) -> None:
    path = write(opened(small(), (0,)))
    code, out, err = run(monkeypatch, capsys, "benchmark", path)
    assert code == 0, err
    assert "leaves the batch open: taken as 1" in out
    code, _, err = run(monkeypatch, capsys, "benchmark", path, "--device", "edgetpu-sim")
    assert code == 2
    assert "dynamic-sized tensors" in err


@pytest.mark.parametrize("verb", ["benchmark", "predict", "check"])
def test_several_signatures_are_a_choice(monkeypatch, capsys, write, home, verb: str) -> None:
    path = write(two_graphs())
    code, out, err = run(monkeypatch, capsys, verb, path)
    assert (code, out) == (2, "")
    assert "--signature" in err
    assert "small" in err
    assert "large" in err


def test_the_chosen_signature_is_used(monkeypatch, capsys, write, home) -> None:
    path = write(two_graphs())
    for name, side in (("small", 8), ("large", 16)):
        code, out, err = run(monkeypatch, capsys, "benchmark", path, "--signature", name, "--json")
        assert code == 0, err
        model = json.loads(out)["model"]
        assert model["signature"] == name
        assert model["inputs"][0]["shape"] == [1, side, side, 3]
    code, out, _ = run(monkeypatch, capsys, "compare", path, path, "--signature", "large", "--json")
    assert code == 0
    assert json.loads(out)["layers"]["layers"][0]["shape"] == [1, 16, 16, 3]


def test_values_from_a_file_are_fed(monkeypatch, capsys, write, home, tmp_path) -> None:
    path = write(opened(small(), (1, 2)))
    name = "input"
    code, out, _ = run(monkeypatch, capsys, "check", path, "--json")
    name = json.loads(out)["model"]["inputs"][0]["name"]
    np.savez(tmp_path / "values.npz", **{name: np.full((1, 12, 12, 3), 0.25, np.float32)})
    code, out, err = run(monkeypatch, capsys, "benchmark", path, "--input", tmp_path / "values.npz", "--json")
    assert code == 0, err
    (fed,) = json.loads(out)["model"]["inputs"]
    assert (fed["shape"], fed["low"], fed["high"]) == ([1, 12, 12, 3], 0.25, 0.25)
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04")
    code, _, err = run(monkeypatch, capsys, "benchmark", path, "--input", tmp_path / "bad.npz")
    assert code == 2
    assert "bad.npz" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("dtype", ["STRING", "RESOURCE"])
def test_inputs_of_no_numbers_are_refused(monkeypatch, capsys, write, home, dtype: str) -> None:
    path = write(with_input_type(dtype))
    code, out, err = run(monkeypatch, capsys, "benchmark", path)
    assert (code, out) == (2, "")
    assert f"type {dtype}" in err


def test_files_of_one_name_are_told_apart(monkeypatch, capsys, write) -> None:
    paths = [write(small(precision), f"{precision}/model.tflite") for precision in ("float32", "int8")]
    code, out, err = run(monkeypatch, capsys, "compare", *paths)
    assert code == 0, err
    assert "float32/model.tflite" in out
    assert "int8/model.tflite" in out
    code, out, _ = run(monkeypatch, capsys, "compare", *paths, "--json")
    data = json.loads(out)
    assert [data[name]["file"] for name in "ab"] == list(map(str, paths))


def test_a_full_temporary_folder_is_one_line(monkeypatch, capsys, write, home) -> None:
    import errno

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = write(small())
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    for arguments in (("compare", path, path), ("benchmark", path)):
        code, out, err = run(monkeypatch, capsys, *arguments)
        assert (code, out) == (1, "")
        assert "TMPDIR" in err
        assert len(err.strip().splitlines()) == 1
