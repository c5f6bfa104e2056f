"""The conformance suite over blocks that bring several tensors together."""

from edgenas.spaces.blocks import (
    BifpnNode,
    Concat,
    CroppedSum,
    Edge,
    Fusion,
    Identity,
    Resample,
    Sum,
    WeightedFusion,
    Zeros,
)
from edgenas.spaces.conformance import BlockConformance
from tests.spaces.blocks.wrong_options import ACTIVATION, IMAGES, KERNELS, NUMBERS

SAME = (((8, 8, 16),), ((8, 8, 16), (8, 8, 16)), ((8, 8, 16),) * 3)


class TestSum(BlockConformance):
    blocks = tuple((Sum(activation), shapes) for shapes in SAME for activation in ("linear", "relu6"))
    bad_options = (*ACTIVATION,)


class TestWeightedFusion(BlockConformance):
    blocks = tuple((WeightedFusion(activation), shapes) for shapes in SAME for activation in ("linear", "relu6"))
    bad_options = (*ACTIVATION,)


class TestConcat(BlockConformance):
    blocks = (
        *((Concat(), shapes) for shapes in (*SAME, ((8, 8, 16), (8, 8, 24)), ((12,), (3,)))),
        *((Concat(axis), ((6, 4), (18, 4))) for axis in (0, -2)),
        (Concat(1), ((6, 4), (6, 3))),
        (Concat(0), ((6, 4),)),
    )
    bad_options = tuple({"axis": bad} for bad in (5, "0", None, True))


class TestIdentity(BlockConformance):
    blocks = tuple((Identity(), shapes) for shapes in IMAGES)
    bad_options = ({"filters": 8},)


class TestZeros(BlockConformance):
    blocks = tuple((Zeros(), shapes) for shapes in IMAGES)
    bad_options = ({"filters": 8},)


class TestResample(BlockConformance):
    blocks = tuple(
        (Resample(filters, up, down, pooling, resizing), shapes)
        for shapes in IMAGES
        for filters in (0, 24)
        for up, down in ((1, 1), (2, 1), (1, 2), (1, 4), (3, 2))
        for pooling, resizing in (("max", "nearest"), ("average", "bilinear"))
    )
    bad_options = (
        *({"up": bad} for bad in (0, 1.5, "2", None)),
        *({"down": bad} for bad in (0, True)),
        *({"filters": bad} for bad in (-1, 1.5)),
        {"pooling": "mean"},
        {"resizing": "cubic"},
    )


class TestFusion(BlockConformance):
    blocks = tuple(
        (Fusion(filters, weighted, "relu6"), shapes)
        for filters in (16, 24)
        for weighted in (False, True)
        for shapes in (((8, 8, 16),), ((8, 8, 16), (16, 16, 16)), ((7, 5, 16), (14, 9, 24), (3, 3, 8)))
    )
    bad_options = (*NUMBERS, *ACTIVATION, {"weighted": 1}, {"pooling": "mean"}, {"resizing": "cubic"})


class TestEdge(BlockConformance):
    blocks = tuple(
        (Edge(filters, up, down), shapes)
        for shapes in IMAGES
        for filters in (16, 24)
        for up, down in ((1, 1), (2, 1), (4, 1), (1, 2), (1, 4))
    )
    bad_options = (
        *NUMBERS,
        *({"up": bad} for bad in (0, 1.5, "2", None)),
        *({"down": bad} for bad in (0, True)),
        {"up": 2, "down": 2},
    )


class TestCroppedSum(BlockConformance):
    blocks = tuple(
        (CroppedSum(activation), shapes)
        for shapes in (((8, 8, 16),), ((5, 5, 16), (6, 6, 16)), ((6, 4, 8), (5, 4, 8), (8, 3, 8)))
        for activation in ("linear", "relu6")
    )
    bad_options = (*ACTIVATION,)


class TestBifpnNode(BlockConformance):
    blocks = tuple(
        (BifpnNode(filters, kernel, weighted), shapes)
        for filters in (0, 24)
        for kernel in (3, 5)
        for weighted in (False, True)
        for shapes in (((8, 8, 16),), ((8, 8, 16), (16, 16, 16)), ((7, 5, 16), (14, 9, 24), (3, 3, 8)))
    )
    bad_options = (
        *({"filters": bad} for bad in (-8, 1.5, None)),
        *KERNELS,
        *ACTIVATION,
        {"weighted": 1},
        {"pooling": "mean"},
        {"resizing": "cubic"},
    )
