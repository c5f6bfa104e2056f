"""Mobile classifiers and what is built on them, from their papers and TensorFlow's model garden (facts only)."""

from __future__ import annotations

import math

from edgenas.export.tflite.reader import TfliteOperator, TfliteTensor
from edgenas.spaces.rounding import round_filters
from edgetpu_models.builder import OperatorList

#: MobileNetV1: filters and stride of each depthwise-separable layer (Howard et al. 2017, table 1).
_V1 = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
#: MobileNetV2: expansion, filters, repeats, stride (Sandler et al. 2018, table 2).
_V2 = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


def _v1_body(ops: OperatorList, width: float) -> list[TfliteTensor]:
    out = ops.conv(ops.image, round_filters(32 * width), 3, 2)
    layers = [out]
    for filters, stride in _V1:
        out = ops.conv(ops.depthwise(out, 3, stride), round_filters(filters * width))
        layers.append(out)
    return layers


def mobilenet_v1(size: int = 224, width: float = 1.0, classes: int = 1001) -> list[TfliteOperator]:
    ops = OperatorList(size, size)
    out = _v1_body(ops, width)[-1]
    out = ops.pool(out, out.shape[1], 2, kind="AVERAGE", padding="valid")
    ops.softmax(ops.reshape(ops.conv(out, classes), 1, classes))
    return ops.operators


def _inverted_bottleneck(
    ops: OperatorList,
    source: TfliteTensor,
    filters: int,
    expansion: int,
    stride: int,
    kernel: int = 3,
    dilation: int = 1,
) -> tuple[TfliteTensor, TfliteTensor]:
    """Returns the output and the expanded map before the depthwise convolution."""
    channels = source.shape[3]
    expanded = ops.conv(source, channels * expansion) if expansion > 1 else source
    out = ops.conv(ops.depthwise(expanded, kernel, stride, dilation=dilation), filters)
    return (ops.add(source, out) if stride == 1 and channels == filters else out), expanded


def _v2_body(ops: OperatorList, width: float, output_stride: int = 32) -> tuple[TfliteTensor, list[TfliteTensor]]:
    """The last map, and the expanded map of every block; beyond the output stride, strides become dilations."""
    out = ops.conv(ops.image, round_filters(32 * width), 3, 2)
    reached, dilation, expanded = 2, 1, []
    for expansion, filters, repeats, first_stride in _V2:
        for index in range(repeats):
            stride, blocks_dilation = (first_stride if index == 0 else 1), dilation
            if stride == 2 and reached == output_stride:
                stride, dilation = 1, dilation * 2
            reached *= stride
            out, wide = _inverted_bottleneck(
                ops, out, round_filters(filters * width), expansion, stride, dilation=blocks_dilation
            )
            expanded.append(wide)
    return out, expanded


def mobilenet_v2(size: int = 224, width: float = 1.0, classes: int = 1001) -> list[TfliteOperator]:
    ops = OperatorList(size, size)
    out, _ = _v2_body(ops, width)
    out = ops.conv(out, max(1280, round_filters(1280 * width)))
    out = ops.pool(out, out.shape[1], 1, kind="AVERAGE", padding="valid")
    ops.softmax(ops.reshape(ops.conv(out, classes), 1, classes))
    return ops.operators


def efficientnet_edgetpu(size: int, width: float, depth: float) -> list[TfliteOperator]:
    """Gupta and Tan 2019: fused bottlenecks first, no squeeze-excite, relu."""
    ops = OperatorList(size, size)
    out = ops.conv(ops.image, round_filters(32 * width), 3, 2)
    rows = [
        (True, 1, 3, 1, 4, 24),
        (True, 2, 3, 2, 8, 32),
        (True, 4, 3, 2, 8, 48),
        (False, 5, 5, 2, 8, 96),
        (False, 4, 5, 1, 8, 144),
        (False, 2, 5, 2, 8, 192),
    ]
    for number, (fused, repeats, kernel, first_stride, expansion, filters) in enumerate(rows):
        for index in range(math.ceil(repeats * depth)):
            stride, wanted = (first_stride if index == 0 else 1), round_filters(filters * width)
            if not fused:
                out, _ = _inverted_bottleneck(ops, out, wanted, expansion, stride, kernel)
                continue
            inner = ops.conv(ops.conv(out, out.shape[3] * expansion, kernel, stride), wanted)
            skips = number > 0 and stride == 1 and out.shape[3] == wanted
            out = ops.add(out, inner) if skips else inner
    out = ops.conv(out, round_filters(1280 * width))
    ops.softmax(ops.dense(ops.mean(out), 1001))
    return ops.operators


def unet_mobilenet_v2(size: int = 128, classes: int = 3) -> list[TfliteOperator]:
    """TensorFlow's segmentation tutorial: MobileNetV2 down, transposed convolutions of 512 to 64 filters up."""
    ops = OperatorList(size, size)
    out, expanded = _v2_body(ops, 1.0)
    skips = [expanded[index] for index in (13, 6, 3, 1)]
    for filters, skip in zip((512, 256, 128, 64), skips, strict=True):
        out = ops.concat(ops.relu(ops.transposed(out, filters)), skip)
    ops.transposed(out, classes)
    return ops.operators


def deeplab_v3(size: int = 513, width: float = 1.0, classes: int = 21) -> list[TfliteOperator]:
    """MobileNetV2 at output stride 16 with a pooled branch, in the operator order of the published quantized model."""
    ops = OperatorList(size, size)
    out, _ = _v2_body(ops, width, output_stride=16)
    side = out.shape[1]
    pooled = ops.pool(out, side, 1, kind="AVERAGE", padding="valid")
    branch = ops.conv(out, 256)
    pooled = ops.resize(ops.conv(pooled, 256), side, side)
    out = ops.conv(ops.conv(ops.concat(pooled, branch), 256), classes)
    out = ops.resize(ops.resize(out, side, side), size, size)
    ops.other("ARG_MAX", [out], 1, size, size)
    return ops.operators


def ssd(size: int, backbone: str, classes: int = 91, *, lite: bool = False) -> list[TfliteOperator]:
    """SSD of the TensorFlow object-detection API: six maps, 3 anchors a place on the first and 6 on the others."""
    ops = OperatorList(size, size)
    if backbone == "mobilenet_v1":
        layers = _v1_body(ops, 1.0)
        maps, extra = [layers[11], layers[13]], [(256, 512), (128, 256), (128, 256), (64, 128)]
    else:
        last, expanded = _v2_body(ops, 1.0)
        maps, extra = [expanded[13], ops.conv(last, 1280)], [(256, 512), (128, 256), (128, 256), (64, 128)]
    for narrow, wide in extra:
        out = ops.conv(maps[-1], narrow)
        out = ops.conv(ops.depthwise(out, 3, 2), wide) if lite else ops.conv(out, wide, 3, 2)
        maps.append(out)
    boxes, scores = [], []
    for place, feature in enumerate(maps):
        anchors = 3 if place == 0 else 6
        for outputs, found in ((4, boxes), (classes, scores)):
            source = ops.depthwise(feature) if lite else feature
            out = ops.conv(source, anchors * outputs)
            found.append(ops.reshape(out, 1, math.prod(out.shape) // outputs, outputs))
    box, score = ops.concat(*boxes, axis=1), ops.logistic(ops.concat(*scores, axis=1))
    ops.other("TFLite_Detection_PostProcess", [box, score], 1, 10, 4)
    return ops.operators
