"""The conformance suite over every block that comes with EdgeNAS, and what the suite itself must notice."""

import itertools

import pytest

from edgenas.spaces.block import Block, block_class, block_kinds, register_block, signature
from edgenas.spaces.blocks import (
    AsppLite,
    BandConv,
    BifpnNode,
    BoxHead,
    BroadcastedResidual,
    ClassHead,
    ClassifierHead,
    Columns,
    Concat,
    ConvBnAct,
    CroppedSum,
    DenseHead,
    DenseLayer,
    DepthwiseSeparable,
    Edge,
    Features,
    FrameStack,
    FusedInvertedBottleneck,
    Fusion,
    GroupConvInvertedBottleneck,
    GruLayer,
    Identity,
    InvertedBottleneck,
    LabelMap,
    LstmLayer,
    NormAct,
    PixelClassifier,
    Pooling,
    PostProcess,
    PreNormInvertedBottleneck,
    RelativeAttention,
    ReluConv,
    Resample,
    ResidualReduction,
    Separable,
    SequenceClassifier,
    SkipDecoder,
    SoundConv,
    Sum,
    Svdf,
    Tucker,
    Unit,
    UniversalInvertedBottleneck,
    WeightedFusion,
    Zeros,
)
from edgenas.spaces.conformance import BlockConformance
from edgenas.spaces.errors import InputError
from edgenas.spaces.ops import ACTIVATIONS

IMAGES = (((8, 8, 16),), ((7, 7, 24),), ((1, 1, 8),), ((15, 9, 3),))
NUMBERS = [{"filters": bad} for bad in (0, -8, 1.5, 16.0, True, "16", None, [16])]
STRIDES = [{"stride": bad} for bad in (0, 1.5, True, "2", None)]
KERNELS = [{"kernel": bad} for bad in (0, 2, 4, 3.0, True, "3", None)]
ACTIVATION = [{"activation": bad} for bad in ("", "elu", None, 1, [])]
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


SOUNDS = (((49, 10, 1),), ((25, 5, 8),), ((13, 1, 16),), ((1, 1, 8),))
SOUND = [
    *NUMBERS,
    *STRIDES,
    *ACTIVATION,
    *({"kernel": bad} for bad in (0, 1.5, True, "3", None)),
    *({"causal": bad} for bad in (1, "yes", None)),
]
BANDS = [{"bands": bad} for bad in (0, 1.5, True, "3", None)]


def _sounds(cls, kernels, **options):
    return [
        (
            cls(
                filters=filters, kernel=kernel, stride=stride, causal=causal, **dict(zip(options, chosen, strict=True))
            ),
            s,
        )
        for s in SOUNDS
        for filters, kernel, stride, causal in itertools.product((8, 16), kernels, (1, 2), (True, False))
        for chosen in itertools.product(*options.values())
    ]


class TestSoundConv(BlockConformance):
    blocks = _sounds(SoundConv, (3, 10), bands=(1, 4), band_stride=(0, 1))
    bad_options = (*SOUND, *BANDS, *({"band_stride": bad} for bad in (-1, 1.5, "2", None)))


class TestFeatures(BlockConformance):
    blocks = tuple((Features(8000, 320, 160, 512, 40, count), ((8000,),)) for count in (0, 10))
    bad_options = (
        *({name: bad} for name in ("rate", "frame", "hop", "transform", "bands") for bad in (0, 1.5, "8", None)),
        {"frame": 600},
        {"coefficients": 41},
        {"high_hz": 0},
    )


class TestBandConv(BlockConformance):
    blocks = _sounds(BandConv, (3, 9))
    bad_options = SOUND


class TestDepthwiseSeparable(BlockConformance):
    blocks = _sounds(DepthwiseSeparable, (1, 3), bands=(1, 3), skip=(True, False))
    bad_options = (*SOUND, *BANDS, *({"skip": bad} for bad in (1, "yes", None)))


class TestBroadcastedResidual(BlockConformance):
    blocks = _sounds(BroadcastedResidual, (1, 3), activation=("relu", "swish"))
    bad_options = (*SOUND, *BANDS)


