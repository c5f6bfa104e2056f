"""Boxes follow their images through every random change."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.data.augmentation import Augmentation
from edgenas.data.detection.augmentation import augment_boxes, cropped, recoloured
from edgenas.data.detection.drawn import FACES, SHADES, SHAPES, generated
from edgenas.data.detection.remarks import remarks


def one_box(count: int = 40) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Grey pictures with a red rectangle, and where it is."""
    rng = np.random.default_rng(0)
    images = np.full((count, 48, 64, 3), 90, np.uint8)
    boxes = np.zeros((count, 2, 4), np.float32)
    for index in range(count):
        top, left = rng.integers(2, 20, 2)
        bottom, right = top + rng.integers(8, 24), left + rng.integers(8, 40)
        images[index, top:bottom, left:right] = (255, 0, 0)
        boxes[index, 0] = np.array([top, left, bottom, right]) / (48, 64, 48, 64)
    labels = np.tile(np.array([2, -1], np.int32), (count, 1))
    groups = np.tile(np.array([1, -1], np.int32), (count, 1))
    return images, {"boxes": boxes, "labels": labels, "groups": groups, "ignored": np.zeros((count, 2), np.uint8)}


@pytest.mark.parametrize("crop", [(0.2, 1.0), (1.5, 4.0)])
def test_the_box_is_where_the_red_is(crop: tuple[float, float]) -> None:
    images, targets = one_box()
    changed, told = augment_boxes(images, targets, Augmentation(), crop=crop, colour=0.0, rng=np.random.default_rng(1))
    assert changed.shape == images.shape
    moved = 0
    for index in range(len(images)):
        if told["labels"][index, 0] < 0:
            continue
        red = changed[index, ..., 0].astype(int) - changed[index, ..., 1] > 60
        rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
        seen = np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])
        np.testing.assert_allclose(told["boxes"][index, 0] * (48, 64, 48, 64), seen, atol=1.6)
        moved += bool(np.abs(told["boxes"][index, 0] - targets["boxes"][index, 0]).max() > 0.05)
        assert (told["labels"][index].tolist(), told["groups"][index].tolist()) == ([2, -1], [1, -1])
    assert moved > 25


def test_the_same_for_the_same_generator_and_nothing_when_all_is_off() -> None:
    images, targets = one_box(6)
    how = {"crop": (0.1, 1.0), "colour": 0.3}
    first, second = (
        augment_boxes(images, targets, Augmentation(cutout=8), rng=np.random.default_rng(3), **how) for _ in range(2)
    )
    np.testing.assert_array_equal(first[0], second[0])
    for name in targets:
        np.testing.assert_array_equal(first[1][name], second[1][name])
    off = Augmentation(shift=0, flip=False)
    same, told = augment_boxes(images, targets, off, crop=(0.1, 1.0), colour=0.0, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(same, images)
    np.testing.assert_array_equal(told["boxes"], targets["boxes"])


def test_boxes_whose_centre_is_outside_are_left_out() -> None:
    targets = {
        "boxes": np.array([[0.0, 0.0, 0.4, 0.2], [0.4, 0.4, 0.8, 0.8], [0.5, 0.45, 0.6, 0.55]], np.float32),
        "labels": np.array([0, 1, 2], np.int32),
        "groups": np.array([5, 6, 7], np.int32),
        "ignored": np.array([0, 0, 1], np.uint8),
    }
    found = cropped(targets, np.array([0.3, 0.3, 0.7, 0.7]))
    assert found["labels"].tolist() == [1, 2, -1]
    assert found["groups"].tolist() == [6, 7, -1]
    assert found["ignored"].tolist() == [0, 1, 0]
    np.testing.assert_allclose(found["boxes"], [[0.25, 0.25, 1, 1], [0.5, 0.375, 0.75, 0.625], [0, 0, 0, 0]], atol=1e-6)


def test_colours_change_and_stay_bytes() -> None:
    images, _ = one_box(8)
    changed = recoloured(images, 0.5, np.random.default_rng(0))
    assert changed.dtype == np.uint8
    assert len({int(image[0, 0, 0]) for image in changed}) > 4


def test_generated_sets_repeat_and_have_groups() -> None:
    first, second = (generated(FACES, (32, 32), train=12, test=4) for _ in range(2))
    assert first.train.checksum() == second.train.checksum()
    assert set(first.facts["groups"]) <= set(SHADES)
    assert first.facts["classes"] == ("face",)
    shapes = generated(SHAPES, (32, 48), channels=1, train=12, test=4)
    assert shapes.train.inputs["image"].shape == (12, 32, 48, 1)
    assert any("have no box" in remark for remark in remarks(generated(SHAPES, (32, 32), train=60, test=20)))
    few = remarks(generated(SHAPES, (16, 16), train=8, test=3))
    assert any("fewer than 20 training boxes" in remark for remark in few)
    assert any("pixels high or wide at 16x16" in remark for remark in few)
