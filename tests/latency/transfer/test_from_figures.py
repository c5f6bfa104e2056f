"""Tables from given figures: what other networks cost is found again, in order, and the stated error is honest."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from edgenas.latency.check.validation import spearman
from edgenas.latency.predict.operators import signature_work
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.latency.transfer.figures import read_architectures, read_figures
from edgenas.latency.transfer.from_figures import nominal_table, profile_from_figures
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.search_space import SearchSpace


@pytest.fixture(scope="module")
def cells() -> SearchSpace:
    return SearchSpace.load("nas_bench_201")


@pytest.fixture(scope="module")
def source(cells: SearchSpace) -> LatencyTable:
    """This machine, as if it were measured: another balance of operators, arithmetic and memory than the other's."""
    return dataclasses.replace(_table(cells, 1e-3, 4e-8, 1e-7), device="laptop", runtime="lite", protocol="made up")


def _table(space: SearchSpace, per_operator: float, per_mac: float, per_byte: float) -> LatencyTable:
    def cost(signature: str) -> float:
        # The kernel of a 3x3 convolution is not that of a 1x1 convolution.
        return 1e-6 + sum(
            per_operator + per_mac * w.macs * (1.5 if w.kind == "CONV_2D/dense" else 1.0) + per_byte * w.moved_bytes
            for w in signature_work(signature)
        )

    return dataclasses.replace(
        nominal_table(space, "int8"), rows={signature: Row(cost(signature)) for signature in space.signatures("int8")}
    )


def _truth(space: SearchSpace, population: np.ndarray) -> np.ndarray:
    """Another device: slower, memory-bound, 1 % apart from any sum, and 0.7 ms for a network."""
    costs = _table(space, 8e-3, 3e-7, 2e-6).rows
    # A block whose ops all run elsewhere costs nothing.
    arrays = space.cost_arrays(lambda e: 0.0 if e.is_given else costs[e.signature("int8")].latency_ms)
    sums = space.population_cost(population, arrays)
    return (0.7 + sums) * np.random.default_rng(1).normal(1, 0.01, len(population))


def _write(path: Path, space: SearchSpace, population: np.ndarray, **columns: np.ndarray) -> Path:
    lines = [",".join(["architecture", *columns])]
    for place, row in enumerate(population):
        lines.append(",".join([str(space.architecture(row)), *(repr(float(c[place])) for c in columns.values())]))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("with_source", [True, False])
def test_ten_figures_order_the_rest(
    cells: SearchSpace, source: LatencyTable, with_source: bool, tmp_path: Path
) -> None:
    population = np.unique(cells.sample(np.random.default_rng(2), 400), axis=0)
    population = population[np.random.default_rng(3).permutation(len(population))]
    latency_ms = _truth(cells, population)
    file = _write(tmp_path / "f.csv", cells, population[:10], latency_ms=latency_ms, energy_mj=2 * latency_ms)
    figures = read_figures(file, cells)
    result = profile_from_figures(
        cells, "board-9", figures, source=source if with_source else None, table_path=tmp_path / "t.csv"
    )
    table = LatencyTable.load(tmp_path / "t.csv", device="board-9", precision="int8")
    assert table.provenance.kind == "modelled"
    predicted = Predictor(table).population(cells, population)[10:]
    assert spearman(predicted, latency_ms[10:]) > 0.97
    error = float(np.abs(predicted / latency_ms[10:] - 1).mean())
    assert error < 0.06
    assert result.error["mape"] == pytest.approx(table.calibration.mape, abs=1e-6)
    assert error / 3 < result.error["mape"] < 3 * error + 0.02
    assert set(result.error) == {"mape", "interval", "max", "spearman", "networks", "latency_ms", "energy_mj"}
    energies = Predictor(table).population_energy(cells, population)[10:]
    assert spearman(energies, latency_ms[10:]) > 0.97
    assert np.abs(energies / (2 * latency_ms[10:]) - 1).mean() < 0.06
    assert (table.energy.kind, table.energy.networks) == ("modelled", 10)


def test_energies_alone(cells: SearchSpace, source: LatencyTable, tmp_path: Path) -> None:
    population = np.unique(cells.sample(np.random.default_rng(2), 60), axis=0)
    energy_mj = _truth(cells, population)
    figures = read_figures(_write(tmp_path / "f.csv", cells, population[::4], energy_mj=energy_mj[::4]), cells)
    result = profile_from_figures(cells, "board-9", figures, source=source, table_path=tmp_path / "t.csv")
    table = LatencyTable.load(tmp_path / "t.csv")
    assert not table.knows_latency
    assert all(math.isnan(row.latency_ms) for row in table.rows.values())
    predictor = Predictor(table)
    assert np.abs(predictor.population_energy(cells, population) / energy_mj - 1).mean() < 0.06
    assert set(result.error) == {"mape", "interval", "max", "spearman", "networks", "energy_mj"}
    assert "no latencies" in predictor.describe_error()
    for ask in (
        lambda: predictor.population(cells, population),
        lambda: predictor.predict(cells.decode(population[0])),
        lambda: predictor.cheapest(cells),
    ):
        with pytest.raises(InputError, match=r"knows energies alone.*latency_ms"):
            ask()


