"""The simulated Edge TPU: always the same number, labelled as simulated, growing with what a model asks for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import yaml

from edgenas.devices import MeasurementError, device_names, get_device
from edgenas.devices.conformance import DeviceConformance
from edgenas.devices.device import CATALOG, MeasureSettings, device_from_spec, read_device_spec
from edgenas.devices.kinds.edgetpu_model import EdgeTpuConstants, Work, macs_of, work_of
from edgenas.devices.kinds.simulated import SimulatedEdgeTpu
from edgenas.export.compilers.edgetpu.check import check_edgetpu
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.reader import read_operators
from edgenas.spaces.blocks import ConvBnAct, GroupConvInvertedBottleneck, InvertedBottleneck
from edgenas.spaces.errors import InputError
from edgenas.spaces.references import reference_network

DEVICE = get_device("edgetpu-sim")
assert isinstance(DEVICE, SimulatedEdgeTpu)
UNIT = EdgeTpuConstants(500, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)


class TestConformance(DeviceConformance):
    def device(self):
        return get_device("edgetpu-sim")


def simulate(graph, *, in_network: bool = False) -> float:
    settings = MeasureSettings(in_network=in_network)
    return DEVICE.measure(write_tflite(graph, "int8"), settings=settings).min


def work(graph) -> Work:
    return work_of(read_operators(write_tflite(graph, "int8")))


def test_it_is_in_the_catalog_and_works():
    assert "edgetpu-sim" in device_names()
    assert DEVICE.check() == []
    assert DEVICE.costing == "computed"
    assert get_device("local-cpu").costing == "measured"


def test_numbers_are_labelled_as_simulated():
    graph = InvertedBottleneck(filters=16).lower((14, 14, 16))
    measurement = DEVICE.measure(write_tflite(graph, "int8"))
    assert measurement.provenance.kind == "simulated"
    assert DEVICE.identity().kind == "simulated"
    assert "4 of 4 operators on the Edge TPU" in measurement.provenance.protocol
    assert measurement.samples_ms == DEVICE.measure(write_tflite(graph, "int8", seed=1)).samples_ms


def test_every_constant_has_a_source():
    raw = yaml.safe_load((CATALOG / "edgetpu-sim.yaml").read_text())
    constants = raw["options"]["constants"]
    assert set(constants) == {field.name for field in dataclasses.fields(EdgeTpuConstants)}
    assert all(len(entry["source"]) > 20 for entry in constants.values())


def test_steps_count_tiles_that_are_not_full():
    # 14 x 14 places are 4 x 4 steps of the 4 x 4 tiles; 65 filters are two groups of 64.
    assert work(ConvBnAct(filters=64, kernel=1).lower((14, 14, 8))).convolution_steps == 16 * 1 * 8
    assert work(ConvBnAct(filters=65, kernel=1).lower((14, 14, 8))).convolution_steps == 16 * 2 * 8
    assert work(ConvBnAct(filters=64, kernel=3).lower((16, 16, 8))).convolution_steps == 16 * 8 * 9
    small, large = (work(InvertedBottleneck(filters=16, kernel=k).lower((8, 8, 16))) for k in (3, 5))
    assert large.depthwise_steps * 9 == small.depthwise_steps * 25


def test_ends_and_parameters():
    found = work(ConvBnAct(filters=16, kernel=1).lower((8, 8, 4)))
    assert (found.input_bytes, found.output_bytes, found.operators) == (8 * 8 * 4, 8 * 8 * 16, 1)
    assert found.cpu_operators == found.streamed_bytes == 0


def test_what_falls_to_the_cpu_costs_the_cpu():
    found = work(InvertedBottleneck(filters=16, activation="hard_swish").lower((8, 8, 16)))
    assert (found.operators, found.cpu_operators) == (1, 5)
    assert found.output_bytes == 8 * 8 * 96
    assert found.cpu_macs == 64 * 96 * (9 + 16)
    assert UNIT.parts_ms(found)["cpu"] > 0
    relu, swish = (
        simulate(InvertedBottleneck(filters=64, activation=activation).lower((28, 28, 64)))
        for activation in ("relu", "hard_swish")
    )
    assert swish > relu


def test_macs_agree_with_the_network():
    network = reference_network("mobilenet_v2_0.35", (96, 96, 3))
    operators = read_operators(write_tflite(network.graph, "int8"))
    assert sum(map(macs_of, operators)) == network.macs


def test_latency_is_the_sum_of_its_parts_and_grows_with_each():
    base = Work(*[10**6] * 10)
    assert UNIT.latency_ms(base) == pytest.approx(sum(UNIT.parts_ms(base).values()))
    for field in dataclasses.fields(Work):
        if field.name != "cpu_operators":
            more = dataclasses.replace(base, **{field.name: 2 * 10**6})
            assert UNIT.latency_ms(more) > UNIT.latency_ms(base), field.name


def test_known_networks_come_out_near_what_was_published():
    # 2.3 to 2.6 ms (coral.ai and google-coral/edgetpu). A sanity check, not a benchmark: tools/bench_edgetpu.py is.
    assert simulate(reference_network("mobilenet_v2_1.0").graph) == pytest.approx(2.45, rel=0.2)


def test_a_network_is_its_blocks_plus_what_only_a_whole_one_costs():
    network = reference_network("mobilenet_v2_0.35", (96, 96, 3))
    blocks = sum(simulate(graph, in_network=True) for graph in network.blocks_lowered.values())
    whole, inside = simulate(network.graph), simulate(network.graph, in_network=True)
    assert blocks == pytest.approx(inside, rel=0.02)
    assert whole > inside + DEVICE.constants.fixed_ms


def test_group_convolutions_are_simulated_in_parts():
    grouped = GroupConvInvertedBottleneck(filters=16, expansion=4, groups=4).lower((8, 8, 16))
    measurement = DEVICE.measure(write_tflite(grouped, "int8"))
    assert "8 of 8 operators" in measurement.provenance.protocol
    assert "1 group convolution(s) as SPLIT" in measurement.provenance.protocol


def test_what_the_compiler_would_refuse_is_refused():
    float_model = write_tflite(ConvBnAct(filters=8).lower((8, 8, 3)), "float32")
    with pytest.raises(MeasurementError, match="no operator maps to the Edge TPU"):
        DEVICE.measure(float_model)
    outcomes = DEVICE.measure_many({"float": float_model, "garbage": b"x"})
    assert all(isinstance(outcome, MeasurementError) for outcome in outcomes.values())
    assert "TFLite model" in str(outcomes["garbage"])


def test_damaged_models_do_no_harm():
    rng = np.random.default_rng(0)
    model = write_tflite(InvertedBottleneck(filters=16, se_ratio=0.25).lower((8, 8, 16)), "int8")
    for _ in range(100):
        damaged = bytearray(model)
        for _ in range(4):
            place = int(rng.integers(0, len(damaged) - 4))
            damaged[place : place + 4] = int(rng.choice([0, 1, 255, 0x7FFFFFFF, 0xFFFFFFFF])).to_bytes(4, "little")
        outcome = DEVICE.measure_many({"damaged": bytes(damaged)})["damaged"]
        assert isinstance(outcome, MeasurementError) or outcome.min > 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clock_mhz": None}, "clock_mhz"),
        ({"fixed_ms": {"value": "much", "source": "x"}}, "fixed_ms"),
        ({"fixed_ms": {"value": float("nan"), "source": "x"}}, "fixed_ms"),
        ({"fixed_ms": {"value": -1, "source": "x"}}, "fixed_ms"),
        ({"fixed_ms": {"value": 1}}, "lacks its source"),
        ({"clock_mhz": {"value": 0, "source": "x"}}, "above 0"),
        ({"speed": {"value": 1, "source": "x"}}, "exactly the keys"),
    ],
)
def test_wrong_constants_are_named(change, words):
    spec = read_device_spec(CATALOG / "edgetpu-sim.yaml")
    constants = dict(spec.options["constants"]) | change
    with pytest.raises(InputError, match=words):
        device_from_spec(dataclasses.replace(spec, options={"constants": constants}))


def test_the_check_and_the_simulation_agree_on_what_is_mapped():
    model = write_tflite(InvertedBottleneck(filters=16, activation="hard_swish").lower((8, 8, 16)), "int8")
    report = check_edgetpu(model)
    assert work_of(read_operators(model), report).operators == report.mapped
