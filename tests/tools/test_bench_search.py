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
    printed = capsys.readouterr().out
    assert "local_search" in printed
    assert "reward and result are the same column" in printed


def test_the_same_seeds_give_the_same_figures_whatever_the_processes(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    write_table(table, ":")
    means = []
    for processes in ("1", "2"):
        done = bench(table, "--algorithms", "random", "--samples", "10", "--seeds", "3", "--processes", processes)
        assert done == 0
        means.append(json.loads((tmp_path / "out.json").read_text())["algorithms"]["random"]["mean"])
    assert means[0] == means[1]


def test_a_search_that_ends_at_the_best_has_the_same_figures(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    write_table(table)
    found = []
    for more in ((), ("--until-best",)):
        assert (
            bench(
                table,
                "--algorithms",
                "local_search",
                "--samples",
                "60",
                "--seeds",
                "4",
                "--budget-fraction",
                "1",
                *more,
            )
            == 0
        )
        found.append(json.loads((tmp_path / "out.json").read_text())["algorithms"]["local_search"])
    for statistic in ("mean", "standard_error", "q25", "median", "q75"):
        assert found[0][statistic] == found[1][statistic]
    assert found[1]["trials"] < found[0]["trials"] == 60


def test_all_names_what_lacks_its_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("gp", "hypervolume"):
        monkeypatch.setattr(tool.algorithm_class(name), "missing", lambda: "needs torch: pip install 'edgenas[gp]'")
    names = tool.chosen_algorithms("all")
    assert {"gp", "hypervolume"}.isdisjoint(names)
    assert {"auto", "layernas", "random", "tpe"} <= set(names)
    words = capsys.readouterr().err
    assert "left out gp: needs torch: pip install 'edgenas[gp]'" in words
    assert "left out hypervolume" in words
    with pytest.raises(tool.InputError, match="edgenas"):
        tool.chosen_algorithms("random,gp")


def test_suggest_latencies_need_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "latency.json"
    arguments = ["--suggest-latency", "--spaces", "tiny_edge", "--finished", "30", "--algorithms", "random,ppo"]
    assert tool.main([*arguments, "--json", str(out)]) == 0
    found = json.loads(out.read_text())["suggest_latency"]["tiny_edge"]["30"]
    assert set(found) == {"random", "ppo"}
    assert all(0 < figures["median_ms"] <= figures["worst_ms"] for figures in found.values())
    assert "tiny_edge" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        tool.main(["--json", str(out)])
    assert "--table is needed" in capsys.readouterr().err


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
