"""The block families that come with EdgeNAS. Importing this package registers them."""

from spaces.blocks.convolution import ConvBnAct
from spaces.blocks.head import ClassifierHead, Pooling
from spaces.blocks.inverted_bottleneck import (
    FusedInvertedBottleneck,
    GroupConvInvertedBottleneck,
    InvertedBottleneck,
)
from spaces.blocks.merges import Concat, Fusion, Identity, Resample, Sum, WeightedFusion, Zeros
from spaces.blocks.relu_conv import NormAct, ReluConv, ResidualReduction

__all__ = [
    "ClassifierHead",
    "Concat",
    "ConvBnAct",
    "FusedInvertedBottleneck",
    "Fusion",
    "GroupConvInvertedBottleneck",
    "Identity",
    "InvertedBottleneck",
    "NormAct",
    "Pooling",
    "ReluConv",
    "Resample",
    "ResidualReduction",
    "Sum",
    "WeightedFusion",
    "Zeros",
]
