"""Tables of simulated devices: asked once, additive in a network, labelled as simulated."""

from __future__ import annotations

import dataclasses

import pytest

from edgenas.devices import get_device
from edgenas.devices.device import device_from_spec
from edgenas.latency.check.device_drift import DeviceDrift
from edgenas.latency.check.validation import validate
from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.profile.profiler import profile_space
from edgenas.latency.table.latency_table import COMPUTED_PROTOCOL, LatencyTable
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.search_space import SearchSpace

SPACE = SearchSpace.load("tiny_edge")


@pytest.fixture(scope="module")
def device():
    return get_device("edgetpu-sim")


@pytest.fixture(scope="module")
def profiled(device, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "table.csv"
    return profile_space(SPACE, device, precision="int8", table_path=path)


def test_every_signature_is_simulated_once(profiled):
    assert profiled.measured == profiled.signatures == len(SPACE.signatures("int8"))
    assert not profiled.failed
    table = LatencyTable.load(profiled.path, device="edgetpu-sim", precision="int8")
    assert (table.protocol, table.kind, table.statistic) == (
        f"simulated: {COMPUTED_PROTOCOL}",
        "simulated",
        "simulated",
    )
    assert {row.visits for row in table.rows.values()} == {1}


def test_predictions_are_labelled_as_simulated(profiled):
    predictor = Predictor(profiled.table)
    assert predictor.provenance.kind == "simulated"
    assert "simulated networks" in predictor.describe_error()


def test_sums_of_blocks_meet_whole_networks(profiled, device):
    found = validate(SPACE, device, profiled.table, networks=10, seed=3)
    assert found.accuracy.mape < 0.01
    assert found.accuracy.spearman > 0.999
    assert found.statistic == "simulated"
    assert (found.drift, found.clock) == (DeviceDrift(1.0), 1.0)
    assert found.to_json()["networks"] == 10


def test_nothing_is_simulated_again_but_by_another_simulation(profiled, device, tmp_path):
    again = profile_space(SPACE, device, precision="int8", table_path=profiled.path)
    assert (again.measured, again.reused) == (0, again.signatures)
    constants = dict(device.spec.options["constants"])
    constants["fixed_ms"] = {"value": 9.0, "source": "test"}
    other = device_from_spec(dataclasses.replace(device.spec, options={"constants": constants}))
    path = tmp_path / "table.csv"
    path.write_text(profiled.path.read_text())
    anew = profile_space(SPACE, other, precision="int8", table_path=path)
    assert anew.measured == anew.signatures
    assert anew.table.calibration.fixed_ms > 9.0 > profiled.table.calibration.fixed_ms


def test_only_what_lacks_is_simulated(profiled, device, tmp_path):
    rows = dict(list(profiled.table.rows.items())[:-5])
    path = tmp_path / "table.csv"
    dataclasses.replace(profiled.table, rows=rows).save(path)
    result = profile_space(SPACE, device, precision="int8", table_path=path)
    assert result.measured == 5
    assert result.table.rows == profiled.table.rows


def test_a_precision_that_it_does_not_run_is_refused(device, tmp_path):
    with pytest.raises(InputError, match="runs int8, not float32"):
        profile_space(SPACE, device, precision="float32", table_path=tmp_path / "table.csv")


def test_a_calibration_keeps_its_constant():
    calibration = Calibration(networks=3, base_ms=0.5)
    assert calibration.fixed_ms == 0.5
    assert Calibration.from_json(calibration.to_json()) == calibration
    old = {key: value for key, value in calibration.to_json().items() if key != "base_ms"}
    assert Calibration.from_json(old).base_ms == 0.0
