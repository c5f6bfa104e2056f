"""``edgenas table``, ``predict`` and ``profile --adapt-from``: JSON, exit codes, and errors that name what is wrong."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from edgenas.cli import main
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.check.device_drift import DeviceDrift
from edgenas.latency.check.validation import Accuracy, validate
from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.spaces.space.search_space import SearchSpace


@pytest.fixture
def edgenas(capsys, monkeypatch, home):
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["edgenas", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def tiny() -> SearchSpace:
    return SearchSpace.load("tiny_edge")


@pytest.fixture
def table(tiny: SearchSpace, table_text: str) -> LatencyTable:
    """A table of this machine for ``tiny_edge``; its latencies are made up."""
    rows = {name: Row(1e-3 + entry.graph.macs * 1e-7, 0.01, 8, 9) for name, entry in tiny.signatures("int8").items()}
    calibration = Calibration(1.0, 0.0005, 12, 0.006, 0.02, mape_interval=(0.004, 0.009))
    return dataclasses.replace(LatencyTable.from_text(table_text), rows=rows, calibration=calibration)


@pytest.fixture
def model(tiny: SearchSpace, tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(write_tflite(tiny.decode(tiny.sample(np.random.default_rng(0), 1)[0]).graph, "int8"))
    return path


def test_show(edgenas, table: LatencyTable, tmp_path: Path) -> None:
    path = table.save(tmp_path / "t.csv")
    code, out, _ = edgenas("table", "show", path, "--json", "--rows", 3)
    shown = json.loads(out)
    assert code == 0
    assert shown["rows"] == len(table.rows)
    assert shown["header"]["device"] == "local-cpu"
    assert shown["error"] == {"mape": 0.006, "interval": [0.004, 0.009], "max": 0.02, "networks": 12}
    slowest = [row["latency_ms"] for row in shown["slowest"]]
    assert slowest == sorted((row.latency_ms for row in table.rows.values()), reverse=True)[:3]
    code, out, _ = edgenas("table", "show", path)
    assert "mean error 0.6% (95 % interval: 0.4% to 0.9%), largest 2.0%" in out
    assert edgenas("table", "show", path)[0] == 0


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text[: len(text) // 2], "cut off"),
        (lambda text: text.replace("latency-table: 4", "latency-table: 9"), "schema '9'"),
        (lambda text: text.replace(",8,9", ",7,9", 1), "changed or damaged"),
        (lambda text: "hello\n", "not a latency table"),
    ],
)
def test_bad_tables_are_refused_by_name(edgenas, table: LatencyTable, tmp_path: Path, damage, words: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(damage(table.to_text()))
    for arguments in (("show", path), ("diff", path, path), ("drift", path), ("merge", path, path, "-o", path)):
        code, _, err = edgenas("table", *arguments)
        assert code == 2
        assert "bad.csv" in err
        assert words in err


def test_diff_and_merge(edgenas, table: LatencyTable, tmp_path: Path) -> None:
    names = list(table.rows)
    first = dataclasses.replace(table, rows={name: table.rows[name] for name in names[:200]})
    second = dataclasses.replace(
        table, rows={name: table.rows[name] for name in names[100:]}, created="2001-01-01T00:00:00Z"
    )
    paths = first.save(tmp_path / "a.csv"), second.save(tmp_path / "b.csv")
    found = json.loads(edgenas("table", "diff", *paths, "--json")[1])
    assert (found["common"], len(found["only_first"]), len(found["only_second"])) == (100, 100, len(names) - 200)
    assert found["ratio"]["p50"] == 1.0
    code, out, _ = edgenas("table", "merge", *paths, "-o", tmp_path / "c.csv", "--json")
    assert (code, json.loads(out)["rows"]) == (0, len(names))
    assert LatencyTable.load(tmp_path / "c.csv").rows == table.rows
    other = dataclasses.replace(second, runtime_version="0.1").save(tmp_path / "d.csv")
    code, _, err = edgenas("table", "merge", paths[0], other, "-o", tmp_path / "e.csv")
    assert (code, "runtime_version" in err, (tmp_path / "e.csv").exists()) == (2, True, False)


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """The file of a very small space."""
    path = tmp_path / "space.yaml"
    path.write_text(
        "name: one\ntask: classification\ninput_shape: [16, 16, 3]\nclasses: 10\n"
        "stem: {block: conv, filters: [8, 16, 24, 32], kernel: [1, 3, 5], stride: 2}\n"
        "stages:\n  - {stride: 2, filters: [8, 16], depth: 1, layers: [{blocks: [{block: ibn, expansion: [2, 4]}]}]}\n"
        "head:\n  - {block: classifier}\n"
    )
    return path


def test_drift_of_a_simulated_table(edgenas, tmp_path: Path, space: Path) -> None:
    path = tmp_path / "sim.csv"
    assert edgenas("profile", "--space", space, "--device", "edgetpu-sim", "--table", path)[0] == 0
    code, out, _ = edgenas("table", "drift", path, "--sample", 5, "--json")
    assert (code, json.loads(out)["holds"]) == (0, True)
    slow = LatencyTable.load(path)
    slow.with_rows({name: Row(row.latency_ms * 1.2) for name, row in slow.rows.items()}).save(path)
    code, out, err = edgenas("table", "drift", path, "--sample", 5, "--json")
    assert (code, json.loads(out)["holds"]) == (1, False)
    assert "does not hold" in err


def test_validate(edgenas, tmp_path: Path, space: Path, monkeypatch) -> None:
    arguments = ("validate", "--space", space, "--device", "edgetpu-sim", "--table", tmp_path / "sim.csv")
    arguments += ("--networks", 5, "--seed", 3)
    code, out, _ = edgenas(*arguments, "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["networks"], len(found["rows"]), found["seed"]) == (5, 5, 3)
    assert (found["now"], found["unadjusted"]) == ({key: found[key] for key in found["now"]},) * 2
    code, out, err = edgenas(*arguments)
    assert code == 0
    assert f"MAPE {found['mape']:.1%}, within 5 %: {found['within_5pct']:.0%}" in out
    assert "now" not in out + err  # nothing changes on a simulated device
    assert edgenas(*arguments, "--networks", 1)[0] == 2

    now = Accuracy(mape=0.07, max_error=0.09, within_5pct=0.1, within_10pct=1.0, spearman=0.99)
    for drift, words in (
        (DeviceDrift(0.93), "take 0.930 of what they took then): MAPE 7.0%"),
        (DeviceDrift(1.3), "--fresh"),
        (None, "not known"),
    ):

        def changed(*given, drift=drift, **options):
            return dataclasses.replace(validate(*given, **options), drift=drift, now=now, unadjusted=now)

        monkeypatch.setattr("edgenas.latency.check.validation.validate", changed)
        code, out, err = edgenas(*arguments)
        assert code == 0
        assert words in out + err


def test_predict_follows_the_contract(edgenas, tiny: SearchSpace, table: LatencyTable, model: Path, home: Path) -> None:
    table.save(home / "tables" / "local-cpu-int8.csv")
    code, out, err = edgenas("predict", model, "--device", "local-cpu", "--json", "--strict")
    found = json.loads(out)
    network = tiny.decode(tiny.sample(np.random.default_rng(0), 1)[0])
    assert code == 0, err
    assert found["latency_ms"] == pytest.approx(Predictor(table).predict(network).latency_ms, rel=0.01)
    assert (found["error"]["mape"], found["error"]["networks"]) == (0.006, 12)
    assert found["provenance"]["kind"] == "modelled"
    assert {"latency_ms", "energy_mj", "provenance", "error"} <= set(found)
    code, out, _ = edgenas("predict", model, "--device", "edgetpu-sim", "--json")
    assert (code, json.loads(out)["provenance"]["kind"]) == (0, "simulated")
    assert set(found["error"]) >= set(json.loads(out)["error"])


def test_predict_refuses_what_it_cannot_know(edgenas, table: LatencyTable, model: Path, tmp_path: Path) -> None:
    code, _, err = edgenas("predict", model)
    assert code == 2
    assert "edgenas profile" in err
    path = table.save(tmp_path / "t.csv")
    for content in (b"", b"hello", model.read_bytes()[:3000]):
        bad = tmp_path / "bad.tflite"
        bad.write_bytes(content)
        code, _, err = edgenas("predict", bad, "--table", path)
        assert code == 2
        assert "bad.tflite" in err
    code, _, err = edgenas("predict", model, "--table", path, "--device", "edgetpu-sim")
    assert code == 2
    assert "of device 'local-cpu', not of 'edgetpu-sim'" in err
    old = dataclasses.replace(table, runtime_version="0.1").save(tmp_path / "old.csv")
    code, _, err = edgenas("predict", model, "--table", old)
    assert code == 0
    assert "old.csv does not hold" in err
    assert "runtime_version was 0.1" in err


def test_describe_interpolates_or_refuses(edgenas, tiny: SearchSpace, table: LatencyTable, home: Path) -> None:
    row = tiny.sample(np.random.default_rng(0), 1)[0]
    missing = list(tiny.decode(row).signatures("int8").values())[1]
    rows = {name: found for name, found in table.rows.items() if name != missing}
    dataclasses.replace(table, rows=rows).save(home / "tables" / "local-cpu-int8.csv")
    network = f"tiny_edge:{tiny.architecture(row)}"
    described = json.loads(edgenas("describe", network, "--device", "local-cpu", "--json")[1])
    assert described["interpolated"] == 1
    assert [node["signature"] for node in described["nodes"] if node["interpolated"]] == [missing]
    assert "held-out error" in described["provenance"]["summary"]
    assert described["provenance"]["error"]["mape"] > 0.006
    code, _, err = edgenas("describe", network, "--device", "local-cpu", "--strict")
    assert code == 2
    assert missing in err


def test_adapt_from(edgenas, table: LatencyTable, tmp_path: Path) -> None:
    source, target = table.save(tmp_path / "t.csv"), tmp_path / "new.csv"
    arguments = ("--space", "tiny_edge", "--device", "edgetpu-sim", "--adapt-from", source, "--table", target)
    code, out, err = edgenas("profile", *arguments, "--networks", 6, "--json")
    found = json.loads(out)
    assert code == 0, err
    assert found["provenance"]["kind"] == "modelled"
    assert found["adaptation"]["networks"] == 6
    assert found["adaptation"]["leave_one_out"]["mape"] > 0
    assert "adapted from another device's" in err
    code, _, err = edgenas("profile", *arguments, "--networks", 2)
    assert (code, "too few" in err) == (2, True)


def test_a_table_from_given_figures(
    edgenas, tiny: SearchSpace, table: LatencyTable, tmp_path: Path, home: Path
) -> None:
    population = np.unique(tiny.sample(np.random.default_rng(0), 12), axis=0)
    texts = [str(tiny.architecture(row)) for row in population]
    latencies = 1 + 3 * Predictor(table).population(tiny, population)
    figures, asked = tmp_path / "figures.csv", tmp_path / "asked.txt"
    figures.write_text(
        "architecture,latency_ms\n" + "".join(f"{t},{ms}\n" for t, ms in zip(texts, latencies, strict=True))
    )
    asked.write_text("\n".join(texts))
    arguments = ("profile", "--space", "tiny_edge", "--device", "phone-7", "--measurements", figures)
    code, out, err = edgenas(*arguments, "--adapt-from", table.save(tmp_path / "t.csv"), "--json")
    found = json.loads(out)
    assert code == 0, err
    assert {"table", "signatures", "measured", "reused", "seconds", "error"} <= set(found)
    assert found["table"] == str(home / "tables" / "phone-7-int8.csv")
    assert (found["measured"], found["error"]["networks"]) == (0, len(texts))
    assert 0 <= found["error"]["mape"] < 0.05
    code, out, err = edgenas(
        "predict", "--space", "tiny_edge", "--architectures", asked, "--device", "phone-7", "--json"
    )
    rows = json.loads(out)
    assert code == 0, err
    assert [row["architecture"] for row in rows] == texts
    assert [row["latency_ms"] for row in rows] == pytest.approx(latencies.tolist(), rel=0.05)
    assert {row["energy_mj"] for row in rows} == {None}
    code, out, err = edgenas(*arguments, "--fresh")
    assert (code, "leave-one-out on" in out) == (0, True)
    figures.write_text("architecture,latency_ms\n1,2\n")
    code, _, err = edgenas(*arguments)
    assert (code, "figures.csv: line 2" in err) == (2, True)


def test_predict_asks_a_simulated_device_for_architectures(edgenas, tiny: SearchSpace, tmp_path: Path) -> None:
    row = tiny.sample(np.random.default_rng(0), 1)[0]
    asked = tmp_path / "asked.txt"
    asked.write_text(f"tiny_edge:{tiny.architecture(row)}\n")
    arguments = ("predict", "--space", "tiny_edge", "--architectures", asked, "--device", "edgetpu-sim")
    code, out, err = edgenas(*arguments, "--json")
    assert code == 0, err
    (found,) = json.loads(out)
    described = json.loads(
        edgenas("describe", f"tiny_edge:{tiny.architecture(row)}", "--device", "edgetpu-sim", "--json")[1]
    )
    assert found["latency_ms"] == described["latency_ms"]
    assert found["energy_mj"] == described["energy_mj"]
    assert "predicted for edgetpu-sim" in edgenas(*arguments)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give a model file, or --space SPACE together with --architectures"),
        (("--space", "tiny_edge"), "give a model file, or --space"),
        (("m.tflite", "--space", "tiny_edge", "--architectures", "a.txt"), "give a model file, or --space"),
        (("--space", "tiny_edge", "--architectures", "none.txt"), "there is no file none.txt"),
    ],
)
def test_predict_says_what_to_give(edgenas, arguments: tuple[str, ...], message: str) -> None:
    code, _, err = edgenas("predict", *arguments)
    assert (code, message in err) == (2, True)


def test_predict_of_a_device_without_a_table(edgenas, tiny: SearchSpace, tmp_path: Path) -> None:
    asked = tmp_path / "asked.txt"
    asked.write_text(str(tiny.architecture(tiny.sample(np.random.default_rng(0), 1)[0])))
    arguments = ("predict", "--space", "tiny_edge", "--architectures", asked, "--device")
    code, _, err = edgenas(*arguments, "nobody")
    assert (code, "unknown device 'nobody'" in err) == (2, True)
    code, _, err = edgenas(*arguments, "local-cpu")
    assert (code, "edgenas profile --space" in err) == (2, True)
