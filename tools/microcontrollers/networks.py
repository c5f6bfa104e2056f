"""The networks behind the public measurements, rebuilt in our ops as they are deployed (batch norms folded).

MLPerf Tiny's four (mlcommons/tiny), and those of ST's model zoo whose architecture is public. Widths follow the
references; a classifier has as many classes as its data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.ops import (
    Activation,
    Add,
    Convolution,
    Dense,
    DepthwiseConvolution,
    GlobalAveragePool,
    Softmax,
)
from edgenas.spaces.references import reference_network

_CLASSES = {"flowers": 5, "imagenet": 1000, "cifar10": 10, "cifar100": 100}


class _Builder:
    """Appends layers one after the other."""

    def __init__(self, *shape: int) -> None:
        self.graph = GraphBuilder(tuple(shape))
        self.last = self.graph.inputs[0]
        self._count = 0

    def add(self, op: object, *inputs: str) -> str:
        self._count += 1
        self.last = self.graph.add(f"op{self._count}", op, *(inputs or (self.last,)))  # type: ignore[arg-type]
        return self.last

    def conv(self, filters: int, kernel: object, stride: object = 1, *, relu: bool = True) -> str:
        self.add(Convolution(filters, kernel, stride, use_bias=True))  # type: ignore[arg-type]
        return self.add(Activation("relu")) if relu else self.last

    def depthwise(self, kernel: int, stride: int = 1) -> str:
        self.add(DepthwiseConvolution(kernel, stride, use_bias=True))
        return self.add(Activation("relu"))

    def classifier(self, classes: int) -> OpGraph:
        self.add(GlobalAveragePool())
        self.add(Dense(classes))
        self.add(Softmax())
        return self.graph.build(self.last)


def mobilenet_v1(alpha: float, height: int, channels: int, classes: int) -> OpGraph:
    """arXiv 1704.04861."""
    builder = _Builder(height, height, channels)
    builder.conv(int(32 * alpha), 3, 2)
    for filters, stride in (
        *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
        *(((512, 1),) * 5),
        *((1024, 2), (1024, 1)),
    ):
        builder.depthwise(3, stride)
        builder.conv(int(filters * alpha), 1)
    return builder.classifier(classes)


def resnet(depth: int, classes: int) -> OpGraph:
    """A CIFAR network of three stages of 16, 32, 64 filters with ``(depth - 2) / 6`` blocks each (arXiv 1512.03385)."""
    builder = _Builder(32, 32, 3)
    builder.conv(16, 3)
    for stage, filters in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            stride = 2 if stage and not block else 1
            start = builder.last
            builder.conv(filters, 3, stride)
            branch = builder.conv(filters, 3, relu=False)
            if stride != 1:
                start = builder.add(Convolution(filters, 1, stride, use_bias=True), start)
            builder.add(Add(), start, branch)
            builder.add(Activation("relu"))
    return builder.classifier(classes)


def ds_cnn() -> OpGraph:
    """MLPerf Tiny's keyword spotting: 49 x 10 features, 64 filters, four separable blocks, 12 words."""
    builder = _Builder(49, 10, 1)
    builder.conv(64, (10, 4), (2, 2))
    for _ in range(4):
        builder.depthwise(3)
        builder.conv(64, 1)
    return builder.classifier(12)


def auto_encoder() -> OpGraph:
    """MLPerf Tiny's anomaly detection: ten dense layers, 640 inputs."""
    builder = _Builder(640)
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        builder.add(Dense(units))
        builder.add(Activation("relu"))
    builder.add(Dense(640))
    return builder.graph.build(builder.last)


def mobilenet_v2(alpha: float, height: int, classes: int) -> OpGraph:
    """Of our reference networks."""
    return reference_network(f"mobilenet_v2_{alpha:g}", (height, height, 3), classes=classes).graph


MLPERF_TINY: Mapping[str, Callable[[], OpGraph]] = {
    "ad": auto_encoder,
    "ic": lambda: resnet(8, 10),
    "kws": ds_cnn,
    "vww": lambda: mobilenet_v1(0.25, 96, 3, 2),
}


def zoo_network(name: str, alpha: str, shape: str, data: str) -> OpGraph | None:
    """The network of a row of ST's model zoo; None for one whose architecture is not public."""
    height, _, channels = (int(side) for side in shape.split("x"))
    classes = _CLASSES.get(data, 10)
    if name == "mobilenet_v1":
        return mobilenet_v1(float(alpha), height, channels, classes)
    if name == "mobilenet_v2":
        return mobilenet_v2(float(alpha), height, classes)
    if name.startswith("resnet_"):
        return resnet(int(name.partition("_")[2]), classes)
    return None
