"""The conformance suite over convolutions, attention and what ends a classifier."""

import itertools

from edgenas.spaces.blocks import (
    ClassifierHead,
    ConvBnAct,
    NormAct,
    Pooling,
    RelativeAttention,
    ReluConv,
    ResidualReduction,
    Separable,
    Tucker,
)
from edgenas.spaces.conformance import BlockConformance
from edgenas.spaces.ops import ACTIVATIONS
from tests.spaces.blocks.wrong_options import ACTIVATION, IMAGES, KERNELS, NUMBERS, STRIDES


class TestConvolution(BlockConformance):
    blocks = tuple(
        (ConvBnAct(filters=16, kernel=kernel, stride=stride, activation=activation), shapes)
        for shapes in IMAGES
        for kernel in (1, 3, 5, 7)
        for stride in (1, 2)
        for activation in ACTIVATIONS
    ) + tuple((ConvBnAct(filters=24, stride=stride, skip=True), shapes) for shapes in IMAGES for stride in (1, 2))
    bad_options = (
        *NUMBERS,
        *STRIDES,
        *KERNELS,
        *ACTIVATION,
        *({"skip": bad} for bad in (1, "yes", None)),
    )


class TestRelativeAttention(BlockConformance):
    blocks = tuple(
        (RelativeAttention(filters, stride, head_size, expansion), shapes)
        for shapes in IMAGES
        for filters, stride, head_size, expansion in itertools.product((16, 24), (1, 2), (4, 8), (1, 2.5))
    ) + tuple((RelativeAttention(16, stride, 8, 2, "relu", "batch"), shapes) for shapes in IMAGES for stride in (1, 2))
    bad_options = (
        *NUMBERS,
        *STRIDES,
        *ACTIVATION,
        *({"norm": bad} for bad in ("", "group", None, True)),
        *({"head_size": bad} for bad in (0, 5, 32, 4.0, True, "8", None)),
        *({"expansion": bad} for bad in (0, -1, "6", None, True, float("nan"))),
    )


class TestPooling(BlockConformance):
    blocks = tuple(
        (Pooling(kind, kernel, 2), shapes) for kind in ("average", "max") for kernel in (2, 3) for shapes in IMAGES
    )
    bad_options = (
        {"pooling": "median"},
        {"pooling": None},
        {"kernel": 0},
        {"kernel": 1.5},
        {"stride": 0},
    )


class TestClassifierHead(BlockConformance):
    blocks = tuple(
        (ClassifierHead(classes=10, hidden=hidden, dropout=dropout, activation=activation), shapes)
        for shapes in IMAGES
        for hidden in (0, 32)
        for dropout in (0.0, 0.2)
        for activation in ("relu", "hard_swish", "linear")
    ) + tuple(
        (ClassifierHead(classes=10, hidden=hidden, hidden_norm=hidden_norm, norm=True), ((8, 8, 16),))
        for hidden in (0, 32)
        for hidden_norm in (True, False)
    )
    bad_options = (
        *({"classes": bad} for bad in (0, 2.5, "10", None, True)),
        *({"hidden": bad} for bad in (-1, 1.5, "8", None)),
        *({"dropout": bad} for bad in (-0.1, 1, "0.1", None)),
        *({name: bad} for name in ("norm", "hidden_norm") for bad in (1, "yes", None)),
        *ACTIVATION,
    )


class TestSeparable(BlockConformance):
    blocks = tuple(
        (Separable(filters, kernel, stride, "relu6", skip, norm), shapes)
        for shapes in IMAGES
        for filters in (16, 24)
        for kernel in (3, 5)
        for stride in (1, 2)
        for skip in (True, False)
        for norm in ("last", "between")
    )
    bad_options = (*NUMBERS, *STRIDES, *KERNELS, *ACTIVATION, {"skip": 1}, {"norm": "none"}, {"norm": None})


class TestTucker(BlockConformance):
    blocks = tuple(
        (Tucker(filters, kernel, stride, inputs, outputs, skip=skip), shapes)
        for shapes in IMAGES
        for filters in (16, 24)
        for kernel, stride in ((3, 1), (3, 2), (5, 1))
        for inputs, outputs in ((0.25, 0.75), (0.75, 0.25))
        for skip in (True, False)
    )
    bad_options = (
        *NUMBERS,
        *STRIDES,
        *KERNELS,
        *ACTIVATION,
        {"skip": 1},
        *({"input_ratio": bad} for bad in (0, -1, "1", None)),
        *({"output_ratio": bad} for bad in (0, float("inf"), True)),
    )


class TestReluConv(BlockConformance):
    blocks = tuple(
        (ReluConv(kernel, stride, filters), shapes)
        for shapes in IMAGES
        for kernel in (1, 3)
        for stride in (1, 2)
        for filters in (0, 32)
    )
    bad_options = (*STRIDES, *KERNELS, *({"filters": bad} for bad in (-1, 1.5, None)))


class TestResidualReduction(BlockConformance):
    blocks = tuple((ResidualReduction(filters), shapes) for shapes in IMAGES for filters in (16, 32))
    bad_options = (*NUMBERS,)


class TestNormAct(BlockConformance):
    blocks = tuple((NormAct(activation), shapes) for shapes in (*IMAGES, ((12,),)) for activation in ACTIVATIONS)
    bad_options = (*ACTIVATION,)
