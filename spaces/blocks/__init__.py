"""The block families that come with EdgeNAS. Importing this package registers them."""

from edgenas.spaces.blocks.convolution import ConvBnAct
from edgenas.spaces.blocks.head import ClassifierHead, Pooling
from edgenas.spaces.blocks.inverted_bottleneck import (
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
