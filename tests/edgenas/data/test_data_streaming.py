"""Data that are larger than memory: read when needed, with the same pixels in the same order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgenas.data import Dataset, load_dataset
from edgenas.data.augmentation import Augmentation
from edgenas.data.examples import is_streamed
from edgenas.tasks import get_task
from edgenas.training.batches import Batches

TASK = get_task("classification")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 12, 10, 3)).astype(np.uint8)
LABELS = np.arange(40) % 4


def save(folder: Path, kind: str) -> Path:
    if kind == "folder":
        for index, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
            place = folder / "set" / "train" / f"class{label}"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{index:02}.png")
        return folder / "set"
    path = folder / "set.npz"
    (np.savez if kind == "stored" else np.savez_compressed)(path, x_train=IMAGES, y_train=LABELS)
    return path


def batches(dataset: Dataset) -> list[np.ndarray]:
    training, _ = dataset.split(0.25, seed=1)
    made = Batches(training, TASK, TASK.fit(training), batch_size=8, seed=2)
    return [inputs["image"] for epoch in (0, 1) for inputs, _ in made.epoch(epoch, 2, Augmentation())]


@pytest.mark.parametrize("kind", ["folder", "stored", "packed"])
def test_streams_the_same_batches(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(save(tmp_path, kind))
    whole = load_dataset(path)
    for module in ("archive", "folders"):
        monkeypatch.setattr(f"edgenas.data.{module}.memory_limit", lambda: 5000)
    streamed = load_dataset(path)
    assert not is_streamed(whole.images)
    assert is_streamed(streamed.images)
    assert streamed.train.streamed
    assert streamed.describe() == whole.describe()
    assert streamed.train.checksum() == whole.train.checksum()
    assert TASK.fit(streamed.train) == TASK.fit(whole.train)
    for one, other in zip(batches(streamed), batches(whole), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(streamed.test.subset(3, 0).images[:], whole.test.subset(3, 0).images)


def test_converted_when_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(save(tmp_path, "stored"))
    whole = load_dataset(path, image_size=(6, 7), channels=1)
    monkeypatch.setattr("edgenas.data.archive.memory_limit", lambda: 5000)
    streamed = load_dataset(path, image_size=(6, 7), channels=1)
    assert streamed.image_shape == whole.image_shape == (6, 7, 1)
    np.testing.assert_array_equal(streamed.images[5:9], whole.images[5:9])


def test_a_damaged_member_is_found_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgenas.spaces.errors import InputError

    path = save(tmp_path, "stored")
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr("edgenas.data.archive.memory_limit", lambda: 5000)
    with pytest.raises(InputError, match="'x_train' is damaged"):
        load_dataset(str(path))


def test_the_limit_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgenas.data.archive import memory_limit
    from edgenas.spaces.errors import InputError

    monkeypatch.setenv("EDGENAS_DATA_MEMORY_MB", "7")
    assert memory_limit() == 7_000_000
    monkeypatch.setenv("EDGENAS_DATA_MEMORY_MB", "much")
    with pytest.raises(InputError, match="EDGENAS_DATA_MEMORY_MB: expected a whole number"):
        memory_limit()
