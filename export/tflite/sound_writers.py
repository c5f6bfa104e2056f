"""How samples become features inside a file: operators on real numbers that every runtime has.

The Fourier transform of all frames is one convolution over the samples, with the window in its kernel. Only frequencies
that some band reads are computed. The deviation and the mean of each coefficient are in the last product.
"""

from __future__ import annotations

import numpy as np

from edgenas.export.bundle.sound_features import FLOOR, dct_weights, hann_window, mel_weights
from edgenas.export.deployed import DeployedNode
from edgenas.export.quantization.activation_ranges import STANDARD_NORMAL
from edgenas.export.tflite.model_writer import ModelWriter, op_writer
from edgenas.export.tflite.schema import schema
from edgenas.spaces.errors import InputError
from edgenas.spaces.ops import SoundFeatures


@op_writer(SoundFeatures)
def _write_features(writer: ModelWriter, node: DeployedNode) -> None:
    op = node.op
    assert isinstance(op, SoundFeatures)
    (samples,) = writer.graph.shapes[node.inputs[0]]
    frames = writer.graph.shapes[node.name][0]
    name, source = node.name, writer.tensor(node.inputs[0])
    mel = mel_weights(op.rate, op.transform, op.bands, op.low_hz, op.high_hz)
    used = np.flatnonzero(mel.any(axis=1))
    out = _reshaped(writer, f"{name}/line", source, (samples, 1, 1))
    out = _product(writer, f"{name}/fourier", out, fourier_kernel(op, used), (frames, 1), hop=op.hop)
    out = _magnitude(writer, name, out, frames, len(used))
    kernel = mel[used].T[:, None, None, :]
    out = _product(writer, f"{name}/mel", out, kernel, (frames, 1), np.full(op.bands, FLOOR, np.float32))
    logarithms = writer.add_temporary(f"{name}/log", (frames, 1, op.bands), "float32")
    writer.add_operator("LOG", [out], logarithms)
    mean, std = _constants(writer, node, op.width)
    to_coefficients = dct_weights(op.bands, op.coefficients) if op.coefficients else np.eye(op.bands, dtype=np.float32)
    kernel = (to_coefficients / std).T[:, None, None, :]
    out = _product(writer, f"{name}/coefficients", logarithms, kernel, (frames, 1), -mean / std)
    output = writer.add_activation(name, STANDARD_NORMAL, quantization=writer.begins_with)
    if writer.is_int8:
        image = _reshaped(writer, f"{name}/image", out, (frames, op.width, 1))
        writer.add_operator("QUANTIZE", [image], output, options="QuantizeOptions")
    else:
        _reshape(writer, name, out, output, (frames, op.width, 1))


def fourier_kernel(op: SoundFeatures, frequencies: np.ndarray) -> np.ndarray:
    """(2 * frequencies, frame, 1, 1): cosines, then sines, under the window."""
    angles = 2 * np.pi / op.transform * np.outer(frequencies, np.arange(op.frame))
    waves = np.concatenate([np.cos(angles), np.sin(angles)]) * hann_window(op.frame)
    return waves.astype(np.float32)[:, :, None, None]


def _product(
    writer: ModelWriter,
    name: str,
    source: int,
    kernel: np.ndarray,
    sides: tuple[int, int],
    bias: np.ndarray | None = None,
    hop: int = 1,
) -> int:
    """A convolution without padding; its kernel is (filters, height, width, channels)."""
    filters = len(kernel)
    output = writer.add_temporary(name, (*sides, filters), "float32")
    added = np.zeros(filters, np.float32) if bias is None else bias.astype(np.float32)
    weights = writer.add_constant(f"{name}/kernel", np.ascontiguousarray(kernel, np.float32))
    writer.add_operator(
        "CONV_2D",
        [source, weights, writer.add_constant(f"{name}/bias", added)],
        output,
        options="Conv2DOptions",
        padding=schema().Padding.VALID,
        strideH=hop,
        strideW=1,
    )
    return output


def _magnitude(writer: ModelWriter, name: str, source: int, frames: int, frequencies: int) -> int:
    squares = writer.add_temporary(f"{name}/squares", (frames, 1, 2 * frequencies), "float32")
    writer.add_operator("MUL", [source, source], squares, options="MulOptions")
    halves = []
    for part, start in (("real", 0), ("imaginary", frequencies)):
        half = writer.add_temporary(f"{name}/{part}", (frames, 1, frequencies), "float32")
        ends = [
            writer.add_constant(f"{name}/{part}/{what}", np.array(values, np.int32))
            for what, values in (("begin", [0, 0, 0, start]), ("size", [1, frames, 1, frequencies]))
        ]
        writer.add_operator("SLICE", [squares, *ends], half, options="SliceOptions")
        halves.append(half)
    total, root = (
        writer.add_temporary(f"{name}/{what}", (frames, 1, frequencies), "float32") for what in ("power", "magnitude")
    )
    writer.add_operator("ADD", halves, total, options="AddOptions")
    writer.add_operator("SQRT", [total], root)
    return root


def _reshaped(writer: ModelWriter, name: str, source: int, shape: tuple[int, ...]) -> int:
    output = writer.add_temporary(name, shape, "float32")
    _reshape(writer, name, source, output, shape)
    return output


def _reshape(writer: ModelWriter, name: str, source: int, output: int, shape: tuple[int, ...]) -> None:
    sides = [1, *shape]
    to = writer.add_constant(f"{name}/shape", np.array(sides, np.int32))
    writer.add_operator("RESHAPE", [source, to], output, options="ReshapeOptions", newShape=sides)


def _constants(writer: ModelWriter, node: DeployedNode, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(mean, deviation) of each coefficient; 0 and 1 where none are given."""
    given = writer.constants.get(node.name, (np.zeros(count), np.ones(count)))
    mean, std = (np.asarray(values, np.float32) for values in given)
    if mean.shape != (count,) or std.shape != (count,):
        raise InputError(f"node {node.name!r}: {mean.size} means and {std.size} deviations for {count} coefficients")
    return mean, std
