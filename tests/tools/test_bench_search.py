"""The search benchmark as a program: figures, budget, seeds, and what it says about wrong input."""

import csv
import importlib.util
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

_spec = importlib.util.spec_from_file_location("bench_search", Path(__file__).parents[2] / "tools" / "bench_search.py")
assert _spec is not None
assert _spec.loader is not None
tool = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)


def write_table(path: Path, separator: str = "") -> None:
    """256 architectures of four decisions; accuracy in percent falls with the distance from 2,1,3,0."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["arch", "accuracy", "macs", "hours"])
        for choices in itertools.product(range(4), repeat=4):
            accuracy = 90 - sum(abs(a - b) for a, b in zip(choices, (2, 1, 3, 0), strict=True)) + 0.1 * rng.random()
            text = separator.join(str(choice) for choice in choices)
            writer.writerow([text, accuracy, 10 + sum(choices), 0.5])


def bench(table: Path, *arguments: str) -> int:
    columns = ["--architecture", "arch", "--accuracy", "accuracy", "--cost", "macs"]
    out = ["--json", str(table.with_name("out.json"))]
    return int(tool.main(["--table", str(table), *columns, *out, *arguments]))


def test_figures_of_two_algorithms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "table.csv"
    write_table(table)
    done = bench(
        table,
        "--algorithms",
        "random,local_search",
        "--samples",
        "30",
        "--seeds",
        "6",
        "--budget-fraction",
        "0.8",
        "--train-seconds",
        "hours",
    )
    assert done == 0
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["table"] == str(table)
    assert 89 < result["best_feasible"] <= 90.2
    assert set(result["algorithms"]) == {"random", "local_search"}
    for found in result["algorithms"].values():
        assert set(found["mean"]) == {"10", "20", "30"}
        assert found["q25"]["30"] <= found["median"]["30"] <= found["q75"]["30"] <= result["best_feasible"]
        assert found["mean"]["10"] <= found["mean"]["20"] <= found["mean"]["30"]
        assert found["train_seconds"] == {"10": 5.0, "20": 10.0, "30": 15.0}
        assert found["seconds"] > 0
    assert result["algorithms"]["local_search"]["mean"]["30"] > result["algorithms"]["random"]["mean"]["30"]
    curves = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert len(curves) == 60
    assert "plotly" in (tmp_path / "out.html").read_text()
    assert "local_search" in capsys.readouterr().out


def test_the_same_seeds_give_the_same_figures_whatever_the_processes(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    write_table(table, ":")
    means = []
    for processes in ("1", "2"):
        done = bench(table, "--algorithms", "random", "--samples", "10", "--seeds", "3", "--processes", processes)
        assert done == 0
        means.append(json.loads((tmp_path / "out.json").read_text())["algorithms"]["random"]["mean"])
    assert means[0] == means[1]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--algorithms", "evolve"], 2, "unknown algorithm 'evolve'"),
        (["--cost", "flops"], 2, "has no column 'flops'"),
        (["--budget-fraction", "0.1"], 2, "no architecture of the table is within"),
        (["--budget-fraction", "2"], 2, "at most 1"),
        (["--seeds", "0"], 2, "above 0"),
        (["--options", "{"], 2, "--options"),
    ],
)
def test_wrong_input_is_named(
    tmp_path: Path, arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.csv"
    write_table(table)
    try:
        found = bench(table, "--algorithms", "random", *arguments)
    except SystemExit as ended:
        found = int(ended.code or 0)
    assert found == code
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()
