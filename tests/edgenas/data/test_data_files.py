"""Loading data sets from files, and what is said about wrong ones."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from edgenas.data import load_dataset
from edgenas.data.remarks import remarks
from edgenas.spaces.errors import InputError, WorkError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 9, 3), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])
GOOD = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS}


def save(tmp_path, **changes):
    path = tmp_path / "set.npz"
    np.savez(path, **{key: value for key, value in (GOOD | changes).items() if value is not None})
    return str(path)


def test_npz(tmp_path):
    dataset = load_dataset(save(tmp_path, class_names=np.array(["ant", "bee", "cow"])))
    assert dataset.name == "set"
    assert dataset.class_names == ("ant", "bee", "cow")
    assert (dataset.images == IMAGES).all()
    assert dataset.labels.dtype == np.int64
    assert load_dataset(save(tmp_path)).class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, r"no key 'y_test'; found x_test, x_train, y_train"),
        ({"x_train": IMAGES / np.float32(255)}, r"'x_train' is float32; expected uint8"),
        ({"x_test": IMAGES[:, 0, 0]}, r"'x_test' has shape \(6, 3\)"),
        ({"x_train": IMAGES[..., :2]}, r"1 or 3 channels"),
        ({"y_train": LABELS[:4]}, r"6 images but y_train 4 labels"),
        ({"y_train": LABELS.astype(float)}, r"'y_train' is float64"),
        ({"y_test": LABELS + 1}, r"3 \(image 2\).*expected 0 to 2"),
        ({"y_train": LABELS - 1}, r"-1 \(image 0\)"),
        ({"class_names": np.array(["a", "b", "c", "d"])}, r"no training image of class d"),
        ({"class_names": np.array([1, 2, 3])}, r"'class_names' is int64"),
        ({"y_train": np.array(LABELS, dtype=object)}, r"'y_train' holds Python objects"),
        ({"x_test": IMAGES[:0], "y_test": LABELS[:0]}, r"no test images"),
    ],
)
def test_npz_errors_name_file_and_key(tmp_path, changes, message):
    path = save(tmp_path, **changes)
    with pytest.raises(InputError, match=message) as caught:
        load_dataset(path)
    assert path in str(caught.value)


def test_npz_that_is_none(tmp_path):
    path = tmp_path / "set.npz"
    with pytest.raises(InputError, match="no such file"):
        load_dataset(str(path))
    path.write_bytes(b"PK not an archive")
    with pytest.raises(InputError, match="not a readable"):
        load_dataset(str(path))
    with path.open("wb") as file:
        np.save(file, IMAGES)
    with pytest.raises(InputError, match="single array"):
        load_dataset(str(path))


def make_folder(root, mode="RGB", size=(9, 8)):
    for part, count in (("train", 3), ("test", 1)):
        for label, name in enumerate(("cat", "dog")):
            (root / part / name).mkdir(parents=True)
            for index in range(count):
                Image.new(mode, size, color=10 * label + index if mode == "L" else (label, index, 7)).save(
                    root / part / name / f"{index}.png"
                )
    return root


def test_folder(tmp_path):
    dataset = load_dataset(str(make_folder(tmp_path / "pets")))
    assert dataset.name == "pets"
    assert dataset.class_names == ("cat", "dog")
    assert dataset.images.shape == (6, 8, 9, 3)
    assert dataset.images[4, 0, 0].tolist() == [1, 1, 7]
    assert dataset.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert dataset.test_labels.tolist() == [0, 1]


def test_grey_folder_by_name_resized(tmp_path):
    make_folder(tmp_path / "pets", mode="L")
    dataset = load_dataset("pets", tmp_path, image_size=(16, 12))
    assert dataset.images.shape == (6, 16, 12, 1)
    assert dataset.images[4].flat[0] == 11


def test_folder_errors(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load_dataset(str(tmp_path / "nothing"))
    root = make_folder(tmp_path / "pets")
    (root / "train" / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: no images"):
        load_dataset(str(root))
    (root / "train" / "empty").rmdir()
    (root / "test" / "cow").mkdir()
    with pytest.raises(InputError, match="cow: a class without training images"):
        load_dataset(str(root))
    (root / "test" / "cow").rmdir()
    Image.new("RGB", (5, 5)).save(root / "train" / "dog" / "9.png")
    with pytest.raises(InputError, match=r"9\.png: 5x5 pixels.*image_size"):
        load_dataset(str(root))
    (root / "train" / "dog" / "9.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"9\.png: not a readable image"):
        load_dataset(str(root))
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(root / "train" / "dog" / "9.png")
    whole = (root / "train" / "dog" / "9.png").read_bytes()
    (root / "train" / "dog" / "9.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"9\.png: a damaged image"):
        load_dataset(str(root))


def test_conversion_of_size_and_channels(tmp_path):
    dataset = load_dataset(save(tmp_path), image_size=(16, 18), channels=1)
    assert dataset.images.shape == (6, 16, 18, 1)
    assert dataset.test_images.shape == (6, 16, 18, 1)
    grey = IMAGES @ np.array([0.299, 0.587, 0.114])
    assert abs(dataset.images.mean() - grey.mean()) < 3
    with pytest.raises(InputError, match="channels"):
        load_dataset("fashion_mnist_subset", channels=2)
    with pytest.raises(InputError, match="image_size"):
        load_dataset("fashion_mnist_subset", image_size=(0, 5))


def test_unknown_names(tmp_path):
    with pytest.raises(InputError, match=r"'no_such' not found: looked for .*no_such\.npz"):
        load_dataset("no_such", tmp_path)
    with pytest.raises(InputError, match=r"--data-dir: no folder"):
        load_dataset("fashion_mnist", tmp_path / "missing")
    with pytest.raises(InputError, match="expected one of cifar10"):
        load_dataset("keras:no_such")


def test_keras_set_offline(monkeypatch):
    from edgenas.export._tensorflow import keras

    def fail():
        raise OSError("no route to host")

    monkeypatch.setattr(keras().datasets.cifar10, "load_data", fail)
    with pytest.raises(WorkError, match=r"no route to host.*cifar10\.npz"):
        load_dataset("keras:cifar10")


def test_what_was_converted_is_counted(tmp_path):
    root = make_folder(tmp_path / "pets", mode="L")
    for index in range(2):
        Image.fromarray(np.full((8, 9), 65535, np.uint16)).save(root / "train" / "cat" / f"{index}.png")
    turned = Image.new("L", (8, 9), 7)
    turned.getexif()[0x0112] = 6
    turned.save(root / "test" / "dog" / "0.png", exif=turned.getexif())
    dataset = load_dataset(str(root))
    assert dataset.images[0].max() == dataset.images[0].min() == 255
    assert dataset.notes == (
        "2 of 8 pictures: scaled from 16 to 8 bits",
        "1 of 8 pictures: turned upright by the EXIF orientation",
    )


def test_system_files_are_left_out_and_links_are_followed_once(tmp_path):
    root = make_folder(tmp_path / "pets")
    for name in ("._0.png", ".DS_Store", "Thumbs.db", "notes.txt"):
        (root / "train" / "cat" / name).write_bytes(b"no picture")
    (root / "train" / "__MACOSX").mkdir()
    (root / "train" / "cat" / "more").mkdir()
    (root / "train" / "cat" / "more" / "loop").symlink_to(root / "train" / "cat")
    Image.new("RGB", (9, 8)).save(root / "train" / "cat" / "more" / "é.PNG")
    strange = os.fsencode(root / "train" / "dog") + b"/\xff.png"
    os.link(root / "train" / "dog" / "0.png", strange)
    dataset = load_dataset(str(root))
    assert dataset.class_names == ("cat", "dog")
    assert dataset.labels.tolist() == [0] * 4 + [1] * 4


def test_what_is_no_picture_is_named(tmp_path):
    root = make_folder(tmp_path / "pets")
    os.mkfifo(root / "train" / "cat" / "pipe.png")
    with pytest.raises(InputError, match=r"pipe\.png: not a readable image: it is no regular file"):
        load_dataset(str(root))
    (root / "train" / "cat" / "pipe.png").unlink()
    (root / "train" / "cat" / "loop.png").symlink_to(root / "train" / "cat" / "loop.png")
    with pytest.raises(InputError, match=r"loop\.png: cannot be read"):
        load_dataset(str(root))


@pytest.mark.parametrize("name", [b"a\nb", b"\xff", b" ", b"\x1b[31m"])
def test_class_folders_that_cannot_be_written_down(tmp_path, name):
    root = make_folder(tmp_path / "pets")
    os.rename(root / "train" / "cat", os.fsencode(root / "train") + b"/" + name)
    with pytest.raises(InputError, match=r"class name .* rename the class"):
        load_dataset(str(root))


def test_without_a_test_folder_some_is_split_off_and_told(tmp_path):
    root = make_folder(tmp_path / "pets")
    (root / "test").rename(tmp_path / "away")
    dataset = load_dataset(str(root), seed=1)
    assert dataset.labels.tolist() == [0, 0, 1, 1]
    assert dataset.test_labels.tolist() == [0, 1]
    assert dataset.notes[0].startswith("there is no test part: 2 of 6 images (20% of every class, drawn with seed 1)")
    assert (load_dataset(str(root), seed=1).test_images == dataset.test_images).all()
    kept = {tuple(image.flat) for image in dataset.images}
    assert not kept & {tuple(image.flat) for image in dataset.test_images}


def test_more_than_the_memory_is_read_when_it_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr("edgenas.data.folders.memory_limit", lambda: 100)
    dataset = load_dataset(str(make_folder(tmp_path / "pets")))
    assert dataset.train.streamed
    assert dataset.images[0].shape == dataset.image_shape


def test_names_that_no_file_can_have(tmp_path):
    for name, words in (("x" * 300, "300 bytes"), ("a\0b/", r"U\+0000"), ("~no_such_user/x", "there is no user")):
        with pytest.raises(InputError, match=words):
            load_dataset(name)


def test_remarks(tmp_path):
    images = np.zeros((6, 4, 4), np.uint8)
    path = save(
        tmp_path,
        x_train=images,
        y_train=np.array([0, 0, 0, 1, 1, 2]),
        x_test=images[:2],
        y_test=np.array([0, 1]),
        class_names=np.array(["Cat", "cat", "dog"]),
    )
    assert remarks(load_dataset(path), 0.3, seed=0) == (
        "the classes 'Cat' and 'cat' differ in case or accents only; are they one class?",
        "no test image of class 'dog': the accuracy says nothing about these",
        "one training image only of class 'dog': none is left to compare candidates on",
        "2 validation images: an accuracy on them is known to within 41 points only (95 % Wilson interval)",
        "2 test images: an accuracy on them is known to within 41 points only (95 % Wilson interval)",
    )
    assert remarks(load_dataset("fashion_mnist_subset"), 0.15, seed=0) == ()
