from __future__ import annotations

import numpy as np
import pytest

from edgenas.data import Dataset, Split, load_dataset
from edgenas.data.bundled import pack_images, unpack_images
from edgenas.data.dataset import stratified_choice
from edgenas.spaces.errors import InputError


def make_dataset(per_class=(10, 20, 30), **changes):
    labels = np.repeat(np.arange(len(per_class)), per_class)
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1) * np.ones((1, 4, 4, 1), np.uint8)
    fields = {
        "name": "made",
        "images": images,
        "labels": labels,
        "test_images": images[:5],
        "test_labels": labels[:5],
        "class_names": tuple("abcdefgh"[: len(per_class)]),
        "licence": "none",
        "source": "made here",
    }
    return Dataset(**(fields | changes))


def test_bundled_set_is_what_it_says():
    dataset = load_dataset("fashion_mnist_subset")
    assert dataset.name == "fashion_mnist_subset"
    assert dataset.images.shape == (8600, 28, 28, 1)
    assert dataset.test_images.shape == (2000, 28, 28, 1)
    assert (np.bincount(dataset.labels) == 860).all()
    assert (np.bincount(dataset.test_labels) == 200).all()
    assert "8,600 of the 60,000" in dataset.source
    assert dataset.licence.startswith("MIT")
    # Trousers are two dark legs: their middle columns at the bottom are darker than those of a shirt.
    assert dataset.images[dataset.labels == 1][:, 24, 14].mean() < dataset.images[dataset.labels == 6][:, 24, 14].mean()


def test_bundled_stays_small():
    from edgenas.data.bundled import FOLDER

    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 4_000_000


def test_name_without_a_file_falls_back_and_says_so(tmp_path):
    dataset = load_dataset("fashion_mnist", tmp_path)
    assert dataset.describe()["name"] == "fashion_mnist_subset"
    assert dataset.describe()["train_images"] == 8600


def test_name_with_a_file_uses_it(tmp_path, monkeypatch):
    images, labels = np.zeros((20, 28, 28), np.uint8), np.tile(np.arange(10, dtype=np.uint8), 2)
    path = tmp_path / "fashion_mnist.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    monkeypatch.setenv("EDGENAS_DATA_DIR", str(tmp_path))
    dataset = load_dataset("fashion_mnist")
    assert (dataset.name, len(dataset.train), dataset.class_names[9]) == ("fashion_mnist", 20, "Ankle boot")
    assert dataset.source == str(path)


def test_pack_images_round_trip():
    images = np.random.default_rng(0).integers(0, 256, (5, 7, 6, 3), np.uint8)
    assert (unpack_images(pack_images(images), np.array(images.shape)) == images).all()


def test_split_is_stratified_seeded_and_disjoint():
    dataset = make_dataset()
    train, validation = dataset.split(0.2, seed=3)
    assert np.bincount(validation.labels).tolist() == [2, 4, 6]
    assert len(train) + len(validation) == 60
    assert not set(train.images[:, 0, 0, 0]) & set(validation.images[:, 0, 0, 0])
    again = dataset.split(0.2, seed=3)[1]
    other = dataset.split(0.2, seed=4)[1]
    assert (validation.images == again.images).all()
    assert (validation.images != other.images).any()


def test_split_keeps_rare_classes_on_both_sides():
    train, validation = make_dataset((2, 50)).split(0.01, seed=0)
    assert 0 in train.labels
    assert 0 in validation.labels


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 2])
def test_split_refuses_fractions_outside(fraction):
    with pytest.raises(InputError, match="validation_fraction"):
        make_dataset().split(fraction, seed=0)


def test_subset_keeps_shares():
    chosen = stratified_choice(make_dataset((100, 200, 300)).labels, 60, seed=1)
    assert np.bincount(make_dataset((100, 200, 300)).labels[chosen]).tolist() == [10, 20, 30]
    assert len(set(chosen.tolist())) == 60
    assert len(make_dataset().train.subset(1000, seed=0)) == 60


def test_labels_out_of_range_name_the_image():
    labels = make_dataset().labels.copy()
    labels[7] = 9
    with pytest.raises(InputError, match=r"9 \(image 7\); expected 0 to 2"):
        make_dataset(labels=labels)


def test_class_without_images_is_named():
    with pytest.raises(InputError, match="no training image of class d"):
        make_dataset(class_names=("a", "b", "c", "d"))


def test_test_images_of_another_shape_are_refused():
    with pytest.raises(InputError, match="one shape"):
        make_dataset(test_images=np.zeros((5, 8, 8, 1), np.uint8))


def test_split_checks_types():
    with pytest.raises(InputError, match="uint8"):
        Split(np.zeros((2, 4, 4, 1), np.float32), np.zeros(2, np.int64))
    with pytest.raises(InputError, match="int64"):
        Split(np.zeros((2, 4, 4, 1), np.uint8), np.zeros(3, np.int64))
