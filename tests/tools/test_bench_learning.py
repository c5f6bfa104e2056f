"""The benchmark of what trials bring each other: its parts that need no training, and its words."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    spec = importlib.util.spec_from_file_location("bench_learning", TOOLS / "bench_learning.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_learning", module)
    spec.loader.exec_module(module)
    return module


def write_table(path: Path) -> Path:
    rows = [f"{a}{b}{c},{10 * a + 3 * b + c},{1 + a + b + c}" for a in range(4) for b in range(4) for c in range(4)]
    path.write_text("\n".join(["arch,accuracy,macs", *rows]) + "\n")
    return path


def test_the_shape_of_a_search_on_a_table(tool, tmp_path: Path) -> None:
    out = tmp_path / "shape.json"
    table = write_table(tmp_path / "table.csv")
    arguments = ["shape", "--table", str(table), "--table-seeds", "2", "--quick", "--json", str(out)]
    assert tool.main(arguments) == 0
    found = json.loads(out.read_text())
    assert [set(one) for one in found["claims"]] == [{"claim", "value", "goal", "met"}] * 2
    assert set(found["trials"]) == {"random", "reinforce"}


def test_a_part_without_its_table_is_told(tool, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(["shape"]) == 2
    assert "needs --table" in capsys.readouterr().err


def test_a_finished_seed_is_not_done_again_unless_asked_otherwise(tool, tmp_path: Path) -> None:
    from learning_bench.ground import Ground

    options = tool._parser().parse_args(["progressive", "--seeds", "2", "--epochs", "3"])
    done: list[int] = []

    def one_seed(seed: int) -> dict[str, int]:
        done.append(seed)
        return {"seed": seed, "count": len(done)}

    def seeds() -> list[dict[str, int]]:
        return Ground(None, tmp_path, tmp_path, tmp_path, 3, options).seeds(one_seed)

    first = seeds()
    assert first == seeds() == [{"seed": 0, "count": 1}, {"seed": 1, "count": 2}]
    options.seeds = 3
    assert seeds()[:2] == first
    assert done == [0, 1, 2]
    options.epochs = 4
    assert [one["count"] for one in seeds()] == [4, 5, 6]


def test_scores_that_are_all_equal_rank_nothing(tool) -> None:
    from learning_bench.transfer import _rank

    final = {"a": 0.1, "b": 0.2, "c": 0.3}
    assert _rank([("a", 0.5), ("b", 0.6), ("c", 0.7), ("d", 0.1)], final) == 1.0
    assert _rank([("a", 0.5), ("b", 0.5), ("c", 0.5)], final) == 0.0
