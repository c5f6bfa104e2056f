"""Large classifiers, from their papers and TensorFlow-Slim (facts only)."""

from __future__ import annotations

from collections.abc import Sequence

from edgenas.export.tflite.reader import TfliteOperator, TfliteTensor
from edgetpu_models.builder import OperatorList, Sides


def vgg(repeats: Sequence[int], size: int = 224) -> list[TfliteOperator]:
    """Simonyan and Zisserman 2014: 16 layers with (2, 2, 3, 3, 3), 19 with (2, 2, 4, 4, 4)."""
    ops = OperatorList(size, size)
    out = ops.image
    for filters, count in zip((64, 128, 256, 512, 512), repeats, strict=True):
        for _ in range(count):
            out = ops.conv(out, filters, 3)
        out = ops.pool(out, 2, 2)
    out = ops.dense(ops.dense(ops.dense(out, 4096), 4096), 1000)
    ops.softmax(out)
    return ops.operators


def resnet(repeats: Sequence[int], size: int, *, pre_activation: bool) -> list[TfliteOperator]:
    """He et al. 2015 (V1) and 2016 (V2, where batch norms before a sum stay operators of their own)."""
    ops = OperatorList(size, size)
    out = ops.pool(ops.conv(ops.image, 64, 7, 2), 3, 2)
    for stage, count in enumerate(repeats):
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            filters = 64 * 2**stage
            source = ops.relu(ops.affine(out)) if pre_activation else out
            inner = ops.conv(ops.conv(ops.conv(source, filters), filters, 3, stride), 4 * filters)
            if index == 0:
                out = ops.conv(source, 4 * filters, 1, stride)
            out = ops.add(out, inner)
    if pre_activation:
        out = ops.relu(ops.affine(out))
    ops.softmax(ops.dense(ops.mean(out), 1001))
    return ops.operators


