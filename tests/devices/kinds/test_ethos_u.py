"""Ethos-U without a board: Arm's compiler answers, labelled as its estimate."""

from __future__ import annotations

import dataclasses
import json

import pytest

from edgenas.devices import MeasurementError, device_names, get_device
from edgenas.devices.conformance import DeviceConformance
from edgenas.devices.device import CATALOG, DeviceSpec, MeasureSettings, device_from_spec, read_device_spec
from edgenas.devices.kinds.ethos_u import EthosUDevice
from edgenas.export import extra
from edgenas.export.compilers.ethos_u.configuration import ACCELERATORS
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.blocks import ConvBnAct, InvertedBottleneck
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder
from edgenas.spaces.ops import Convolution, Resize

pytest.importorskip("ethosu", reason="the extra edgenas[ethos-u] is not installed")

MODEL = write_tflite(InvertedBottleneck(filters=16, expansion=4).lower((16, 16, 16)), "int8")


class TestConformance(DeviceConformance):
    def device(self):
        return get_device("ethos-u55-128")


def own(**options: object) -> EthosUDevice:
    spec = get_device("ethos-u55-128").spec
    device = device_from_spec(dataclasses.replace(spec, options={**spec.options, **options}))
    assert isinstance(device, EthosUDevice)
    return device


def test_every_accelerator_is_in_the_catalog_and_larger_ones_are_faster():
    assert set(ACCELERATORS) <= set(device_names())
    latencies = {}
    for name in ACCELERATORS:
        device = get_device(name)
        assert device.spec.options["accelerator"] == name
        found = device.measure(MODEL)
        assert found.provenance.kind == "simulated"
        assert found.provenance.runtime == "Arm Vela"
        assert found.memory["sram_bytes"] > 0
        latencies[name] = found.min
    assert latencies["ethos-u55-32"] > latencies["ethos-u55-128"] > latencies["ethos-u85-2048"]


def test_the_shares_of_operators_add_up_to_the_estimate():
    found = get_device("ethos-u55-128").measure(MODEL)
    assert len(found.shares) == 4  # expand, depthwise, project, add
    assert sum(share.latency_ms for share in found.shares) == pytest.approx(found.min)
    assert sum(share.flash_bytes for share in found.shares) == pytest.approx(found.memory["flash_bytes"], abs=64)
    assert max(share.sram_bytes for share in found.shares) <= found.memory["sram_bytes"]
    assert "4 of 4 operators on the NPU" in found.provenance.protocol
    assert "not measured" in found.provenance.protocol


def test_a_float_model_is_refused():
    float_model = write_tflite(ConvBnAct(filters=8).lower((8, 8, 3)), "float32")
    with pytest.raises(MeasurementError, match=r"float model.*quantize it first"):
        get_device("ethos-u55-128").measure(float_model)


def test_what_is_compiled_already_is_refused():
    device = own()
    compiled = device.compile(MODEL).model
    with pytest.raises(MeasurementError, match="compiled for Ethos-U already"):
        device.measure(compiled)


def test_what_falls_to_the_cpu_is_refused_inside_a_network_and_told_of_a_whole():
    builder = GraphBuilder((8, 8, 8))
    convolution = builder.add("conv", Convolution(8, 3), *builder.inputs)
    model = write_tflite(builder.build(builder.add("resize", Resize(56, 40), convolution)), "int8")
    device = get_device("ethos-u55-128")
    whole = device.measure(model)
    assert "1 of 2 operators on the NPU; without the 1 on the CPU" in whole.provenance.protocol
    with pytest.raises(MeasurementError, match="leaves it to the CPU in part"):
        device.measure(model, settings=MeasureSettings(in_network=True))


