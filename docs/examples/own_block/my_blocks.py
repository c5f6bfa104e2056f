"""A ConvNeXt-like block (arXiv 2201.03545) for the search."""

from dataclasses import dataclass

from edgenas.spaces import Block, register_block
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import Activation, Add, Convolution, DepthwiseConvolution, LayerNorm


@register_block("convnext")
@dataclass(frozen=True)
class ConvNext(Block):
    """Depthwise convolution, layer norm, two 1x1 convolutions; a residual where the shapes allow it."""

    filters: int
    kernel: int = 7
    stride: int = 1
    expansion: float = 4
    activation: str = "gelu"

    def __post_init__(self) -> None:
        if self.filters < 1 or self.stride < 1 or self.kernel not in (3, 5, 7) or self.expansion <= 0:
            raise InputError(f"convnext: filters, stride and expansion above 0 and a kernel of 3, 5 or 7, not {self}")

    def lower(self, *input_shapes) -> OpGraph:
        builder = GraphBuilder(*input_shapes)
        (source,) = builder.inputs
        out = builder.add("depthwise", DepthwiseConvolution(self.kernel, self.stride, use_bias=True), source)
        out = builder.add("norm", LayerNorm(1e-6), out)
        hidden = int(input_shapes[0][-1] * self.expansion)
        out = builder.add("hidden", Convolution(hidden, use_bias=True), out)
        out = builder.add("act", Activation(self.activation), out)
        out = builder.add("project", Convolution(self.filters, use_bias=True), out)
        if self.stride == 1 and input_shapes[0][-1] == self.filters:
            out = builder.add("residual", Add(), source, out)
        return builder.build(out)
