"""Tables for new devices: the constants of a device are found again, and the error that is told is honest."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgenas.latency.check.validation import Accuracy
from edgenas.latency.measure.visits import QuietSettings
from edgenas.latency.predict.operators import signature_work
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.latency.transfer.adaptation import (
    AMOUNTS,
    CLASSES,
    Splitter,
    choose_networks,
    fit_adaptation,
    population_parts,
)
from edgenas.latency.transfer.adapting import adapt_profile
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.space.search_space import SearchSpace

QUICK = QuietSettings(visits=4, max_visits=8)
WIDTH = len(CLASSES) + len(AMOUNTS)


@pytest.fixture
def source(space: SearchSpace) -> LatencyTable:
    """Another device, on which every operator costs what its multiply-accumulates and bytes say."""

    def true_ms(signature: str) -> float:
        return 0.001 + sum(1e-3 + 1e-7 * w.macs + 2e-7 * w.moved_bytes for w in signature_work(signature))

    return LatencyTable(
        device="laptop",
        precision="int8",
        runtime="fake-runtime",
        runtime_version="3.0",
        threads=1,
        protocol="made up",
        anchor_ms=0.005,
        created="2000-01-01T00:00:00Z",
        rows={signature: Row(true_ms(signature)) for signature in space.signatures("int8")},
    )


def test_parts_add_up_to_the_prediction(space: SearchSpace, source: LatencyTable) -> None:
    splitter, predictor = Splitter(source), Predictor(source)
    population = space.sample(np.random.default_rng(0), 5)
    parts = population_parts(space, splitter, population)
    assert parts.shape == (5, WIDTH)
    expected = predictor.population(space, population) - predictor.calibration.fixed_ms
    np.testing.assert_allclose(parts[:, : len(CLASSES)].sum(axis=1), expected, rtol=1e-9)
    np.testing.assert_allclose(splitter.network(space.decode(population[0])), parts[0])
    assert parts[0, len(CLASSES) + 1] == space.decode(population[0]).macs


def test_a_device_of_known_scales_is_found_again() -> None:
    rng = np.random.default_rng(0)
    parts = np.zeros((12, WIDTH))
    parts[:, : len(CLASSES)] = rng.uniform(0.1, 1, (12, len(CLASSES)))
    parts[:, len(CLASSES)] = rng.integers(10, 40, 12)
    truth = np.array([3.0, 2.0, 0.5, 4.0, 1.0])
    measured = 0.5 + parts[:, : len(CLASSES)] @ truth
    adaptation = fit_adaptation(parts, measured)
    assert adaptation.accuracy.mape < 0.02
    assert adaptation.accuracy.mape < adaptation.scale_only.mape / 5
    predicted = [adaptation.network_ms(row) for row in parts]
    np.testing.assert_allclose(predicted, measured, rtol=0.02)
    assert list(adaptation.scales.values()) == pytest.approx(truth, rel=0.3)


def test_what_cannot_be_learnt_has_a_large_error() -> None:
    rng = np.random.default_rng(0)
    parts = np.zeros((10, WIDTH))
    parts[:, : len(CLASSES)] = rng.uniform(0.1, 1, (10, len(CLASSES)))
    adaptation = fit_adaptation(parts, rng.uniform(1, 10, 10))
    assert adaptation.accuracy.mape > 0.3
    assert min(adaptation.scales.values()) > 0
    with pytest.raises(InputError, match="3 measured networks are too few"):
        fit_adaptation(parts[:3], np.ones(3))


def test_chosen_networks_are_spread(space: SearchSpace, source: LatencyTable) -> None:
    splitter = Splitter(source)
    networks, texts = choose_networks(space, splitter, 8)
    assert len(set(texts)) == len(networks) == 8
    predictor = Predictor(source)
    chosen = [predictor.predict(network).latency_ms for network in networks]
    random = predictor.population(space, space.sample(np.random.default_rng(0), 200))
    assert np.ptp(np.log(chosen)) > 0.75 * np.ptp(np.log(random))
    short = dataclasses.replace(source, rows=dict(list(source.rows.items())[1:]))
    with pytest.raises(InputError, match=r"lacks 1 blocks of space.*edgenas profile"):
        choose_networks(space, Splitter(short), 4)


def test_a_new_device_from_ten_networks(
    space: SearchSpace, source: LatencyTable, server: Callable[..., Any], tmp_path: Path
) -> None:
    device = server(seed=1, busy=0.2)
    found = adapt_profile(space, device, source, networks=10, table_path=tmp_path / "t.csv", settings=QUICK)
    table = LatencyTable.load(tmp_path / "t.csv", device="server")
    assert table == found.table
    assert (table.kind, table.provenance.kind) == ("modelled", "modelled")
    assert "adapted from the table of laptop" in table.protocol
    assert table.anchor_ms == pytest.approx(device.ANCHOR_MS, rel=0.05)
    calibration = table.calibration
    assert calibration is not None
    assert (calibration.networks, calibration.mape) == (10, pytest.approx(found.adaptation.accuracy.mape, abs=1e-5))
    assert "adapted from another device's" in Predictor(table).describe_error()
    table.check_device(device)
    # The device's own costs: operators and bytes of the file.
    population = space.sample(np.random.default_rng(5), 20)
    from edgenas.export.tflite.flatbuffer import write_tflite

    truth = np.array([device.true_ms(write_tflite(space.decode(row).graph, "int8")) for row in population])
    accuracy = Accuracy.of(Predictor(table).population(space, population), truth)
    assert accuracy.mape < 0.1
    assert accuracy.mape < 4 * max(calibration.mape or 0, 0.01)
    assert found.to_json()["adaptation"]["leave_one_out"]["mape"] == found.adaptation.accuracy.mape


def test_measured_tables_are_not_replaced(
    space: SearchSpace, source: LatencyTable, server: Callable[..., Any], tmp_path: Path
) -> None:
    path = dataclasses.replace(source, device="server").save(tmp_path / "t.csv")
    with pytest.raises(InputError, match=r"t\.csv: is a measured table.*--fresh"):
        adapt_profile(space, server(), source, networks=5, table_path=path, settings=QUICK)
    adapt_profile(space, server(), source, networks=5, table_path=path, settings=QUICK, fresh=True)
    adapted = LatencyTable.load(path)
    assert adapted.kind == "modelled"
    with pytest.raises(InputError, match="cannot be adapted again"):
        adapt_profile(space, server(), adapted, networks=5, table_path=tmp_path / "u.csv", settings=QUICK)


def test_failures_and_wrong_input_are_told(
    space: SearchSpace, source: LatencyTable, server: Callable[..., Any], tmp_path: Path
) -> None:
    device = server()
    device.fail = lambda name: True
    with pytest.raises(WorkError, match=r"only 0 of 5 networks.*out of beads"):
        adapt_profile(space, device, source, networks=5, table_path=tmp_path / "t.csv", settings=QUICK)
    assert not (tmp_path / "t.csv").exists()
    with pytest.raises(InputError, match="--networks: 3 are too few"):
        adapt_profile(space, server(), source, networks=3, table_path=tmp_path / "t.csv", settings=QUICK)
    floats = dataclasses.replace(source, precision="float32", rows={})
    with pytest.raises(InputError, match="runs int8, not float32"):
        adapt_profile(space, server(), floats, networks=5, table_path=tmp_path / "t.csv", settings=QUICK)
