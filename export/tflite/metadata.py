"""TFLite metadata inside the model file: what its input means, what to subtract and divide, and its labels.

As the public schema and its readers have it: a flatbuffer in the model's metadata under ``TFLITE_METADATA``, and the
labels as a file of an uncompressed zip archive behind the model. Interpreters pass over both; ``zipfile`` and ``unzip``
open the model as an archive. The package that writes such files, tflite-support, does not install on new Pythons.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np

from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.tflite import metadata_tables as tables
from edgenas.export.tflite.model_rewriting import rewrite
from edgenas.export.tflite.post_processing import ends_in_boxes
from edgenas.export.tflite.reader import model_io, read_subgraphs
from edgenas.export.tflite.schema import schema
from edgenas.spaces.errors import InputError

ENTRY = "TFLITE_METADATA"
LABELS_FILE = "labels.txt"
#: Labels (1.0.0) and normalisation are all that is used of the schema.
_PARSER_VERSION = "1.0.0"
#: Archives know dates; the same model gives the same bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_GARBAGE = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError, UnicodeDecodeError)


@dataclass(frozen=True)
class _Output:
    """What is said of an output; ``labels`` is the type of the file of labels that belongs to it, 0 for none."""

    name: str
    description: str
    labels: int = 0
    is_box: bool = False


_LOGITS = (_Output("logits", "one logit per class; a softmax makes probabilities of them", tables.TENSOR_AXIS_LABELS),)
_RAW = (
    _Output("boxes", "ty, tx, th, tw of each anchor"),
    _Output("classes", "one logit per class of each anchor; a sigmoid makes scores of them", tables.TENSOR_AXIS_LABELS),
)
#: Named as readers of the public schema expect them of object detectors.
_FINISHED = (
    _Output("location", "top, left, bottom, right as shares of the sides", is_box=True),
    _Output("category", "numbers of the boxes' classes", tables.TENSOR_VALUE_LABELS),
    _Output("score", "scores of the boxes"),
    _Output("number of detections", "how many boxes there are"),
)


@dataclass(frozen=True)
class ModelMetadata:
    """What a classifier's or detector's file tells about itself.

    ``mean`` and ``std`` are of pixels from 0 to 255, as the schema has them: the float input is ``(pixel - mean) /
    std``; an integer input is that, quantized as the input tensor says. ``labels`` is empty when there are none.
    """

    name: str
    description: str
    version: str
    author: str
    licence: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    labels: tuple[str, ...]
    color_space: str
    image_size: tuple[int, int]


def with_metadata(
    model: bytes,
    *,
    name: str,
    description: str,
    version: str,
    licence: str,
    labels: Sequence[str],
    preprocessing: Preprocessing,
    author: str = "EdgeNAS",
) -> bytes:
    """The model with metadata and labels; what it had of both before is replaced.

    Raises InputError on anything but a whole model of one image of 1 or 3 channels and one vector of logits, or of a
    detector: encodings and logits, or the four outputs of TFLite's operator for boxes.
    """
    ends = model_io(model)
    outputs = _FINISHED if ends_in_boxes(model) else _RAW if len(ends.outputs) == len(_RAW) else _LOGITS
    if len(ends.inputs) != 1 or len(ends.inputs[0].shape) != 4 or len(ends.outputs) != len(outputs):
        shapes = [end.shape for end in ends.inputs], [end.shape for end in ends.outputs]
        raise InputError(f"metadata describes models of one image and one output, not {shapes[0]} to {shapes[1]}")
    if outputs is not _FINISHED and len(labels) != ends.outputs[-1].shape[-1]:
        raise InputError(f"metadata: {len(labels)} labels for a model of {ends.outputs[-1].shape[-1]} outputs")
    texts = {"name": name, "description": description, "version": version, "author": author, "license": licence}
    packed = _pack(texts, ends.inputs[0].shape, preprocessing, outputs)

    def insert(unpacked: Any) -> None:
        unpacked.metadata = list(unpacked.metadata or ())
        known = [entry for entry in unpacked.metadata if entry.name in (ENTRY, ENTRY.encode())]
        if not known:
            unpacked.buffers.append(schema().BufferT())
            unpacked.metadata.append(schema().MetadataT(name=ENTRY, buffer=len(unpacked.buffers) - 1))
        buffer = unpacked.buffers[(known or unpacked.metadata[-1:])[0].buffer]
        buffer.data = np.frombuffer(packed, np.uint8)

    return rewrite(model, insert) + _archive({LABELS_FILE: "".join(f"{label}\n" for label in labels)})


def read_metadata(model: bytes) -> ModelMetadata | None:
    """The metadata of a model; None when it has none.

    Raises InputError on anything but a whole model, and on metadata that is damaged.
    """
    packed = _find(model)
    if packed is None:
        return None
    try:
        return _unpack(packed, associated_files(model))
    except InputError:
        raise
    except _GARBAGE as error:
        raise InputError(f"the model's {ENTRY} is damaged: {error}") from None


def associated_files(model: bytes) -> dict[str, bytes]:
    """The files in the archive behind a model; empty when there is none. Raises InputError when it is damaged."""
    if not zipfile.is_zipfile(io.BytesIO(model)):
        return {}
    try:
        with zipfile.ZipFile(io.BytesIO(model)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > len(model):
                raise InputError("the files behind the model are larger than the model: not what they seem")
            return {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, *_GARBAGE) as error:
        raise InputError(f"the archive of files behind the model is damaged: {error}") from None


def _archive(files: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content.encode())
    return stream.getvalue()


def _pack(
    texts: dict[str, str], shape: tuple[int, ...], preprocessing: Preprocessing, outputs: Sequence[_Output]
) -> bytes:
    builder = flatbuffers.Builder(1024)
    source, results = _input(builder, shape, preprocessing), [_output(builder, output) for output in outputs]
    subgraph = tables.add_table(
        builder,
        tables.SUBGRAPH,
        input_tensor_metadata=tables.add_offsets(builder, [source]),
        output_tensor_metadata=tables.add_offsets(builder, results),
    )
    subgraphs = tables.add_offsets(builder, [subgraph])
    strings: dict[str, tables.Field] = {key: builder.CreateString(text) for key, text in texts.items()}
    parser = builder.CreateString(_PARSER_VERSION)
    root = tables.add_table(builder, tables.MODEL, subgraph_metadata=subgraphs, min_parser_version=parser, **strings)
    builder.Finish(root, tables.IDENTIFIER)
    return bytes(builder.Output())


def _input(builder: flatbuffers.Builder, shape: tuple[int, ...], preprocessing: Preprocessing) -> int:
    _, height, width, channels = shape
    if channels not in (1, 3):
        raise InputError(f"metadata describes images of 1 or 3 channels, not {channels}")
    size = tables.add_table(builder, tables.IMAGE_SIZE, width=tables.unsigned(width), height=tables.unsigned(height))
    space = tables.RGB if channels == 3 else tables.GRAYSCALE
    image = tables.add_table(builder, tables.IMAGE, color_space=tables.byte(space), default_size=size)
    content = tables.add_table(
        builder,
        tables.CONTENT,
        content_properties_type=tables.byte(tables.IMAGE_PROPERTIES),
        content_properties=image,
    )
    options = tables.add_table(
        builder,
        tables.NORMALIZATION_OPTIONS,
        mean=tables.add_floats(builder, [255 * value for value in preprocessing.mean]),
        std=tables.add_floats(builder, [255 * value for value in preprocessing.std]),
    )
    unit = tables.add_table(
        builder, tables.PROCESS_UNIT, options_type=tables.byte(tables.NORMALIZATION), options=options
    )
    low, high = _limits(preprocessing)
    stats = tables.add_table(
        builder, tables.STATS, max=tables.add_floats(builder, high), min=tables.add_floats(builder, low)
    )
    return tables.add_table(
        builder,
        tables.TENSOR,
        name=builder.CreateString("image"),
        description=builder.CreateString(f"{height} x {width} pixels, {channels} channel(s)"),
        content=content,
        process_units=tables.add_offsets(builder, [unit]),
        stats=stats,
    )


def _output(builder: flatbuffers.Builder, output: _Output) -> int:
    kind, properties = tables.FEATURE_PROPERTIES, None
    if output.is_box:
        # Where left, top, right and bottom stand in a box.
        index = tables.add_numbers(builder, (1, 0, 3, 2))
        kind = tables.BOX_PROPERTIES
        properties = tables.add_table(
            builder,
            tables.BOX,
            index=index,
            type=tables.byte(tables.BOUNDARIES),
            coordinate_type=tables.byte(tables.RATIO),
        )
    content = tables.add_table(
        builder,
        tables.CONTENT,
        content_properties_type=tables.byte(kind),
        content_properties=tables.add_table(builder, ()) if properties is None else properties,
    )
    files: dict[str, tables.Field] = {}
    if output.labels:
        file = tables.add_table(
            builder,
            tables.ASSOCIATED_FILE,
            name=builder.CreateString(LABELS_FILE),
            description=builder.CreateString("one class a line, in their order"),
            type=tables.byte(output.labels),
        )
        files["associated_files"] = tables.add_offsets(builder, [file])
    return tables.add_table(
        builder,
        tables.TENSOR,
        name=builder.CreateString(output.name),
        description=builder.CreateString(output.description),
        content=content,
        **files,
    )


def _limits(preprocessing: Preprocessing) -> tuple[list[float], list[float]]:
    """The smallest and largest float input per channel: of a black and of a white pixel."""
    pairs = list(zip(preprocessing.mean, preprocessing.std, strict=True))
    return [-mean / std for mean, std in pairs], [(1 - mean) / std for mean, std in pairs]


def _find(model: bytes) -> bytes | None:
    read_subgraphs(model)
    try:
        generated = schema().Model.GetRootAs(model, 0)
        for index in range(min(generated.MetadataLength(), len(model))):
            entry = generated.Metadata(index)
            if (entry.Name() or b"").decode("utf-8", "replace") == ENTRY:
                data = generated.Buffers(entry.Buffer()).DataAsNumpy()
                return data.tobytes() if hasattr(data, "tobytes") else b""
    except _GARBAGE as error:
        raise InputError(f"the model's list of metadata is damaged: {error}") from None
    return None


def _unpack(packed: bytes, files: dict[str, bytes]) -> ModelMetadata:
    root = tables.Reader.root(packed)
    (subgraph, *_) = root.tables("subgraph_metadata", tables.SUBGRAPH)
    (source, *_) = subgraph.tables("input_tensor_metadata", tables.TENSOR)
    results = subgraph.tables("output_tensor_metadata", tables.TENSOR)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    for unit in source.tables("process_units", tables.PROCESS_UNIT):
        options = unit.table("options", tables.NORMALIZATION_OPTIONS)
        if unit.byte("options_type") == tables.NORMALIZATION and options is not None:
            mean, std = options.floats("mean"), options.floats("std")
    content = source.table("content", tables.CONTENT)
    image = content.table("content_properties", tables.IMAGE) if content is not None else None
    size = image.table("default_size", tables.IMAGE_SIZE) if image is not None else None
    labels: tuple[str, ...] = ()
    for file in (file for result in results for file in result.tables("associated_files", tables.ASSOCIATED_FILE)):
        if file.byte("type") in (tables.TENSOR_AXIS_LABELS, tables.TENSOR_VALUE_LABELS):
            labels = tuple(files.get(file.text("name") or "", b"").decode().splitlines())
    return ModelMetadata(
        name=root.text("name") or "",
        description=root.text("description") or "",
        version=root.text("version") or "",
        author=root.text("author") or "",
        licence=root.text("license") or "",
        mean=mean,
        std=std,
        labels=labels,
        color_space={tables.RGB: "RGB", tables.GRAYSCALE: "grayscale"}.get(image.byte("color_space"), "unknown")
        if image is not None
        else "unknown",
        image_size=(size.unsigned("height"), size.unsigned("width")) if size is not None else (0, 0),
    )