SEQUENCES = (((12, 8),), ((1, 16),))


class TestFrameStack(BlockConformance):
    blocks = tuple((FrameStack(frames), s) for frames in (1, 2, 3) for s in (((49, 10, 1),), ((12, 8),)))
    bad_options = tuple({"frames": bad} for bad in (0, 50, 1.5, True, "2", None))


class TestGruLayer(BlockConformance):
    blocks = tuple((GruLayer(8), s) for s in SEQUENCES)
    bad_options = NUMBERS


class TestLstmLayer(BlockConformance):
    blocks = tuple((LstmLayer(8), s) for s in SEQUENCES)
    bad_options = NUMBERS


class TestSvdf(BlockConformance):
    blocks = tuple(
        (Svdf(8, memory, rank, act), s)
        for memory in (1, 4)
        for rank in (1, 2)
        for act in ACTIVATIONS
        for s in SEQUENCES
    )
    bad_options = (*NUMBERS, *ACTIVATION, *({name: 0} for name in ("memory", "rank")))


class TestSequenceClassifier(BlockConformance):
    blocks = tuple((SequenceClassifier(4, pooling, 0.1), s) for pooling in ("last", "mean") for s in SEQUENCES)
    bad_options = ({"classes": 0}, {"pooling": "first"}, {"dropout": 1})


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


def test_expansion_of_the_output_is_the_same_block_as_of_the_input():
    of_output = InvertedBottleneck(72, stride=2, expansion=8, expansion_of="output")
    assert of_output.expanded_filters((40, 40, 64)) == 576
    assert of_output.canonical((40, 40, 64)) == InvertedBottleneck(72, stride=2, expansion=9, skip=False)


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


def test_every_registered_block_is_tested():
    tested = {type(block) for suite in BlockConformance.__subclasses__() for block, _ in suite.blocks}
    ours = {cls for cls in map(block_class, block_kinds()) if cls.__module__.startswith("edgenas.spaces.")}
    assert ours
    assert ours <= tested


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


def test_blocks_that_build_the_same_have_one_signature():
    shapes = ((8, 8, 16),)
    fused = signature(FusedInvertedBottleneck(filters=24, expansion=4), shapes, "int8")
    assert signature(GroupConvInvertedBottleneck(filters=24, expansion=4, groups=1), shapes, "int8") == fused
    assert signature(FusedInvertedBottleneck(filters=24, expansion=4.0, skip=False), shapes, "int8") == fused
    assert signature(FusedInvertedBottleneck(filters=16, expansion=4), shapes, "int8") != signature(
        FusedInvertedBottleneck(filters=16, expansion=4, skip=False), shapes, "int8"
    )
    dropout = {signature(ClassifierHead(10, dropout=rate), shapes, "int8") for rate in (0.0, 0.5)}
    assert len(dropout) == 1


def test_a_name_is_taken_once():
    with pytest.raises(InputError, match="already registered"):

        @register_block("ibn")
        class Other(Block):
            def lower(self, *input_shapes):
                raise NotImplementedError


class _Wrong(ConvBnAct):
    """Its canonical form is cheaper than itself."""

    def canonical(self, *input_shapes):
        return ConvBnAct(filters=8)


@pytest.mark.parametrize("name", ["kind", "block", "lower", "input_count", "when"])
def test_fields_may_not_hide_what_every_block_has(name: str) -> None:
    with pytest.raises(InputError, match=rf"block class Hiding has a field '{name}'.*call the field something else"):
        type("Hiding", (Identity,), {"__annotations__": {name: "str"}})


def test_the_suite_notices_a_canonical_form_that_costs_less():
    class Suite(BlockConformance):
        blocks = ((_Wrong(filters=16), ((8, 8, 16),)),)
        bad_options = ({"filters": 16},)

    try:
        with pytest.raises(AssertionError, match="cost differently"):
            Suite().test_canonical_form_is_stable_and_costs_the_same()
        with pytest.raises(AssertionError, match="accepts"):
            Suite().test_bad_options_are_refused()
    finally:
        Suite.blocks = ()
