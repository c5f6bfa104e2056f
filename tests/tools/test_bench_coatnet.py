"""The benchmark of attention against convolution: what it draws, what it refuses, and its document."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("bench_coatnet")


def test_networks_of_each_kind_are_drawn(tool: Any) -> None:
    for name in (tool.ATTENTION, *tool.RIVALS):
        found = tool.drawn(name, 3, 0, (32, 32, 3), 10)
        assert len(found) == 3
        attending = [
            any(node.block.kind == "relative_attention" for node in network.nodes) for network in found.values()
        ]
        assert all(attending) if name == tool.ATTENTION else not any(attending)


def test_what_cannot_be_read_is_told(tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(["--set", "nothing", "--data-dir", str(tmp_path)]) == 2
    assert "nothing" in capsys.readouterr().err


@pytest.mark.slow
def test_it_says_which_wins(tool: Any, tmp_path: Path) -> None:
    path = tmp_path / "coatnet.json"
    arguments = ["--set", "fashion_mnist", "--images", "128", "--tests", "64", "--epochs", "1", "--seeds", "1"]
    assert tool.main([*arguments, "--drawn", "2", "--rounds", "1", "--json", str(path)]) == 0
    document = json.loads(path.read_text())
    assert document["winner"] in document["rows"]
    assert len(document["rows"]) == 3
    assert all(0 <= row["top1"]["mean"] <= 1 and row["latency_ms"] > 0 for row in document["rows"].values())
    assert all(set(claim) == {"claim", "value", "goal", "met"} for claim in document["claims"])
