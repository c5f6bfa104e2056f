"""Archives that are damaged or lie about their size: one line that names file and key, and no memory taken."""

import random
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from edgenas.data import archive, load_dataset
from edgenas.data.archive import read_arrays
from edgenas.spaces.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 8, 9), np.uint8)
LABELS = np.arange(10) % 2
GOOD = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS}


def save(path, **changes):
    np.savez(path, **{key: value for key, value in (GOOD | changes).items() if value is not None})
    return path


def npy_bytes(shape, dtype="|u1", content=b""):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + content


def replaced(path, key, content, compression=zipfile.ZIP_DEFLATED):
    """The good file with other bytes for one key."""
    save(path)
    members = {info: zipfile.ZipFile(path).read(info) for info in zipfile.ZipFile(path).namelist()}
    with zipfile.ZipFile(path, "w", compression) as target:
        for name, data in members.items():
            target.writestr(name, content if name == f"{key}.npy" else data)
    return path


def assert_read_or_refused(path):
    message = f"{path}: read"
    try:
        load_dataset(str(path))
    except InputError as error:
        message = str(error)
    assert str(path) in message
    assert len(message.splitlines()) == 1


def test_layouts(tmp_path):
    arrays = {
        "c": IMAGES,
        "f": np.asfortranarray(IMAGES),
        "big": LABELS.astype(">i4"),
        "s": np.array("x"),
        "e": IMAGES[:0],
    }
    for write in (np.savez, np.savez_compressed):
        write(tmp_path / "a.npz", **arrays)
        found = read_arrays(tmp_path / "a.npz")
        assert list(found) == list(arrays)
        assert all((found[key] == arrays[key]).all() and found[key].shape == arrays[key].shape for key in arrays)
    assert list(read_arrays(tmp_path / "a.npz", ("f", "none"))) == ["f"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (npy_bytes((10**6, 1000, 1000), content=bytes(100)), r"'x_train' says shape .* but 100 bytes follow"),
        (npy_bytes((2**70,)), "says shape"),
        (npy_bytes((-1, -1)), "says shape"),
        (npy_bytes((2,), "|O", b"cos\nsystem\n(S'true'\ntR."), "holds Python objects"),
        (npy_bytes("(" * 500), "damaged"),
        (npy_bytes((1,), "|Q"), "damaged"),
        (b"", "damaged"),
        (b"\x93NUMPY\x09\x00", "damaged"),
    ],
)
def test_members_that_lie(tmp_path, content, words):
    path = replaced(tmp_path / "set.npz", "x_train", content)
    tracemalloc.start()
    with pytest.raises(InputError, match=words) as caught:
        load_dataset(str(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert "'x_train'" in str(caught.value)
    assert peak < 50_000_000


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "_SMALL_BYTES", 10_000)
    path = replaced(tmp_path / "set.npz", "x_train", npy_bytes((10**6,), content=bytes(10**6)))
    with pytest.raises(InputError, match=r"'x_train' would unpack from 1,\d\d\d bytes to 1,000,"):
        load_dataset(str(path))
    monkeypatch.setattr(archive, "memory_limit", lambda: 10)
    with pytest.raises(InputError, match="more than half of this machine's memory"):
        load_dataset(str(save(tmp_path / "set.npz")))


def test_encrypted_twice_and_strange_packing(tmp_path):
    path = save(tmp_path / "set.npz")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag of the first member in the directory
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"'x_train' is encrypted"):
        load_dataset(str(path))
    save(path)
    with zipfile.ZipFile(path, "a") as target, pytest.warns(UserWarning, match="Duplicate"):
        target.writestr("y_test.npy", b"x")
    with pytest.raises(InputError, match=r"'y_test' is there twice"):
        load_dataset(str(path))
    with pytest.raises(InputError, match="packed by method 14"):
        load_dataset(str(replaced(path, "x_train", b"", zipfile.ZIP_LZMA)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y_train": LABELS.astype(np.int64) * 10**12}, r"'y_train' holds 1000000000000 \(image 1\)"),
        ({"y_train": np.full(10, 2**64 - 1, np.uint64)}, r"'y_train' holds 18446744073709551615"),
        ({"y_train": LABELS * 5000}, r"'y_train' has labels up to 5000 for 10 images"),
        ({"y_train": LABELS - 1}, r"-1 \(image 0\)"),
        ({"y_train": LABELS.astype(bool)}, "'y_train' is bool"),
        ({"x_train": np.full((10, 8, 9), np.nan)}, "'x_train' is float64; expected uint8"),
        ({"class_names": np.array(["a", "a"])}, "class name 'a' is there twice"),
        ({"class_names": np.array(["a", "b\nc"])}, r"contains the character U\+000A"),
        ({"class_names": np.array(["a", " "])}, "is blank"),
        ({"class_names": np.array(["a", "b" * 300])}, "has 300 characters"),
        ({"class_names": np.array([b"a", b"\xff"])}, "holds what is no text"),
        ({"x_test": None}, "no key 'x_test'"),
    ],
)
def test_contents_that_cannot_be(tmp_path, changes, words):
    with pytest.raises(InputError, match=words) as caught:
        load_dataset(str(save(tmp_path / "set.npz", **changes)))
    assert str(tmp_path) in str(caught.value)


def test_without_a_test_part_some_is_split_off_and_told(tmp_path):
    path = str(save(tmp_path / "set.npz", x_test=None, y_test=None))
    dataset = load_dataset(path, seed=3)
    assert (len(dataset.train), np.bincount(dataset.test_labels).tolist()) == (8, [1, 1])
    assert "2 of 10 images" in dataset.notes[0]
    assert "seed 3" in dataset.notes[0]
    assert (load_dataset(path, seed=3).test_images == dataset.test_images).all()
    assert any((load_dataset(path, seed=other).test_images != dataset.test_images).any() for other in range(4, 9))


def test_damaged_archives_are_read_or_refused(tmp_path):
    rng, path = random.Random(0), tmp_path / "set.npz"
    for write in (np.savez, np.savez_compressed):
        write(path, **GOOD)
        whole = path.read_bytes()
        for _ in range(150):
            content = bytearray(whole[: rng.randrange(len(whole))] if rng.random() < 0.2 else whole)
            for _ in range(rng.randrange(1, 6)):
                if content:
                    content[rng.randrange(len(content))] = rng.randrange(256)
            path.write_bytes(content)
            assert_read_or_refused(path)


def test_headers_that_are_damaged(tmp_path):
    rng, whole = random.Random(1), npy_bytes((10, 8, 9), content=IMAGES.tobytes())
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            content[rng.randrange(128)] = rng.choice(b"0123456789()[]{},:'<>|uifSUOV \x00\xff")
        path = replaced(tmp_path / "set.npz", "x_train", bytes(content), zipfile.ZIP_STORED)
        assert_read_or_refused(path)
