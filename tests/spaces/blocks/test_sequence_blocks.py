"""The conformance suite over blocks for sounds and sequences."""

import itertools

from edgenas.spaces.blocks import (
    BandConv,
    BroadcastedResidual,
    DepthwiseSeparable,
    Features,
    FrameStack,
    GruLayer,
    LstmLayer,
    SequenceClassifier,
    SoundConv,
    Svdf,
)
from edgenas.spaces.conformance import BlockConformance
from edgenas.spaces.ops import ACTIVATIONS
from tests.spaces.blocks.wrong_options import ACTIVATION, NUMBERS, STRIDES

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
