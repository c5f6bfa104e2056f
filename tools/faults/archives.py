"""Data sets in ``.npz`` files: wrong arrays, hostile headers, damaged, encrypted and exploding archives."""

from __future__ import annotations

import bz2
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from faults.mutations import mutate_bytes
from faults.runner import Job
from faults.scene import Scene, arrays
from faults.yaml_kinds import REAL_EVERY

#: Bytes that the largest member of an exploding archive claims and unpacks to.
BOMB_BYTES = 3 << 30


def archives(scene: Scene, folder: Path, seed: int, count: int) -> Iterator[Job]:
    """``edgenas search``, up to the first training, with a damaged data file."""
    for index in range(count):
        rng, place = np.random.default_rng([seed, 5, index]), folder / str(index)
        place.mkdir(parents=True)
        (place / "data.npz").write_bytes(damaged(rng))
        text = scene.recipe(device="edgetpu-sim", data=place / "data.npz")
        if rng.random() < 0.3:
            text = text.replace('data.npz"}', 'data.npz", image_size: [10, 14], channels: 3}')
        (place / "recipe.yaml").write_text(text)
        yield Job(
            f"archives/{index}", ("search", "recipe.yaml", "-o", "run"), place, "accept", real=index % REAL_EVERY == 7
        )


def damaged(rng: np.random.Generator) -> bytes:
    kinds = (
        _other_array,
        _other_array,
        _other_array,
        _hostile_header,
        _hostile_header,
        _bytes,
        _zip_fields,
        _container,
    )
    return kinds[int(rng.integers(len(kinds)))](rng)


def _zip(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(_entry(name), content, compression)
    return buffer.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry of a fixed date: the same case is the same file."""
    return zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0))


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _members() -> dict[str, bytes]:
    return {f"{key}.npy": _npy(value) for key, value in arrays().items()}


def _other_array(rng: np.random.Generator) -> bytes:
    """One array of another type, shape or content."""
    data: dict[str, Any] = dict(arrays())
    key = str(rng.choice(list(data)))
    array = data[key]
    labels = key.startswith("y_")
    shapes = [
        array[:0],
        array[:1],
        array[0],
        array[..., np.newaxis],
        array[np.newaxis],
        array.T,
        array.ravel(),
        np.array(3),
    ]
    values: list[Any] = [
        *shapes,
        *(array.astype(kind) for kind in ("f2", "f4", "f8", "i1", "u2", "i4", "u8", "?", "c8", ">i4", "S5", "U5")),
        array.astype(float) * np.nan,
        array.astype(object),
        array.astype("M8[s]"),
        array.astype([("a", "i4")]),
        np.zeros(array.shape, "V8"),
        np.full(array.shape, 10**12),
        np.full(array.shape, -1),
        np.full(array.shape, np.iinfo(np.int64).max),
        np.full(array.shape, np.iinfo(np.int64).min),
        np.full(array.shape, 2**63, np.uint64),
        np.asfortranarray(array),
        np.zeros((0, 0), np.uint8),
        np.zeros((len(array), 0, 12), np.uint8),
        np.zeros((len(array), 12, 12, 4), np.uint8),
        np.zeros((len(array), 12, 12, 1, 1), np.uint8),
        np.zeros((1,) * 32, np.uint8),
        np.zeros((len(array), 5, 7), np.uint8),
        np.array(["a", "b"]),
        np.array([]),
    ]
    if labels:
        values += [array % 1, array + 100, np.append(array[:-1], 70_000), np.append(array[:-1], 10**9), array[::-1] - 3]
    kind = rng.random()
    if kind < 0.75:
        data[key] = values[int(rng.integers(len(values)))]
    elif kind < 0.82:
        del data[key]
    else:
        names: list[Any] = [
            np.array(["a", "b", "c", "d"]), np.array(["a"]), np.array(["a"] * 4), np.array(["x\ny", "b", "c", "d"]),
            np.array(["\x1b[31m", "b", "c", "d"]), np.array(["", " ", "\t", "d"]), np.array(["猫", "é", "😀", "d"]),
            np.array(["a" * 5000, "b", "c", "d"]), np.array([b"\xff\xfe", b"b", b"c", b"d"]), np.arange(4),
            np.array(["a,b", "c", "d", "e"]), np.array([["a", "b"], ["c", "d"]]), np.array("a"),
            np.array(["a\x00b", "b", "c", "d"]),
            np.array(["<script>", "&amp;", "{}", "%s"]), np.array([str(i) for i in range(3000)]),
        ]  # fmt: skip
        data["class_names"] = names[int(rng.integers(len(names)))]
        if rng.random() < 0.3:
            data["licence"] = names[int(rng.integers(len(names)))]
    compression = zipfile.ZIP_STORED if rng.random() < 0.5 else zipfile.ZIP_DEFLATED
    return _zip({f"{key}.npy": _npy(np.asarray(array)) for key, array in data.items()}, compression)


_HEADERS = (
    "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 12, 12), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (4000000, 64, 64), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 12, 12), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (1e3, 12, 12), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': 'abc', }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999999999,), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (2147483648, 2147483648, 4), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '<U1000000000', 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '|V2000000000', 'fortran_order': False, 'shape': (), }",
    "{'descr': 'nothing', 'fortran_order': False, 'shape': (4,), }",
    "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '|u1', 'fortran_order': 3, 'shape': (4,), }",
    "{'descr': '|u1', 'shape': (4,), }",
    "__import__('os').system('true')",
    "(" * 3000,
    "{" * 100,
    "[]",
    "",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "1," * 40 + "), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (True, 2), }",
    "\xff\xfe{'descr'",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 1000000000000), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (96, 12, 12), }",
)


def _hostile_header(rng: np.random.Generator) -> bytes:
    """An array whose header lies, in an archive that is whole."""
    members = _members()
    key = str(rng.choice(list(members)))
    if rng.random() < 0.2:
        members[key] = mutate_bytes(members[key][:128], rng) + members[key][128:]
        return _zip(members)
    header = _HEADERS[int(rng.integers(len(_HEADERS)))].encode("latin-1", "replace") + b"\n"
    version, length = ((1, 0), "<H") if rng.random() < 0.7 else ((2, 0), "<I") if rng.random() < 0.7 else ((3, 0), "<I")
    stated = len(header) if rng.random() < 0.9 else int(rng.choice([0, 3, 60000]))
    start = b"\x93NUMPY" + bytes(version) + struct.pack(length, stated) + header
    members[key] = start + bytes(int(rng.choice([0, 100, 13824])))
    return _zip(members)


def _bytes(rng: np.random.Generator) -> bytes:
    """Damage anywhere: streams, checksums, the directory."""
    compression = int(rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]))
    content = _zip(_members(), compression)
    if rng.random() < 0.5:  # the directory at the end
        return content[:-400] + mutate_bytes(content[-400:], rng, int(rng.integers(1, 4)))
    return mutate_bytes(content, rng, int(rng.integers(1, 5)))


def _zip_fields(rng: np.random.Generator) -> bytes:
    """Fields of the archive's entries: encryption, methods, sizes, names."""
    content = bytearray(_zip(_members(), zipfile.ZIP_DEFLATED))
    local, central = _entries(content)
    which = int(rng.integers(len(local)))
    kind = int(rng.integers(6))
    for start, shift in ((local[which], 0), (central[which], 2)):
        at = start + 4 + shift  # "version needed" of both kinds of entry
        if kind == 0:
            content[at + 2] |= 1  # encrypted
        elif kind == 1:
            struct.pack_into("<H", content, at + 4, int(rng.choice([1, 6, 9, 12, 14, 93, 98, 99, 0])))
        elif kind == 2:
            struct.pack_into("<I", content, at + 18, int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFE])))  # unpacked size
        elif kind == 3:
            struct.pack_into("<I", content, at + 14, int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFE])))  # packed size
        elif kind == 4:
            struct.pack_into("<I", content, at + 10, int(rng.integers(2**32)))  # checksum
        else:
            struct.pack_into("<H", content, at, 6300)
    return bytes(content)


