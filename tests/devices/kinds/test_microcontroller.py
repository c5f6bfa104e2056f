"""Modelled microcontrollers: labelled so, with their error, and growing with what a model asks for."""

from __future__ import annotations

import dataclasses

import pytest

from edgenas.devices import MeasurementError, get_device
from edgenas.devices.conformance import DeviceConformance
from edgenas.devices.device import MeasureSettings, device_from_spec
from edgenas.devices.kinds.microcontroller_model import MicroWork, micro_work
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.reader import read_operators
from edgenas.spaces.blocks import InvertedBottleneck
from edgenas.spaces.errors import InputError
from tools.microcontrollers.fitting import Point, fit, leave_one_network_out
from tools.microcontrollers.networks import MLPERF_TINY

NAMES = ("cortex-m4", "cortex-m7", "cortex-m33", "stm32h747", "stm32n6570")
MODEL = write_tflite(InvertedBottleneck(filters=16, expansion=4).lower((16, 16, 16)), "int8")


class TestConformance(DeviceConformance):
    def device(self):
        return get_device("cortex-m4")


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_modelled_and_tell_their_error(name):
    found = get_device(name).measure(MODEL)
    assert found.provenance.kind == "modelled"
    assert "not measured; error of networks left out: median" in found.provenance.protocol
    assert len(found.shares) == 4
    inside = get_device(name).measure(MODEL, settings=MeasureSettings(in_network=True))
    assert inside.min == pytest.approx(sum(share.latency_ms for share in found.shares))
    assert (found.energy is not None) is name.startswith("cortex")


def test_known_networks_come_out_near_what_was_published():
    resnet, separable = (write_tflite(MLPERF_TINY[name](), "int8") for name in ("ic", "kws"))
    device = get_device("cortex-m4")
    assert device.measure(resnet).min == pytest.approx(166, rel=0.25)
    assert device.measure(separable).min == pytest.approx(43.4, rel=0.25)
    assert device.measure(resnet).energy_mj == pytest.approx(5.496, rel=0.25)


def test_networks_are_the_published_ones():
    macs = {name: build().macs for name, build in MLPERF_TINY.items()}
    assert macs == {"ad": 264192, "ic": 12501632, "kws": 2656768, "vww": 7489664}


def test_work_is_counted_by_kind():
    work = micro_work(read_operators(MODEL))
    assert work.convolution_macs == 2 * 256 * 16 * 64
    assert work.depthwise_macs == 256 * 64 * 9
    assert (work.dense_macs, work.operators) == (0, 4)
    assert (work + work).elements == 2 * work.elements


def test_a_fit_finds_the_shape_that_made_the_figures():
    works = [
        MicroWork(
            convolution_macs=10**6 * a, depthwise_macs=10**5 * b, dense_macs=10**5, elements=1000 * a, operators=a
        )
        for a, b in ((1, 9), (4, 1), (9, 30), (2, 2), (6, 1), (3, 40))
    ]
    points = [
        Point(board, str(place), work, speed * (work.convolution_macs + 4 * work.depthwise_macs + work.dense_macs))
        for board, speed in (("a", 1e-6), ("b", 3e-6))
        for place, work in enumerate(works)
    ]
    found = fit(points)
    assert found.shape["depthwise_macs"] == pytest.approx(4, rel=0.1)
    assert found.speed["b"] / found.speed["a"] == pytest.approx(3, rel=0.01)
    assert max(abs(error) for error in leave_one_network_out(points)["a"].values()) < 0.2


def test_a_float_model_is_refused():
    with pytest.raises(MeasurementError, match="quantize the whole model first"):
        get_device("cortex-m7").measure(write_tflite(InvertedBottleneck(filters=8).lower((8, 8, 8)), "float32"))


def test_a_description_is_checked():
    spec = get_device("cortex-m4").spec
    constants = {**spec.options["constants"], "fixed_ms": {"value": 1.0}}
    with pytest.raises(InputError, match="lacks its source"):
        device_from_spec(dataclasses.replace(spec, options={**spec.options, "constants": constants}))
    with pytest.raises(InputError, match="unknown option 'core'"):
        device_from_spec(dataclasses.replace(spec, options={**spec.options, "core": 1}))
    with pytest.raises(InputError, match=r"errors.networks must be \{median, max, networks\}"):
        device_from_spec(dataclasses.replace(spec, options={**spec.options, "errors": {"networks": 0.2}}))