GOOD = "\n".join(f"{text},{number}" for text, number in [("433210", 3.5), ("000000", 1), ("111111", 2), ("222222", 2)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a first line with the columns architecture"),
        ("arch,latency_ms\n433210,1\n", "expected a first line with the columns"),
        ("architecture,ms\n433210,1\n", "expected a first line with the columns"),
        ("architecture,latency_ms\n433210,1\n033210\n", "line 3: expected 2 values"),
        ("architecture,latency_ms\n433210,1\n33210,2\n", "line 3: .*5 characters, expected one for each of 6"),
        ("architecture,latency_ms\n433219,1\n", "line 2: .*no option 9"),
        ("architecture,latency_ms\n433210,1\n433210,2\n", "line 3: the architecture 433210 was on line 2 already"),
        ("architecture,latency_ms\n433210,\n", "line 2: expected a number for latency_ms, found none"),
        ("architecture,latency_ms\n433210,-1\n", "line 2: latency_ms must be a positive number, not '-1'"),
        ("architecture,latency_ms\n433210,nan\n", "line 2: latency_ms must be a positive number, not 'nan'"),
        ("architecture,latency_ms\n433210,fast\n", "not 'fast'"),
    ],
)
def test_files_that_make_no_sense(cells: SearchSpace, text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=rf"f\.csv: {message}|f\.csv: .*{message}"):
        read_figures(file, cells)
    with pytest.raises(InputError, match=r"there is no file .*none\.csv"):
        read_figures(tmp_path / "none.csv", cells)
    with pytest.raises(InputError, match=r"cannot be read as text \(Is a directory\); expected a text file"):
        read_figures(tmp_path, cells)


def test_other_columns_blank_lines_and_a_byte_order_mark_are_read_over(cells: SearchSpace, tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    text = "architecture, top1, energy_mj ,latency_ms\n433210,90,,2.5\n\nnas_bench_201:000000,10,1e-3,\n"
    file.write_text(text, encoding="utf-8-sig")
    found = read_figures(file, cells)
    assert [str(each) for each in found.architectures] == ["433210", "000000"]
    np.testing.assert_equal(found.latency_ms, [2.5, np.nan])
    np.testing.assert_equal(found.energy_mj, [np.nan, 1e-3])
    file.write_text("433210\n\n  000000\n")
    assert [text for text, _ in read_architectures(file, cells)] == ["433210", "000000"]
    file.write_text("\n")
    with pytest.raises(InputError, match="expected one architecture of space 'nas_bench_201' a line, found none"):
        read_architectures(file, cells)


def test_what_cannot_be_fitted_is_refused(cells: SearchSpace, source: LatencyTable, tmp_path: Path) -> None:
    file, path = tmp_path / "f.csv", tmp_path / "t.csv"

    def profile(text: str, **options: object) -> None:
        file.write_text(f"architecture,latency_ms\n{text}\n")
        options = {"source": source, "table_path": path} | options
        profile_from_figures(cells, options.pop("device", "board-9"), read_figures(file, cells), **options)

    with pytest.raises(InputError, match=r"f\.csv: 3 figures of latency_ms are too few: give at least 4"):
        profile("\n".join(GOOD.splitlines()[:3]))
    with pytest.raises(InputError, match=r"all 4 networks .* are built alike"):
        profile("000000,1\n300000,2\n400000,3\n200000,1")
    with pytest.raises(InputError, match=r"'a/b' is no name of a device"):
        profile(GOOD, device="a/b")
    short = dataclasses.replace(source, rows=dict(list(source.rows.items())[1:]))
    with pytest.raises(InputError, match=r"table of laptop lacks 1 blocks of space 'nas_bench_201'.*edgenas profile"):
        profile(GOOD, source=short)
    assert not path.exists()
    source.save(path)
    with pytest.raises(InputError, match=r"t\.csv: is a measured table.*--fresh"):
        profile(GOOD)
    profile(GOOD, fresh=True)
    profile(GOOD)
    with pytest.raises(InputError, match="cannot be adapted again"):
        profile(GOOD, source=LatencyTable.load(path))
