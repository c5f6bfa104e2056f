"""Primitive operations: shapes, multiply-accumulates, parameters and traits, written once per primitive."""

from __future__ import annotations

from edgenas.spaces.ops.boxes import BOX_NUMBERS, DetectionPostProcess
from edgenas.spaces.ops.convolution import Convolution, Dense, DepthwiseConvolution, TransposedConvolution
from edgenas.spaces.ops.elementwise import (
    ACTIVATIONS,
    GATES,
    Activation,
    Add,
    Maximum,
    Multiply,
    Scale,
    ScaleShift,
    Subtract,
    WeightedSum,
)
from edgenas.spaces.ops.labels import ARG_MAX_OPERATORS, ClassMap
from edgenas.spaces.ops.layout import Concatenate, Pad, Reshape, Resize, Slice, Transpose
from edgenas.spaces.ops.normalisation import BatchNorm, Dropout, LayerNorm, Softmax
from edgenas.spaces.ops.op import Op, Traits, op_class, op_classes, pair, register_op
from edgenas.spaces.ops.reduction import ArgMax, GlobalAveragePool, Pool, Reduce
from edgenas.spaces.ops.sequence import Embedding, Gru, Lstm, MatrixProduct, RelativeBias
from edgenas.spaces.ops.sound import SoundFeatures
from edgenas.spaces.ops.tables import ColumnFeatures, RestoreUnit
from edgenas.spaces.tensor import Shape, TensorSpec, format_shape, parse_shape

__all__ = [
    "ACTIVATIONS",
    "ARG_MAX_OPERATORS",
    "BOX_NUMBERS",
    "GATES",
    "Activation",
    "Add",
    "ArgMax",
    "BatchNorm",
    "ClassMap",
    "ColumnFeatures",
    "Concatenate",
    "Convolution",
    "Dense",
    "DepthwiseConvolution",
    "DetectionPostProcess",
    "Dropout",
    "Embedding",
    "GlobalAveragePool",
    "Gru",
    "LayerNorm",
    "Lstm",
    "MatrixProduct",
    "Maximum",
    "Multiply",
    "Op",
    "Pad",
    "Pool",
    "Reduce",
    "RelativeBias",
    "Reshape",
    "Resize",
    "RestoreUnit",
    "Scale",
    "ScaleShift",
    "Shape",
    "Slice",
    "Softmax",
    "SoundFeatures",
    "Subtract",
    "TensorSpec",
    "Traits",
    "Transpose",
    "TransposedConvolution",
    "WeightedSum",
    "format_shape",
    "op_class",
    "op_classes",
    "pair",
    "parse_shape",
    "register_op",
]
