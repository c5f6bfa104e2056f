"""The supernet's benchmark as a program: the controller on a small table."""

import importlib.util
import itertools
import json
from pathlib import Path

import pytest

_FILE = Path(__file__).parents[2] / "tools" / "bench_supernet.py"
_spec = importlib.util.spec_from_file_location("bench_supernet", _FILE)
assert _spec is not None
assert _spec.loader is not None
tool = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)


def test_controller_on_a_table(tmp_path: Path) -> None:
    table, out = tmp_path / "table.csv", tmp_path / "out.json"
    rows = [
        f"{''.join(map(str, choices))},{70 + 2 * sum(choices)},{10 + 10 * sum(choices)}"
        for choices in itertools.product(range(3), repeat=4)
    ]
    table.write_text("\n".join(["arch,accuracy,macs", *rows]) + "\n")
    columns = ["--architecture", "arch", "--accuracy", "accuracy", "--cost", "macs"]
    done = tool.main(["--table", str(table), *columns, "--seeds", "2", "--samples", "8000", "--json", str(out)])
    assert done == 0
    found = json.loads(out.read_text())
    assert found["best_feasible"] == 76  # 40 of 45 macs
    assert found["settings"]["samples"] == 8000
    for runs in found["rewards"].values():
        assert [run["best_within"] for run in runs] == [76, 76]
        assert all(0 < run["different_samples"] <= 81 for run in runs)
    assert len(found["claims"]) == 3


def test_wrong_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "table.csv"
    table.write_text("arch,accuracy,macs\n00,1,2\n01,2,3\n10,2,3\n11,2,4\n")
    columns = ["--architecture", "arch", "--accuracy", "top1", "--cost", "macs"]
    assert tool.main(["--table", str(table), *columns, "--json", str(tmp_path / "out.json")]) == 2
    assert "top1" in capsys.readouterr().err
