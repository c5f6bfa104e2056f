"""What makes the Edge TPU compiler refuse a file whole, and advice that follows from what is wrong."""

from __future__ import annotations

import pytest

from edgenas.export.compilers.edgetpu.check import check_operators
from edgenas.export.compilers.edgetpu.rules import UNSPECIFIED
from edgenas.export.tflite.reader import TfliteOperator, TfliteTensor


def tensor(index: int, shape: tuple[int, ...], dtype: str = "INT8", *, constant: bool = False, **more) -> TfliteTensor:
    return TfliteTensor(index, f"t{index}", shape, dtype, constant, (0.1,) if dtype == "INT8" else (), **more)


def operator(name: str, *inputs: TfliteTensor, index: int = 0, version: int = 1, **more) -> TfliteOperator:
    return TfliteOperator(index, name, version, inputs, (tensor(100 + index, (1, 8, 8, 4)),), **more)


RELU = operator("RELU", tensor(0, (1, 8, 8, 4)), index=1)


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (operator("GELU", tensor(1, (1, 8, 8, 4))), "'GELU'"),
        (operator("READ_VARIABLE", tensor(1, (1,), "RESOURCE")), "'READ_VARIABLE'"),
        (operator("BUILTIN_250", tensor(1, (1, 8, 8, 4))), "newer than the compiler"),
        (operator("FlexErf", tensor(1, (1, 8, 8, 4)), is_custom=True), "unresolved custom op: FlexErf"),
        (operator("IF", tensor(1, (1,), "BOOL"), options={"thenSubgraphIndex": 1}), "control flow"),
        (operator("RESHAPE", tensor(1, (1, 8, 8, 4)), tensor(2, (4,), "INT32")), "dynamic-sized tensors"),
        (operator("WHERE", tensor(1, (1, 8, 8, 4), "BOOL")), "dynamic-sized tensors"),
        (operator("RELU", tensor(1, (1, 8, 8, 4), signature=(-1, 8, 8, 4))), "dynamic-sized tensors"),
        (operator("CONV_2D", tensor(1, (1, 8, 8, 4)), version=6), "'CONV_2D' version '6'"),
    ],
)
def test_the_whole_file_is_refused_with_a_fix(refused: TfliteOperator, words: str) -> None:
    report = check_operators([refused, RELU])
    assert report.mapped == 0
    assert words in str(report.failure)
    assert report.failure_change
    assert report.changes[0].startswith("nothing is compiled before this is solved")
    assert "the compiler refuses the whole file" in report.operators[1].reason
    assert "quantize the whole model" not in " ".join(report.changes)


@pytest.mark.parametrize("name", ["TFLite_Detection_PostProcess", "PosenetDecoderOp"])
def test_what_the_compiler_knows_is_not_refused(name: str) -> None:
    last = operator(name, tensor(1, (1, 8, 8, 4)), index=2, is_custom=True)
    report = check_operators([RELU, last])
    assert report.failure is None
    assert [found.mapped for found in report.operators] == [True, False]


def test_a_map_of_one_place_may_be_tiled() -> None:
    sizes = tensor(2, (4,), "INT32", constant=True)
    spread = operator("TILE", tensor(1, (1, 1, 1, 4)), sizes)
    assert check_operators([spread, RELU]).mapped == 2
    repeated = operator("TILE", tensor(1, (1, 4, 4, 4)), sizes)
    report = check_operators([repeated])
    assert report.mapped == 0
    assert report.operators[0].reason.startswith(UNSPECIFIED)


@pytest.mark.parametrize(
    ("operators", "advice"),
    [
        ([operator("ADD", tensor(1, (1, 8, 8, 4), "FLOAT32"))], "left this operator in floating point"),
        ([operator("ADD", tensor(1, (1, 8, 8, 4), "INT32"))], "not quantized values"),
        ([operator("ADD", tensor(1, (1, 8, 8, 4), "INT16"))], "not int16x8"),
    ],
)
def test_an_int8_file_is_not_told_to_become_int8(operators: list[TfliteOperator], advice: str) -> None:
    changes = " ".join(check_operators([*operators, RELU]).changes)
    assert advice in changes
    assert "quantize the whole model" not in changes


def test_a_float_file_is_told_to_become_int8() -> None:
    real = tensor(1, (1, 8, 8, 4), "FLOAT32")
    plain = TfliteOperator(0, "ADD", 1, (real,), (real,))
    assert "quantize the whole model to int8" in " ".join(check_operators([plain]).changes)
    weights = TfliteOperator(0, "CONV_2D", 1, (real, tensor(2, (4, 3, 3, 4), constant=True)), (real,))
    assert "quantize the activations too" in " ".join(check_operators([weights]).changes)
