"""The conformance suite over inverted bottlenecks of all kinds."""

import itertools

import pytest

from edgenas.spaces.block import signature
from edgenas.spaces.blocks import (
    FusedInvertedBottleneck,
    GroupConvInvertedBottleneck,
    InvertedBottleneck,
    PreNormInvertedBottleneck,
    UniversalInvertedBottleneck,
)
from edgenas.spaces.conformance import BlockConformance
from edgenas.spaces.errors import InputError
from tests.spaces.blocks.wrong_options import ACTIVATION, IMAGES, KERNELS, NUMBERS, STRIDES

BOTTLENECK = [
    *NUMBERS,
    *STRIDES,
    *KERNELS,
    *ACTIVATION,
    *({"expansion": bad} for bad in (0, -1, "6", None, True, float("nan"), float("inf"))),
    *({"se_ratio": bad} for bad in (-0.1, 1.5, "0.25", None, True, float("nan"))),
    *({"se_gate": bad} for bad in ("relu", None, 1)),
    *({"skip": bad} for bad in (1, "yes", None)),
    *({"se_of": bad} for bad in ("", "output", None)),
    *({"se_activation": bad} for bad in ("linear", "elu", None)),
    *({"expansion_of": bad} for bad in ("", "expanded", None)),
]


def _bottlenecks(cls, expansions=(1, 1.0001, 2.5, 4, 184 / 80), **extra):
    return [
        (cls(filters=filters, kernel=kernel, stride=stride, expansion=expansion, se_ratio=ratio, skip=skip, **extra), s)
        for s in IMAGES
        for filters, kernel, stride, expansion, ratio, skip in itertools.product(
            (16, 24), (3, 5), (1, 2), expansions, (0, 0.25), (True, False)
        )
    ]


class TestInvertedBottleneck(BlockConformance):
    blocks = (
        *_bottlenecks(InvertedBottleneck),
        *_bottlenecks(InvertedBottleneck, (4,), se_of="input", se_activation="swish", se_gate="sigmoid"),
        *_bottlenecks(InvertedBottleneck, (1, 3), expansion_of="output"),
        *_bottlenecks(InvertedBottleneck, (2.3,), expansion_of="output", divisor=1),
    )
    bad_options = BOTTLENECK


class TestFusedInvertedBottleneck(BlockConformance):
    blocks = _bottlenecks(FusedInvertedBottleneck)
    bad_options = BOTTLENECK


class TestGroupConvInvertedBottleneck(BlockConformance):
    blocks = tuple(
        (GroupConvInvertedBottleneck(filters=16, expansion=expansion, stride=stride, **groups), ((8, 8, 16),))
        for expansion in (2, 4)
        for stride in (1, 2)
        for groups in ({"group_size": 8}, {"group_size": 16}, {"group_size": 32}, {"groups": 1}, {"groups": 4})
    )
    bad_options = (
        *BOTTLENECK,
        {"group_size": None},
        {"groups": 2},
        *({"group_size": bad} for bad in (0, 3, 12, -8, 1.5, True, "8")),
        *({"group_size": None, "groups": bad} for bad in (0, 3, -1, 2.0, True, "2", 32)),
    )


class TestUniversalInvertedBottleneck(BlockConformance):
    blocks = tuple(
        (UniversalInvertedBottleneck(filters, start, kernel, stride, expansion), shapes)
        for shapes in IMAGES
        for filters, start, kernel, stride, expansion in itertools.product(
            (16, 24), (0, 3), (0, 5), (1, 2), (2, 184 / 80)
        )
        if stride == 1 or start or kernel
    )
    bad_options = (
        *NUMBERS,
        *STRIDES,
        *ACTIVATION,
        *({name: bad} for name in ("start_kernel", "kernel") for bad in (1, 2, 3.0, True, "3", None)),
        *({"expansion": bad} for bad in (0, -1, "6", None, True, float("nan"))),
        *({"skip": bad} for bad in (1, "yes", None)),
        {"start_kernel": 0, "kernel": 0, "stride": 2},
    )


class TestPreNormInvertedBottleneck(BlockConformance):
    blocks = tuple(
        (PreNormInvertedBottleneck(filters, kernel, stride, expansion, se_ratio=ratio), shapes)
        for shapes in IMAGES
        for filters, kernel, stride, expansion, ratio in itertools.product(
            (16, 24), (3, 5), (1, 2), (2, 2.3), (0, 0.25)
        )
    )
    bad_options = (
        *NUMBERS,
        *STRIDES,
        *KERNELS,
        *ACTIVATION,
        *({"expansion": bad} for bad in (0, -1, "6", None, True, float("nan"))),
        *({"se_ratio": bad} for bad in (-0.1, 1.5, "0.25", None, True)),
    )


def test_expansion_of_the_output_is_the_same_block_as_of_the_input():
    of_output = InvertedBottleneck(72, stride=2, expansion=8, expansion_of="output")
    assert of_output.expanded_filters((40, 40, 64)) == 576
    assert of_output.canonical((40, 40, 64)) == InvertedBottleneck(72, stride=2, expansion=9, skip=False)


def test_group_errors_name_the_widths():
    with pytest.raises(InputError, match=r"group_size 64 does not divide 96 expanded filters \(24 channels"):
        GroupConvInvertedBottleneck(filters=24, expansion=4, group_size=64).lower((8, 8, 24))
    with pytest.raises(InputError, match="5 groups do not divide 24 input channels and 96"):
        GroupConvInvertedBottleneck(filters=24, expansion=4, groups=5).lower((8, 8, 24))


def test_widths_between_are_not_rounded_where_that_is_asked_for():
    block = InvertedBottleneck(filters=36, expansion=3, divisor=1)
    assert block.expanded_filters((8, 8, 18)) == 54
    assert "divisor=1" in signature(block, ((8, 8, 18),), "int8")
    plain = InvertedBottleneck(filters=36, expansion=3)
    assert signature(InvertedBottleneck(filters=36, expansion=3, divisor=1), ((8, 8, 16),), "int8") == signature(
        plain, ((8, 8, 16),), "int8"
    )
