"""Metadata inside the model: what readers of the public format find, and that the model computes as before."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest

from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.metadata import ENTRY, ModelMetadata, associated_files, read_metadata, with_metadata
from edgenas.export.tflite.reader import read_operators
from edgenas.export.tflite.schema import schema
from edgenas.export.verify import tflite_logits
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct, InvertedBottleneck
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import chain

LABELS = ("t-shirt", "trouser", "Straße")
PREPROCESSING = Preprocessing((0.5, 0.25, 0.125), (0.25, 0.5, 1.0))
MODEL = write_tflite(chain("three", (12, 10, 3), {"stem": ConvBnAct(8, 3, 2), "head": ClassifierHead(3)}).graph, "int8")
TEXTS = {"name": "three", "description": "a test", "version": "1", "licence": "CC0"}


@pytest.fixture(scope="module")
def described() -> bytes:
    return with_metadata(MODEL, labels=LABELS, preprocessing=PREPROCESSING, **TEXTS)


def test_reads_back(described: bytes) -> None:
    assert read_metadata(described) == ModelMetadata(
        author="EdgeNAS",
        mean=(127.5, 63.75, 31.875),
        std=(63.75, 127.5, 255.0),
        labels=LABELS,
        color_space="RGB",
        image_size=(12, 10),
        **TEXTS,
    )
    assert read_metadata(MODEL) is None


def test_any_zip_reader_finds_the_labels(described: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(described)) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt").decode().splitlines() == list(LABELS)
        assert archive.infolist()[0].compress_type == zipfile.ZIP_STORED  # the public readers need that


def test_the_model_answers_as_before(described: bytes) -> None:
    images = np.random.default_rng(0).normal(size=(4, 12, 10, 3)).astype(np.float32)
    np.testing.assert_array_equal(tflite_logits(described, images), tflite_logits(MODEL, images))
    assert [operator.name for operator in read_operators(described)] == [o.name for o in read_operators(MODEL)]


def test_follows_the_public_schema_field_by_field(described: bytes) -> None:
    """Read by hand, with the numbers of metadata_schema.fbs, so that writer and reader cannot agree on a mistake."""
    generated = schema().Model.GetRootAs(described, 0)
    (entry,) = [generated.Metadata(index) for index in range(generated.MetadataLength())]
    assert entry.Name() == ENTRY.encode()
    packed = generated.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
    assert packed[4:8] == b"M001"

    def field(table: int, number: int) -> int:
        layout = table - struct.unpack_from("<i", packed, table)[0]
        size = struct.unpack_from("<H", packed, layout)[0]
        place = 4 + 2 * number
        assert place < size, f"field {number} is not set"
        return table + struct.unpack_from("<H", packed, layout + place)[0]

    def follow(place: int) -> int:
        return place + struct.unpack_from("<I", packed, place)[0]

    def first(place: int) -> int:
        return follow(follow(place) + 4)

    model = struct.unpack_from("<I", packed)[0]
    subgraph = first(field(model, 3))
    source, result = first(field(subgraph, 2)), first(field(subgraph, 3))
    unit = first(field(source, 4))
    assert packed[field(unit, 0)] == 1  # NormalizationOptions
    means = follow(field(follow(field(unit, 1)), 0))
    assert struct.unpack_from("<I3f", packed, means) == (3, 127.5, 63.75, 31.875)
    content = follow(field(source, 3))
    assert packed[field(content, 0)] == 2  # ImageProperties
    assert packed[field(follow(field(content, 1)), 0)] == 1  # RGB
    file = first(field(result, 6))
    assert packed[field(file, 2)] == 2  # TENSOR_AXIS_LABELS
    name = follow(field(file, 0))
    assert packed[name + 4 : name + 4 + struct.unpack_from("<I", packed, name)[0]] == b"labels.txt"


def test_is_replaced_not_repeated(described: bytes) -> None:
    again = with_metadata(described, labels=LABELS, preprocessing=PREPROCESSING, **TEXTS)
    assert again == described
    renamed = with_metadata(described, labels=("a", "b", "c"), preprocessing=PREPROCESSING, **TEXTS)
    metadata = read_metadata(renamed)
    assert metadata is not None
    assert metadata.labels == ("a", "b", "c")


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="2 labels for a model of 3 outputs"):
        with_metadata(MODEL, labels=("a", "b"), preprocessing=PREPROCESSING, **TEXTS)
    block = write_tflite(InvertedBottleneck(filters=16).lower((8, 8, 16)), "int8")
    with pytest.raises(InputError, match="1 or 3 channels, not 16"):
        with_metadata(block, labels=[str(i) for i in range(16)], preprocessing=Preprocessing((0,), (1,)), **TEXTS)
    with pytest.raises(InputError, match="TFLite model"):
        with_metadata(b"nonsense", labels=LABELS, preprocessing=PREPROCESSING, **TEXTS)


def test_damage_is_an_input_error(described: bytes) -> None:
    rng = np.random.default_rng(0)
    place = described.index(b"M001")
    for _ in range(200):
        damaged = bytearray(described)
        for _ in range(3):
            damaged[int(rng.integers(place - 4, len(described)))] = int(rng.integers(0, 256))
        try:
            read_metadata(bytes(damaged))
            associated_files(bytes(damaged))
        except InputError:
            continue
