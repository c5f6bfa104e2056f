"""The conformance suite over the blocks of detection, segmentation and tables."""

import pytest

from edgenas.spaces.blocks import (
    AsppLite,
    BoxHead,
    ClassHead,
    Columns,
    DenseHead,
    DenseLayer,
    LabelMap,
    PixelClassifier,
    PostProcess,
    SkipDecoder,
    Unit,
)
from edgenas.spaces.conformance import BlockConformance
from edgenas.spaces.errors import InputError
from tests.spaces.blocks.wrong_options import ACTIVATION, IMAGES, KERNELS, NUMBERS

LEVELS = (((8, 8, 16),), ((8, 8, 16), (4, 4, 24)), ((7, 5, 8), (4, 3, 8), (2, 2, 8), (1, 1, 8)))

HEAD = (
    *({"anchors": bad} for bad in (0, 1.5, "6", None)),
    *({"first_anchors": bad} for bad in (-1, 1.5, None)),
    {"separable": 1},
    {"shared": "no"},
    {"shared": True, "first_anchors": 2},
    *KERNELS,
    *ACTIVATION,
)


class TestBoxHead(BlockConformance):
    blocks = (
        *((BoxHead(6, first, separable=deep), s) for s in LEVELS for first in (0, 3) for deep in (True, False)),
        *((BoxHead(2, kernel=5, shared=True, separable=deep), LEVELS[2]) for deep in (True, False)),
    )
    bad_options = HEAD


class TestClassHead(BlockConformance):
    blocks = (
        *((ClassHead(6, first, classes=count), s) for s in LEVELS for first in (0, 3) for count in (1, 90)),
        (ClassHead(2, shared=True, classes=3), LEVELS[2]),
    )
    bad_options = (*HEAD, *({"classes": bad} for bad in (0, 1.5, None)))


class TestPostProcess(BlockConformance):
    blocks = tuple((PostProcess(most), ((96, 4), (96, count))) for most in (1, 100) for count in (1, 90))
    bad_options = tuple({"most_boxes": bad} for bad in (0, 1.5, None))


def test_a_shared_head_has_the_parameters_of_one_level():
    level = (8, 8, 16)
    apart, shared = BoxHead(3), BoxHead(3, shared=True)
    assert shared.lower(level, level, level).params == apart.lower(level).params
    assert shared.lower(level, level, level).macs == apart.lower(level, level, level).macs
    with pytest.raises(InputError, match="takes levels of as many channels, not 16, 24"):
        shared.lower(level, (4, 4, 24))


class TestAsppLite(BlockConformance):
    blocks = tuple((AsppLite(16, dilation), shapes) for shapes in IMAGES for dilation in (0, 3))
    bad_options = (*NUMBERS, *ACTIVATION, {"dilation": -1}, {"dilation": 1.5})


class TestSkipDecoder(BlockConformance):
    blocks = tuple(
        (SkipDecoder(24, 8, kernel), shapes)
        for kernel in (3, 5)
        for shapes in (((8, 8, 16), (4, 4, 32)), ((15, 9, 8), (15, 9, 8)))
    )
    bad_options = (*NUMBERS, *KERNELS, *ACTIVATION, {"skip_filters": 0})


class TestPixelClassifier(BlockConformance):
    blocks = tuple((PixelClassifier(11, kernel, 0.1), shapes) for shapes in IMAGES for kernel in (1, 3))
    bad_options = (*({"classes": bad} for bad in (0, -1, None, 1.5)), *KERNELS, {"dropout": 1})


class TestDense(BlockConformance):
    blocks = tuple(
        (DenseLayer(filters, activation, norm, residual, dropout), ((16,),))
        for filters in (8, 16)
        for activation in ("linear", "relu", "hard_swish")
        for norm in (False, True)
        for residual in (False, True)
        for dropout in (0.0, 0.3)
    )
    bad_options = (
        *NUMBERS,
        *ACTIVATION,
        *({"norm": bad} for bad in (1, "yes", None)),
        *({"residual": bad} for bad in (1, "yes", None)),
        *({"dropout": bad} for bad in (-0.1, 1.0, "0.1", None)),
    )


class TestDenseHead(BlockConformance):
    blocks = ((DenseHead(3), ((16,),)), (DenseHead(1, 0.2), ((4,),)))
    bad_options = (*({"classes": bad} for bad in (0, 1.5, True, None)), {"dropout": 1.5})


class TestColumns(BlockConformance):
    blocks = ((Columns(2, "3+4"), ((4,),)), (Columns(3), ((3,),)), (Columns(0, "2"), ((1,),)), (Columns(1, 3), ((2,),)))
    bad_options = (
        *({"numeric": bad} for bad in (-1, 1.5, "2", None)),
        *({"categories": bad} for bad in ("3+", "a", "0", "3,4", None, True, 2.5)),
    )


class TestUnit(BlockConformance):
    blocks = ((Unit(), ((3,),)), (Unit(), ((1,),)))
    bad_options = ({"mean": 1.0},)


class TestLabelMap(BlockConformance):
    blocks = tuple(
        (LabelMap(16, 12, *sides, argmax), ((8, 6, 11),))
        for sides in ((16, 12), (8, 6), (4, 3))
        for argmax in ("operator", "chain")
    )
    bad_options = (*({"height": bad} for bad in (0, None, 1.5)), {"at_width": 0}, {"argmax": "max"})
