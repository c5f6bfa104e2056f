"""The block families that come with EdgeNAS. Importing this package registers them."""

from spaces.blocks.convolution import ConvBnAct
from spaces.blocks.head import ClassifierHead, Pooling
from spaces.blocks.inverted_bottleneck import (
    FusedInvertedBottleneck,
    GroupConvInvertedBottleneck,
    InvertedBottleneck,
)

__all__ = [
    "ClassifierHead",
    "ConvBnAct",
    "FusedInvertedBottleneck",
    "GroupConvInvertedBottleneck",
    "InvertedBottleneck",
    "Pooling",
]