def _entries(content: bytearray) -> tuple[list[int], list[int]]:
    found: list[list[int]] = []
    for mark in (b"PK\x03\x04", b"PK\x01\x02"):
        places, at = [], content.find(mark)
        while at >= 0:
            places.append(at)
            at = content.find(mark, at + 4)
        found.append(places)
    return found[0], found[1]


def _container(rng: np.random.Generator) -> bytes:
    """Archives that are whole and not what is expected."""
    members = _members()
    kinds: list[bytes] = [
        b"",
        b"PK\x05\x06" + bytes(18),
        _npy(np.arange(10)),
        bz2.compress(b"x" * 1000),
        zlib.compress(b"x" * 1000),
        b"\x80\x04K\x01.",
        _zip({}),
        _zip({f"{i}.npy": b"" for i in range(3000)}),
        _zip({"folder/" + name: content for name, content in members.items()}),
        _zip({"../" + name: content for name, content in members.items()}),
        _zip({name.removesuffix(".npy"): content for name, content in members.items()}),
        _zip(members | {"extra.npy": b"junk"}),
        _zip(members | {"extra.txt": b"junk"}),
        _zip(members | {"x" * 60000 + ".npy": _npy(np.arange(3))}),
        _zip(members | {"\x1b[31m.npy": _npy(np.arange(3))}),
        _zip({"a.npz": _zip(members)}),
        _twice(members),
        _zip(members) + b"trailing words " * 100,
        b"#!/bin/sh\n" * 30 + _zip(members),
        *(bomb(name) for name in ("x_train.npy", "extra.npy")),
    ]
    return kinds[int(rng.integers(len(kinds)))]


def _twice(members: dict[str, bytes]) -> bytes:
    import warnings

    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")
        for name, content in (*members.items(), *members.items()):
            archive.writestr(_entry(name), content)
    return buffer.getvalue()


@cache
def bomb(name: str) -> bytes:
    """A few megabytes that unpack to :data:`BOMB_BYTES` zeros, as an array that says so."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({BOMB_BYTES // 4096}, 64, 64), }}".encode().ljust(
        117
    )
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header + b"\n"
    block = bytes(1 << 24)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    repeated = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    count = BOMB_BYTES // len(block)
    packed = first + repeated * count + packer.compress(b"") + packer.flush(zlib.Z_FINISH)
    checksum = zlib.crc32(start)
    for _ in range(count):
        checksum = zlib.crc32(block, checksum)
    size, encoded = len(start) + BOMB_BYTES, name.encode()
    common = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, checksum, len(packed), size, len(encoded), 0)
    local = b"PK\x03\x04" + common + encoded + packed
    others = _zip(_members())
    ends = others.rfind(b"PK\x05\x06")
    begins = others.find(b"PK\x01\x02")
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, begins) + encoded
    directory = others[begins:ends] + entry
    end = struct.pack("<HHHHIIH", 0, 0, 5, 5, len(directory), begins + len(local), 0)
    return others[:begins] + local + directory + b"PK\x05\x06" + end
