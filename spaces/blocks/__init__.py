"""The block families that come with EdgeNAS. Importing this package registers them."""

from edgenas.spaces.blocks.attention import RelativeAttention
from edgenas.spaces.blocks.convolution import ConvBnAct, Separable, Tucker
from edgenas.spaces.blocks.detection import BoxHead, ClassHead, PostProcess
from edgenas.spaces.blocks.head import ClassifierHead, Pooling
from edgenas.spaces.blocks.inverted_bottleneck import (
    FusedInvertedBottleneck,
    GroupConvInvertedBottleneck,
    InvertedBottleneck,
)
from edgenas.spaces.blocks.label_map import LabelMap
from edgenas.spaces.blocks.merges import (
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
from edgenas.spaces.blocks.pre_norm import PreNormInvertedBottleneck
from edgenas.spaces.blocks.recurrent import FrameStack, GruLayer, LstmLayer, SequenceClassifier, Svdf
from edgenas.spaces.blocks.relu_conv import NormAct, ReluConv, ResidualReduction
from edgenas.spaces.blocks.segmentation import AsppLite, BifpnNode, PixelClassifier, SkipDecoder
from edgenas.spaces.blocks.sound import BandConv, BroadcastedResidual, DepthwiseSeparable, Features, SoundConv
from edgenas.spaces.blocks.tables import Columns, DenseHead, DenseLayer, Unit
from edgenas.spaces.blocks.universal_bottleneck import UniversalInvertedBottleneck
from edgenas.spaces.blocks.whole_network import WholeNetwork, register_network

__all__ = [
    "AsppLite",
    "BandConv",
    "BifpnNode",
    "BoxHead",
    "BroadcastedResidual",
    "ClassHead",
    "ClassifierHead",
    "Columns",
    "Concat",
    "ConvBnAct",
    "CroppedSum",
    "DenseHead",
    "DenseLayer",
    "DepthwiseSeparable",
    "Edge",
    "Features",
    "FrameStack",
    "FusedInvertedBottleneck",
    "Fusion",
    "GroupConvInvertedBottleneck",
    "GruLayer",
    "Identity",
    "InvertedBottleneck",
    "LabelMap",
    "LstmLayer",
    "NormAct",
    "PixelClassifier",
    "Pooling",
    "PostProcess",
    "PreNormInvertedBottleneck",
    "RelativeAttention",
    "ReluConv",
    "Resample",
    "ResidualReduction",
    "Separable",
    "SequenceClassifier",
    "SkipDecoder",
    "SoundConv",
    "Sum",
    "Svdf",
    "Tucker",
    "Unit",
    "UniversalInvertedBottleneck",
    "WeightedFusion",
    "WholeNetwork",
    "Zeros",
    "register_network",
]
