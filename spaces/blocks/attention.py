"""Self-attention over the pixels of an image, with relative positions (CoAtNet, arXiv 2106.04803)."""

from __future__ import annotations

from dataclasses import dataclass

from edgenas.spaces.block import Block, register_block
from edgenas.spaces.blocks.pieces import check_activation, check_choice, check_positive, check_whole, image_shape
from edgenas.spaces.blocks.pre_norm import shortcut
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import (
    Activation,
    Add,
    BatchNorm,
    Convolution,
    LayerNorm,
    MatrixProduct,
    Pool,
    RelativeBias,
    Reshape,
    Scale,
    Shape,
    Softmax,
    Transpose,
)


def _is_flat(pixels: int, filters: int, head_size: int) -> bool:
    """Whether there is one head or one pixel, so that nothing needs to be transposed."""
    return pixels == 1 or filters == head_size


def _by_head(builder: GraphBuilder, name: str, source: str, filters: int, head_size: int, factor: float = 1.0) -> str:
    """``(heads, pixels, head size)``: a 1x1 convolution of an image, its channels dealt to the heads."""
    height, width, _ = builder.shape(source)
    out = builder.add(f"{name}_conv", Convolution(filters, use_bias=True), source)
    if factor != 1.0:
        out = builder.add(f"{name}_scaled", Scale(factor), out)  # becomes part of the kernel
    if _is_flat(height * width, filters, head_size):
        return builder.add(f"{name}_heads", Reshape((filters // head_size, height * width, head_size)), out)
    # -1, so that all widths of a search space share one graph.
    out = builder.add(f"{name}_parts", Reshape((height * width, -1, head_size)), out)
    return builder.add(f"{name}_heads", Transpose((1, 0, 2)), out)


def _normalised(builder: GraphBuilder, name: str, source: str, norm: str) -> str:
    """An image after a batch norm, or a layer norm over the channels of each pixel.

    The layer norm reads the pixels as a row: NPUs take means over channels of a row, not of an image.
    """
    if norm == "batch":
        return builder.add(name, BatchNorm(), source)
    height, width, _ = builder.shape(source)
    row = builder.add(f"{name}_row", Reshape((height * width, -1)), source)
    return builder.add(f"{name}_image", Reshape((height, width, -1)), builder.add(name, LayerNorm(1e-6), row))


def relative_attention(builder: GraphBuilder, source: str, filters: int, head_size: int) -> str:
    """An image of ``filters`` channels, each pixel a mixture of all pixels.

    ``softmax(q k^T / sqrt(head size) + relative bias) v`` for each head, then a 1x1 convolution. The scale is in the
    kernel of the queries, and the bias is one constant of the scores' shape: so int8 models multiply 8-bit scores by
    8-bit values, with one addition between the product and the softmax.
    """
    height, width, _ = builder.shape(source)
    query = _by_head(builder, "query", source, filters, head_size, head_size**-0.5)
    key = _by_head(builder, "key", source, filters, head_size)
    value = _by_head(builder, "value", source, filters, head_size)
    scores = builder.add("scores", MatrixProduct(transpose_second=True), query, key)
    scores = builder.add("relative", RelativeBias(height, width), scores)
    shares = builder.add("shares", Softmax(), scores)
    mixed = builder.add("mix", MatrixProduct(), shares, value)
    if not _is_flat(height * width, filters, head_size):
        mixed = builder.add("mixed", Transpose((1, 0, 2)), mixed)
    joined = builder.add("joined", Reshape((height, width, -1)), mixed)
    return builder.add("output_conv", Convolution(filters, use_bias=True), joined)


@register_block("relative_attention")
@dataclass(frozen=True)
class RelativeAttention(Block):
    """A transformer's layer over the pixels: relative self-attention and a feed-forward net, each after a norm.

    Where it strides, pixels are averaged before the attention. ``head_size`` divides ``filters``. ``norm`` is ``layer``
    as published, or ``batch``, which costs two operators in the place of nine and suits 8 bits.
    """

    filters: int
    stride: int = 1
    head_size: int = 32
    expansion: float = 4
    activation: str = "gelu"
    norm: str = "layer"

    def __post_init__(self) -> None:
        check_whole("relative_attention", filters=self.filters, stride=self.stride, head_size=self.head_size)
        check_positive("relative_attention", expansion=self.expansion)
        check_activation("relative_attention", self.activation)
        check_choice("relative_attention", "norm", self.norm, ("layer", "batch"))
        if self.filters % self.head_size:
            raise InputError(
                f"relative_attention: head_size {self.head_size} does not divide {self.filters} filters: "
                "the filters are the heads' channels together"
            )

    def lower(self, *input_shapes: Shape) -> OpGraph:
        image_shape("relative_attention", input_shapes[0])
        builder = GraphBuilder(*input_shapes)
        (source,) = builder.inputs
        out = _normalised(builder, "norm", source, self.norm)
        if self.stride > 1:
            out = builder.add("pool", Pool("average", self.stride, self.stride), out)
        out = relative_attention(builder, out, self.filters, self.head_size)
        out = builder.add("attended", Add(), shortcut(builder, source, self.filters, self.stride), out)
        hidden = _normalised(builder, "hidden_norm", out, self.norm)
        hidden = builder.add("hidden_conv", Convolution(int(self.filters * self.expansion), use_bias=True), hidden)
        if self.activation != "linear":
            hidden = builder.add("hidden_act", Activation(self.activation), hidden)
        hidden = builder.add("project_conv", Convolution(self.filters, use_bias=True), hidden)
        return builder.build(builder.add("add", Add(), out, hidden))
