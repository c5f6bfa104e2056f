"""What all benchmarks share: their options, the claims and the document; and cheap ones run whole."""

from __future__ import annotations

import argparse
import doctest
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.space.search_space import SearchSpace

NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "tools").glob("bench_*.py"))
COMMON = ("--data-dir", "--seeds", "--quick", "--json")
#: Parts that have options of their own.
PARTS = {"bench_supernet": ("tables", "truth", "rank", "cost", "target", "equal", "begin", "budgets")}


def benchmark(name: str) -> Any:
    return importlib.import_module(name)


@pytest.mark.parametrize(("name", "part"), [(name, part) for name in NAMES for part in PARTS.get(name, ("",))])
def test_every_benchmark_takes_the_common_options(name: str, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        benchmark(name).main([*filter(None, [part]), "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert [option for option in COMMON if f"\n  {option}" not in shown] == []


@pytest.mark.parametrize("name", ["options", "claims"])
def test_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"benchmarking.{name}"))
    assert found.attempted > 0
    assert found.failed == 0


def parser(**common: Any) -> Any:
    from benchmarking.options import BenchParser

    made = BenchParser()
    made.add_argument("--networks", type=int, default=40)
    made.add_argument("--seed", type=int, default=0)
    made.add_common(**({"quick": {"networks": 4, "seeds": 1}, "seeds": 3} | common))
    return made


def test_quick_settings_replace_defaults_and_nothing_that_was_given() -> None:
    one = parser()
    assert (one.parse_args(["--quick"]).networks, one.parse_args(["--quick"]).seeds) == (4, 1)
    assert one.parse_args(["--networks", "7", "--quick"]).networks == 7
    assert (one.parse_args([]).networks, one.parse_args([]).seeds) == (40, 3)


def test_quick_settings_of_parts() -> None:
    from benchmarking.options import BenchParser

    whole = BenchParser()
    parts = whole.add_subparsers(required=True)
    part = parts.add_parser("one")
    part.add_argument("--networks", type=int, default=40)
    part.add_common(quick={"networks": 4})
    assert whole.parse_args(["one", "--quick"]).networks == 4
    assert whole.parse_args(["one"]).networks == 40


@pytest.mark.parametrize(
    ("arguments", "lists", "seeds"),
    [
        ([], False, [0, 1, 2]),
        (["--seeds", "2"], False, [0, 1]),
        (["--seeds", "2", "--seed", "5"], False, [5, 6]),
        (["--seeds", "2"], True, [0, 1]),
        (["--seeds", "4,7"], True, [4, 7]),
        (["--seeds", "5,"], True, [5]),
    ],
)
def test_seeds_are_a_count_or_a_list(arguments: list[str], lists: bool, seeds: list[int]) -> None:
    from benchmarking.options import seeds_of

    assert seeds_of(parser(lists=lists).parse_args(arguments)) == seeds


@pytest.mark.parametrize(("text", "lists"), [("0", False), ("1,2", False), ("0", True), ("a,b", True), (",", True)])
def test_other_seeds_are_refused(text: str, lists: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser(lists=lists).parse_args(["--seeds", text])
    assert ended.value.code == 2
    assert "--seeds: expected" in capsys.readouterr().err


def test_the_document_is_written_whenever_there_is_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarking.claims import claim
    from benchmarking.document import conduct

    out = tmp_path / "new" / "out.json"
    options = parser().parse_args(["--json", str(out), "--networks", "2"])
    claims = [claim("error", 0.02, 0.03), claim("share", None, 1.0, least=True)]

    def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
        yield {"rows": [1], "claims": []}
        assert json.loads(out.read_text())["rows"] == [1]
        yield {"rows": [1, 2], "settings": {"space": "tiny_edge"}, "claims": claims}

    assert conduct(measure, options) == 0
    found = json.loads(out.read_text())
    assert found["claims"] == claims
    assert found["settings"]["seeds"] == [0, 1, 2]
    assert (found["settings"]["networks"], found["settings"]["space"]) == (2, "tiny_edge")
    assert found["seconds"] >= 0
    assert found["machine"]["cores"] > 0
    assert capsys.readouterr().out.splitlines() == [
        "met: error: 0.02 (goal 0.03)",
        "NOT MET: share: none (goal 1)",
    ]


@pytest.mark.parametrize(("error", "code"), [(InputError("no such table"), 2), (WorkError("no quiet moment"), 1)])
def test_errors_are_one_line_and_a_code(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarking.document import conduct

    def measure(options: argparse.Namespace) -> dict[str, Any]:
        raise error

    assert conduct(measure, parser().parse_args([])) == code
    assert capsys.readouterr().err == f"error: {error}\n"


def claims_of(name: str, arguments: list[str], out: Path) -> list[dict[str, Any]]:
    """The claims of a whole call with ``--quick``."""
    assert benchmark(name).main([*arguments, "--quick", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["settings"]["quick"] is True
    assert found["settings"]["seeds"]
    claims: list[dict[str, Any]] = found["claims"]
    assert claims
    for one in claims:
        assert set(one) == {"claim", "value", "goal", "met"}
        assert one["value"] is not None
    return claims


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tables of two devices that compute, made as a benchmark makes them."""
    from benchmarking.tables import table_of

    folder = tmp_path_factory.mktemp("tables")
    for device in ("edgetpu-sim", "cortex-m4"):
        table, words = table_of(None, folder, SearchSpace.load("tiny_edge"), device, "int8")
        assert words == f"made of tiny_edge on {device} in int8"
        table.save(folder / f"{device}-int8.csv")
    return folder


def test_adapt_runs(tables: Path, tmp_path: Path) -> None:
    arguments = ["--data-dir", str(tables), "--source-device", "cortex-m4", "--seeds", "1", "--held-out", "20"]
    first, second = claims_of("bench_adapt", arguments, tmp_path / "out.json")
    assert first["goal"] == 0.1
    assert first["value"] == second["value"]
    assert json.loads((tmp_path / "out.json").read_text())["source"] == str(tables / "cortex-m4-int8.csv")


def test_figures_run(tables: Path, tmp_path: Path) -> None:
    arguments = ["--data-dir", str(tables), "--source", "cortex-m4-int8.csv", "--space", "tiny_edge"]
    (one,) = claims_of("bench_figures", [*arguments, "--held-out", "20", "--choices", "2"], tmp_path / "out.json")
    assert (one["goal"], one["met"]) == (0.9, one["value"] >= 0.9)


def test_spaces_run(tmp_path: Path) -> None:
    arguments = ["--spaces", "mobilenet_edgetpu_v2", "--rows", "100", "--repeats", "1"]
    found = claims_of("bench_spaces", arguments, tmp_path / "out.json")
    assert [one["goal"] for one in found] == [1.0, 1.0]


def test_search_makes_a_table(tmp_path: Path) -> None:
    arguments = ["--algorithms", "auto,random", "--samples", "20", "--seeds", "2", "--processes", "1"]
    found = claims_of("bench_search", arguments, tmp_path / "out.json")
    assert [one["claim"].split()[-2] for one in found] == ["10", "20"]
    document = json.loads((tmp_path / "out.json").read_text())
    assert set(document["algorithms"]) == {"auto", "random"}
    assert document["settings"]["samples"] == 20


def test_what_edgetpu_lacks_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = benchmark("bench_edgetpu")
    assert bench.main(["--data-dir", str(tmp_path)]) == 2
    assert f"--pairs: {tmp_path / 'edgetpu_pairs'} is not there" in capsys.readouterr().err
    assert bench.main(["--quick"]) == 2
    assert "neither --pairs nor --latencies" in capsys.readouterr().err