def densenet_121(size: int = 224) -> list[TfliteOperator]:
    """Huang et al. 2016: growth 32, blocks of 6, 12, 24 and 16 layers, transitions that halve the channels."""
    ops = OperatorList(size, size)
    out = ops.pool(ops.conv(ops.image, 64, 7, 2), 3, 2)
    for stage, layers in enumerate((6, 12, 24, 16)):
        for _ in range(layers):
            inner = ops.conv(ops.relu(ops.affine(out)), 128)
            out = ops.concat(out, ops.conv(inner, 32, 3))
        if stage < 3:
            out = ops.conv(ops.relu(ops.affine(out)), out.shape[3] // 2)
            out = ops.pool(out, 2, 2, kind="AVERAGE")
    ops.softmax(ops.dense(ops.mean(ops.relu(ops.affine(out))), 1000))
    return ops.operators


def squeezenet(size: int = 224) -> list[TfliteOperator]:
    """Iandola et al. 2016, version 1.0."""
    ops = OperatorList(size, size)
    out = ops.pool(ops.conv(ops.image, 96, 7, 2, padding="valid"), 3, 2, padding="valid")
    for index, squeezed in enumerate((16, 16, 32, 32, 48, 48, 64, 64)):
        narrow = ops.conv(out, squeezed)
        out = ops.concat(ops.conv(narrow, 4 * squeezed), ops.conv(narrow, 4 * squeezed, 3))
        if index in (2, 6):
            out = ops.pool(out, 3, 2, padding="valid")
    ops.softmax(ops.mean(ops.conv(out, 1000)))
    return ops.operators


def inception_v1(size: int = 224) -> list[TfliteOperator]:
    """Szegedy et al. 2014 as TensorFlow-Slim builds it (3x3 instead of 5x5 in the third branch)."""
    ops = OperatorList(size, size)
    out = ops.pool(ops.conv(ops.image, 64, 7, 2), 3, 2)
    out = ops.pool(ops.conv(ops.conv(out, 64), 192, 3), 3, 2)
    rows = {
        "3": [(64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)],
        "4": [
            (192, 96, 208, 16, 48, 64),
            (160, 112, 224, 24, 64, 64),
            (128, 128, 256, 24, 64, 64),
            (112, 144, 288, 32, 64, 64),
            (256, 160, 320, 32, 128, 128),
        ],
        "5": [(256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)],
    }
    for stage, blocks in rows.items():
        for first, narrow, wide, narrower, wider, pooled in blocks:
            out = ops.concat(
                ops.conv(out, first),
                ops.conv(ops.conv(out, narrow), wide, 3),
                ops.conv(ops.conv(out, narrower), wider, 3),
                ops.conv(ops.pool(out, 3, 1), pooled),
            )
        if stage != "5":
            out = ops.pool(out, 3 if stage == "3" else 2, 2)
    out = ops.pool(out, out.shape[1], 1, kind="AVERAGE", padding="valid")
    ops.softmax(ops.reshape(ops.conv(out, 1001), 1, 1001))
    return ops.operators


def _chain(ops: OperatorList, source: TfliteTensor, *layers: tuple[int, Sides]) -> TfliteTensor:
    for filters, kernel in layers:
        source = ops.conv(source, filters, kernel)
    return source


def _inception_stem(ops: OperatorList) -> TfliteTensor:
    """The stem of Inception-v4 (Szegedy et al. 2016, figure 3)."""
    out = ops.conv(ops.image, 32, 3, 2, padding="valid")
    out = ops.conv(ops.conv(out, 32, 3, padding="valid"), 64, 3)
    out = ops.concat(ops.pool(out, 3, 2, padding="valid"), ops.conv(out, 96, 3, 2, padding="valid"))
    first = ops.conv(ops.conv(out, 64), 96, 3, padding="valid")
    second = ops.conv(_chain(ops, out, (64, 1), (64, (1, 7)), (64, (7, 1))), 96, 3, padding="valid")
    out = ops.concat(first, second)
    return ops.concat(ops.conv(out, 192, 3, 2, padding="valid"), ops.pool(out, 3, 2, padding="valid"))


def inception_v4(size: int = 299) -> list[TfliteOperator]:
    """Szegedy et al. 2016: 4 blocks A, 7 blocks B, 3 blocks C."""
    ops = OperatorList(size, size)
    out = _inception_stem(ops)
    for _ in range(4):
        pooled = ops.conv(ops.pool(out, 3, 1, kind="AVERAGE"), 96)
        out = ops.concat(
            ops.conv(out, 96), _chain(ops, out, (64, 1), (96, 3)), _chain(ops, out, (64, 1), (96, 3), (96, 3)), pooled
        )
    out = ops.concat(
        ops.conv(out, 384, 3, 2, padding="valid"),
        ops.conv(_chain(ops, out, (192, 1), (224, 3)), 256, 3, 2, padding="valid"),
        ops.pool(out, 3, 2, padding="valid"),
    )
    for _ in range(7):
        pooled = ops.conv(ops.pool(out, 3, 1, kind="AVERAGE"), 128)
        deep = _chain(ops, out, (192, 1), (192, (7, 1)), (224, (1, 7)), (224, (7, 1)), (256, (1, 7)))
        out = ops.concat(ops.conv(out, 384), _chain(ops, out, (192, 1), (224, (1, 7)), (256, (7, 1))), deep, pooled)
    out = ops.concat(
        ops.conv(ops.conv(out, 192), 192, 3, 2, padding="valid"),
        ops.conv(_chain(ops, out, (256, 1), (256, (1, 7)), (320, (7, 1))), 320, 3, 2, padding="valid"),
        ops.pool(out, 3, 2, padding="valid"),
    )
    for _ in range(3):
        pooled = ops.conv(ops.pool(out, 3, 1, kind="AVERAGE"), 256)
        narrow, deep = ops.conv(out, 384), _chain(ops, out, (384, 1), (448, (3, 1)), (512, (1, 3)))
        halves = [ops.conv(narrow, 256, (1, 3)), ops.conv(narrow, 256, (3, 1))]
        halves += [ops.conv(deep, 256, (1, 3)), ops.conv(deep, 256, (3, 1))]
        out = ops.concat(ops.conv(out, 256), *halves, pooled)
    ops.softmax(ops.dense(ops.mean(out), 1001))
    return ops.operators


def inception_resnet_v2(size: int = 299) -> list[TfliteOperator]:
    """Szegedy et al. 2016 as TensorFlow-Slim builds it: 10, 20 and 10 residual blocks."""
    ops = OperatorList(size, size)
    out = ops.conv(ops.image, 32, 3, 2, padding="valid")
    out = ops.pool(ops.conv(ops.conv(out, 32, 3, padding="valid"), 64, 3), 3, 2, padding="valid")
    out = ops.conv(ops.conv(out, 80, padding="valid"), 192, 3, padding="valid")
    out = ops.pool(out, 3, 2, padding="valid")
    pooled = ops.conv(ops.pool(out, 3, 1, kind="AVERAGE"), 64)
    out = ops.concat(
        ops.conv(out, 96), _chain(ops, out, (48, 1), (64, 5)), _chain(ops, out, (64, 1), (96, 3), (96, 3)), pooled
    )
    for _ in range(10):
        mixed = ops.concat(
            ops.conv(out, 32), _chain(ops, out, (32, 1), (32, 3)), _chain(ops, out, (32, 1), (48, 3), (64, 3))
        )
        out = ops.relu(ops.add(out, ops.conv(mixed, 320)))
    out = ops.concat(
        ops.conv(out, 384, 3, 2, padding="valid"),
        ops.conv(_chain(ops, out, (256, 1), (256, 3)), 384, 3, 2, padding="valid"),
        ops.pool(out, 3, 2, padding="valid"),
    )
    for _ in range(20):
        mixed = ops.concat(ops.conv(out, 192), _chain(ops, out, (128, 1), (160, (1, 7)), (192, (7, 1))))
        out = ops.relu(ops.add(out, ops.conv(mixed, 1088)))
    out = ops.concat(
        ops.conv(ops.conv(out, 256), 384, 3, 2, padding="valid"),
        ops.conv(ops.conv(out, 256), 288, 3, 2, padding="valid"),
        ops.conv(_chain(ops, out, (256, 1), (288, 3)), 320, 3, 2, padding="valid"),
        ops.pool(out, 3, 2, padding="valid"),
    )
    for _ in range(10):
        mixed = ops.concat(ops.conv(out, 192), _chain(ops, out, (192, 1), (224, (1, 3)), (256, (3, 1))))
        out = ops.relu(ops.add(out, ops.conv(mixed, 2080)))
    ops.softmax(ops.dense(ops.mean(ops.conv(out, 1536)), 1001))
    return ops.operators