def test_board_files_hold_what_the_firmware_must_agree_with():
    files = own().board_files(MODEL)
    facts = json.loads(files["_vela.json"])
    assert facts["accelerator"] == "ethos-u55-128"
    assert facts["memory_mode"] == "Shared_Sram"
    assert facts["arena_bytes"] == facts["estimate"]["sram_bytes"] > 0
    assert b"ethos-u" in files["_vela.tflite"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"accelerator": "ethos-u55-96"}, "unknown Ethos-U accelerator 'ethos-u55-96'"),
        ({"system_config": "Nowhere"}, "has no system configuration 'Nowhere'.*Ethos_U55_High_End_Embedded"),
        (
            {"system_config": "Ethos_U85_SYS_DRAM_Mid"},
            "'Ethos_U85_SYS_DRAM_Mid' is not of an Ethos-U55.*one of Ethos_U55_Deep_Embedded, Ethos_U55_High_End",
        ),
        ({"memory_mode": "Nowhere"}, "has no memory mode 'Nowhere'.*Shared_Sram"),
        ({"config": "/nowhere/my.ini"}, "/nowhere/my.ini: cannot be read"),
        ({"optimise": "speed"}, "performance or size"),
    ],
)
def test_a_wrong_configuration_is_one_line(options, words):
    with pytest.raises(InputError, match=words) as error:
        own(**options).measure(MODEL)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("core_clock=500e6", "core_clock=fast", "core_clock must be a number, found 'fast'"),
        ("axi0_port=Sram", "axi0_port=Disk", "axi0_port must be one of Sram"),
        ("core_clock=500e6\n", "", "lacks the key 'core_clock'"),
        ("const_mem_area=Axi1", "const_mem_area=Axi7", "must be Axi0 or Axi1"),
        ("[Memory_Mode.Mine]", "[Memory_Mode.Mine\n", "is no configuration of Vela"),
        ("[Memory_Mode.Mine]", "[Memory_Mode.Other]", "has no memory mode 'Mine'.*expected one of Other"),
        ("Sram_clock_scale=1.0", "Sram_clock_scale=fast", "Sram_clock_scale must be a number, found 'fast'"),
        ("OffChipFlash_clock_scale=0.125", "OffChipFlash_clock_scale=0", "OffChipFlash_clock_scale must be from"),
        ("Sram_clock_scale=1.0", "Sram_read_latency=-5", "Sram_read_latency must be from 0"),
        ("Sram_clock_scale", "Sram_clok_scale", r"\[System_Config.Board\]: unknown key 'sram_clok_scale'"),
        ("const_mem_area", "weights=1\nconst_mem_area", "unknown key 'weights': expected inherit, const_mem_area"),
    ],
)
def test_a_users_own_ini(tmp_path, old, new, words):
    text = (
        "[System_Config.Board]\ncore_clock=500e6\naxi0_port=Sram\naxi1_port=OffChipFlash\nSram_clock_scale=1.0\n"
        "OffChipFlash_clock_scale=0.125\n[Memory_Mode.Mine]\nconst_mem_area=Axi1\narena_mem_area=Axi0\n"
        "cache_mem_area=Axi0\n"
    )
    path = tmp_path / "board.ini"
    options = {"config": str(path), "system_config": "Board", "memory_mode": "Mine"}
    path.write_text(text)
    assert own(**options).measure(MODEL).provenance.frequency_mhz == 500
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=words):
        own(**options).measure(MODEL)


def test_a_factor_of_a_board_is_applied_and_told(tmp_path):
    description = (CATALOG / "ethos-u55-128.yaml").read_text().replace("name: ethos-u55-128", "name: board")
    path = tmp_path / "board.yaml"
    path.write_text(description + "calibration: {factor: 1.5, spread: 1.2, networks: 4, source: board.csv}\n")
    board, plain = device_from_spec(read_device_spec(path)), get_device("ethos-u55-128")
    assert board.measure(MODEL).min == pytest.approx(1.5 * plain.measure(MODEL).min)
    assert "times 1.5, fitted on 4 networks" in board.identity().protocol
    assert board.identity().runtime_version != plain.identity().runtime_version


def test_without_the_compiler_one_line_names_the_extra(monkeypatch):
    monkeypatch.setattr(extra, "installed_version", lambda package: None)
    with pytest.raises(InputError, match=r"edgenas\[ethos-u\]"):
        own().identity()


def test_options_are_checked():
    with pytest.raises(InputError, match="unknown option 'speed'"):
        own(speed=1)
    with pytest.raises(InputError, match="'memory_mode' must be a text"):
        device_from_spec(DeviceSpec("x", "ethos-u", options={"accelerator": "a", "system_config": "b"}))


def test_in_network_does_not_change_the_estimate():
    device = get_device("ethos-u55-128")
    settings = MeasureSettings(in_network=True)
    assert device.measure(MODEL, settings=settings).min == device.measure(MODEL).min
