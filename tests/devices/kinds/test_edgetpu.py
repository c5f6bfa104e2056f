"""Coral devices without hardware: what is missing is said, and never a CPU is measured instead."""

from __future__ import annotations

import json
import stat
import sys

import flatbuffers
import numpy as np
import pytest

from edgenas.devices import MeasurementError, device_names, get_device
from edgenas.devices.device import DeviceSpec, MeasureSettings
from edgenas.devices.kinds.edgetpu import EdgeTpuDevice
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.schema import schema
from edgenas.spaces.blocks import ConvBnAct, GroupConvInvertedBottleneck
from edgenas.spaces.errors import InputError

MODEL = write_tflite(ConvBnAct(filters=8).lower((8, 8, 3)), "int8")
NAMES = ("coral-usb", "coral-dev-board", "coral-m2")


def compiled() -> bytes:
    """A model whose only operator is the compiler's."""
    model = schema().ModelT.InitFromPackedBuf(MODEL, 0)
    code = model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema().BuiltinOperator.CUSTOM
    code.customCode = "edgetpu-custom-op"
    operator = model.subgraphs[0].operators[0]
    operator.builtinOptionsType, operator.builtinOptions = 0, None
    operator.customOptions = np.zeros(16, np.uint8)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def script(path, text: str) -> str:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def runner(tmp_path):
    """A stand-in for a Python with the delegate: answers as the runner does, and notes what it was asked."""
    return script(
        tmp_path / "python",
        f"#!{sys.executable}\n"
        "import json, sys\n"
        "settings = json.loads(sys.stdin.readline())\n"
        f"open({str(tmp_path / 'settings.json')!r}, 'w').write(json.dumps(settings))\n"
        "def say(**answer): print(json.dumps(answer), flush=True)\n"
        "say(facts=dict(runtime='tflite-runtime', runtime_version='2.14', threads=1, protocol=1))\n"
        "for line in sys.stdin:\n"
        "    job = json.loads(line)\n"
        "    content = open(job['path'], 'rb').read()\n"
        "    assert b'edgetpu-custom-op' in content\n"
        "    say(id=job['id'], samples_ms=[1.5, 1.6], runs=2, warmup_runs=1, batch=1)\n",
    )


@pytest.fixture
def compiler(tmp_path):
    """A stand-in for the compiler that refuses group convolutions, as the real one does."""
    (tmp_path / "compiled").write_bytes(compiled())
    return script(
        tmp_path / "edgetpu_compiler",
        f"#!{sys.executable}\n"
        "import shutil, sys\n"
        "from edgenas.export.tflite.reader import read_operators\n"
        "folder, model = sys.argv[3], sys.argv[4]\n"
        "print('Edge TPU Compiler version 16.0.384591198')\n"
        "for operator in read_operators(open(model, 'rb').read()):\n"
        "    if operator.name == 'CONV_2D' and operator.version > 5:\n"
        "        sys.exit(\"ERROR: Didn't find op for builtin opcode 'CONV_2D' version '6'\\nInvalid model: m\")\n"
        f"shutil.copy({str(tmp_path / 'compiled')!r}, folder + '/model_edgetpu.tflite')\n"
        "print('Number of Edge TPU subgraphs: 1\\nOperator  Count  Status\\n\\nCONV_2D  1  Mapped to Edge TPU')\n",
    )


def device(**options) -> EdgeTpuDevice:
    return EdgeTpuDevice(DeviceSpec("coral-test", "edgetpu", "", ("int8",), options))


@pytest.mark.parametrize("name", NAMES)
def test_the_catalog_has_them_and_they_measure_nothing_here(name):
    assert name in device_names()
    target = get_device(name)
    assert target.precisions == ("int8",)
    assert target.check()
    with pytest.raises(MeasurementError, match=r"cannot load the delegate libedgetpu.so.1.*Nothing was measured"):
        target.measure(MODEL)


def test_check_names_all_that_is_missing():
    problems = device(library="/nowhere/libedgetpu.so.1", compiler="no_such_compiler").check()
    assert len(problems) == 3
    for words, problem in zip(("USB 3 port", "libedgetpu1-std", "PATH"), problems, strict=True):
        assert words in problem


def test_a_library_that_is_none_is_named(tmp_path):
    bogus = tmp_path / "libedgetpu.so.1"
    bogus.write_bytes(b"this is no library")
    with pytest.raises(MeasurementError, match="cannot load the delegate") as caught:
        device(library=str(bogus)).measure(compiled())
    assert str(bogus) in str(caught.value)


def test_a_model_is_compiled_and_measured(runner, compiler, tmp_path):
    target = device(python=runner, compiler=compiler, bus="pci")
    measurement = target.measure(MODEL)
    assert measurement.min == 1.5
    assert measurement.provenance.kind == "measured"
    assert "libedgetpu.so.1, edgetpu_compiler 16.0.384591198" in measurement.provenance.protocol
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings["delegate"] == "libedgetpu.so.1"
    assert settings["delegate_options"] == {"device": "pci"}


def test_a_compiled_model_needs_no_compiler(runner):
    assert device(python=runner, compiler="no_such_compiler").measure(compiled()).min == 1.5


def test_without_a_compiler_an_uncompiled_model_is_an_error_and_the_others_are_measured(runner):
    target = device(python=runner, compiler="no_such_compiler")
    heard = []
    outcomes = target.measure_many(
        {"plain": MODEL, "compiled": compiled(), "garbage": b"nonsense"},
        MeasureSettings(anchor=MODEL),
        lambda name, outcome: heard.append(name),
    )
    assert list(outcomes) == ["plain", "compiled", "garbage"]
    assert sorted(heard) == ["compiled", "garbage", "plain"]
    assert "no_such_compiler is not on the PATH" in str(outcomes["plain"])
    assert outcomes["compiled"].min == 1.5
    assert "TFLite model" in str(outcomes["garbage"])


def test_group_convolutions_are_split_before_compiling(runner, compiler):
    grouped = GroupConvInvertedBottleneck(filters=16, expansion=4, groups=4).lower((8, 8, 16))
    assert device(python=runner, compiler=compiler).measure(write_tflite(grouped, "int8")).min == 1.5


def test_a_model_that_the_compiler_leaves_to_the_cpu_is_refused(runner, tmp_path):
    lazy = script(
        tmp_path / "lazy",
        '#!/bin/sh\ncp "$4" "$3/model_edgetpu.tflite"\n'
        "printf 'Operator  Count  Status\\n\\nCONV_2D  1  Operation is working on an unsupported data type\\n'\n",
    )
    with pytest.raises(MeasurementError, match=r"mapped no operator.*CONV_2D: Operation is working on"):
        device(python=runner, compiler=lazy).measure(MODEL)


@pytest.mark.parametrize("options", [{"bus": "wifi"}, {"speed": 1}])
def test_wrong_options_are_named(options):
    with pytest.raises(InputError, match=next(iter(options))):
        device(**options)
