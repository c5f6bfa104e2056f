"""The supernet's benchmark as a program: the controller on a small table, and rankings of results that are there."""

import importlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(TOOLS)
    return importlib.import_module("bench_supernet")


COLUMNS = ["--architecture", "arch", "--accuracy", "accuracy", "--cost", "macs"]


def test_controller_on_a_table(tool: Any, tmp_path: Path) -> None:
    table, out = tmp_path / "table.csv", tmp_path / "out.json"
    rows = [
        f"{''.join(map(str, choices))},{70 + 2 * sum(choices)},{10 + 10 * sum(choices)}"
        for choices in itertools.product(range(3), repeat=4)
    ]
    table.write_text("\n".join(["arch,accuracy,macs", *rows]) + "\n")
    options = ["--seeds", "2", "--samples", "1600", "--json", str(out)]
    assert tool.main(["tables", "--table", str(table), *COLUMNS, *options]) == 0
    found = json.loads(out.read_text())
    assert found["best_feasible"] == 76  # 40 of 45 macs
    assert found["settings"]["samples"] == 1600
    assert set(found["rewards"]) == {"absolute", "soft", "hard", "absolute, nothing expected"}
    for runs in found["rewards"].values():
        assert [run["best_within"] for run in runs] == [76, 76]
        assert all(0 < run["different_samples"] <= 81 for run in runs)
    assert found["summary"]["absolute"]["probable_short"] == 0
    assert len(found["claims"]) == 10


def test_wrong_column(tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "table.csv"
    table.write_text("arch,accuracy,macs\n00,1,2\n01,2,3\n10,2,3\n11,2,4\n")
    columns = ["--architecture", "arch", "--accuracy", "top1", "--cost", "macs"]
    assert tool.main(["tables", "--table", str(table), *columns, "--json", str(tmp_path / "out.json")]) == 2
    assert "top1" in capsys.readouterr().err


def test_half_of_the_networks_are_of_one_band(tool: Any) -> None:
    from edgenas.spaces.space.search_space import SearchSpace
    from edgenas.supernet.families import Families

    ground = importlib.import_module("supernet_bench.ground")
    space = SearchSpace.load("tiny_edge", input_shape=(32, 32, 3), classes=10)
    rows, inside = ground.choose_architectures(space, 12)
    assert len({row.tobytes() for row in rows}) == 12
    assert inside[1::2].all()
    macs = Families(space, 0).macs(rows[inside])
    assert macs.max() / macs.min() <= (1 + ground.BAND) / (1 - ground.BAND)


def test_taus_and_their_costs(tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Results of trainings that were made up, of the data that come with EdgeNAS."""
    SHORT = importlib.import_module("supernet_bench.inherited").SHORT  # noqa: N806
    ranking, truth = (importlib.import_module(f"supernet_bench.{name}") for name in ("ranking", "truth"))
    given = ["--data-dir", str(tmp_path), "--set", "fashion_mnist", "--images", "64", "--held-out", "32"]
    given += ["--test-images", "20", "--networks", "8", "--cache", str(tmp_path / "truth.json")]
    command = ["rank", *given, "--work", str(tmp_path), "--json", str(tmp_path / "out.json")]
    assert tool.main(command) == 2
    assert "no finished truth" in capsys.readouterr().err

    options = tool._parser().parse_args(command)
    cache = truth.open_cache(options)
    ground = ranking.make_ground(options)
    rows, _ = ranking.choose_architectures(ground.space, options.networks)
    names = [str(ground.space.architecture(row)) for row in rows]
    settings = ranking.settings_of(options, ground.space, "default")
    supernet = truth.Cache(tmp_path / "default_0.json", {**cache.facts, "settings": settings.to_dict()})
    for number, name in enumerate(names):
        for training, accuracy in (("truth 0", number), ("2 epochs on 40 %", -number)):
            cache.put(training, name, {"accuracy": accuracy, "cpu_seconds": 30.0})
        supernet.put("scores", name, {"accuracy": number**2, "loss": 1.0, "cpu_seconds": 0.5})
        supernet.put(SHORT.name, name, {"accuracy": number + 1.0, "cpu_seconds": 4.0})
    supernet.put("scores", "#training", {"cpu_seconds": 100.0})

    assert tool.main(command) == 0
    ways = json.loads((tmp_path / "out.json").read_text())["ways"]
    assert ways["supernet default, seed 0"]["tau_all"] == 1.0
    assert ways["supernet default, seed 0"]["cpu_seconds_per_candidate"] == 1.5
    assert ways["2 epochs on 40 %"]["tau_all"] == -1.0
    inherited = f"supernet default, seed 0, {SHORT.name}"
    assert ways[inherited]["tau_all"] == 1.0
    assert ways[inherited]["cpu_seconds_per_candidate"] == 5.5
    assert ways[f"{inherited}, regression on the others"]["cpu_seconds_per_candidate"] == 1.5 + 4.0 * 8 / 100
    assert {"multiply-accumulates", "parameters", "depth"} < set(ways)
    assert "met" in capsys.readouterr().out


def test_results_of_other_options_are_refused(tool: Any, tmp_path: Path) -> None:
    from edgenas.spaces.errors import InputError

    truth = importlib.import_module("supernet_bench.truth")
    truth.Cache(tmp_path / "cache.json", {"images": 10}).put("truth 0", "x", {"accuracy": 0.5})
    with pytest.raises(InputError, match="take another --cache"):
        truth.Cache(tmp_path / "cache.json", {"images": 20})


def test_tau_of_equal_scores_is_none_at_all(tool: Any) -> None:
    ways = importlib.import_module("supernet_bench.ways")
    assert np.isnan(ways.kendall_tau([1, 1, 1], [1, 2, 3]))


def test_references_are_made_narrower(tool: Any) -> None:
    widths = importlib.import_module("supernet_bench.widths")

    def make(width: float) -> Any:
        name = "mobilenet_edgetpu_v2_xs"
        return widths.scaled(name, width, input_shape=(32, 32, 3), classes=10, first_strides=2)

    assert make(1.0).macs > 3 * make(0.4).macs
    assert make(0.4).nodes[0].block.stride == 1
    sizes = {len(widths.write_tflite(make(width).graph, "int8")): width for width in (0.05, 0.4)}
    found = widths.widest(make, lambda model: float(len(model)), limit_ms=float(max(sizes)))
    assert found == make(0.4)
    assert widths.widest(make, lambda model: 2.0, limit_ms=1.0) is None


def test_an_interrupted_part_goes_on_counting_and_others_get_as_many_seconds(
    tool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    equal, spent = (importlib.import_module(f"supernet_bench.{name}") for name in ("equal", "spent"))
    clock = iter([0.0, 10.0, 20.0, 25.0])
    monkeypatch.setattr(spent, "_processor_seconds", lambda: next(clock))
    with pytest.raises(KeyboardInterrupt), spent.Spent(tmp_path / "spent").on("search probe-1"):
        raise KeyboardInterrupt
    with spent.Spent(tmp_path / "spent").on("search probe-1"):
        pass
    book = spent.Spent(tmp_path / "spent")
    assert book.seconds("search probe-1") == 15.0
    assert book.seconds("search probe-4") is None
    (tmp_path / "spent" / "search-probe-4.seconds").write_text("60.0\n")
    options = tool._parser().parse_args(["equal", "--work", str(tmp_path), "--json", str(tmp_path / "out.json")])
    # One trial takes 15 seconds, and so does each of three more.
    assert equal._trials_for(options, tmp_path / "images.npz", 90.0) == 6
