"""Stages of a training, and the augmentations that they make stronger."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.data.dataset import Split
from edgenas.data.mixing import mixed
from edgenas.data.randaugment import OPERATIONS, randaugment
from edgenas.data.resizing import resized
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import chain
from edgenas.tasks import get_task
from edgenas.training import Augmentation, TrainingSettings, train
from edgenas.training.progressive import progressive_schedule
from edgenas.training.settings import Progressive

IMAGES = np.random.default_rng(0).integers(0, 256, (16, 12, 8, 3), np.uint8)
FULL = Augmentation(shift=0, flip=False, randaugment=8, mixup=0.2, cutmix=1.0)


def settings(**others: object) -> TrainingSettings:
    return TrainingSettings(augmentation=FULL, progressive=Progressive(**others))  # type: ignore[arg-type]


def test_stages_grow_to_full_images_and_full_strength() -> None:
    schedule = progressive_schedule(settings(), {"image": (32, 32, 3)})
    stages = [schedule.augmentation(epoch, 8) for epoch in range(8)]
    assert [one.size for one in stages[::2]] == [(20, 20), (24, 24), (28, 28), None]
    assert stages[0] == stages[1]
    assert (stages[0].randaugment, stages[-1]) == (4.0, FULL)
    assert [schedule.dropout_share(epoch, 8) for epoch in (0, 7)] == [0.5, 1.0]
    assert schedule.augmentation(0, 1) == FULL  # one epoch is the last stage
    with pytest.raises(InputError, match="progressive is for tasks whose input is an image"):
        progressive_schedule(settings(), {"x": (7,)})


@pytest.mark.parametrize("key", ["stages", "image_size", "regularisation"])
def test_stages_out_of_range_are_named(key: str) -> None:
    with pytest.raises(InputError, match=rf"progressive\.{key}"):
        Progressive(**{key: -1})


def test_settings_are_read_back_and_older_ones_stay_the_same() -> None:
    for one in (settings(stages=3), TrainingSettings(), TrainingSettings(augmentation=Augmentation(mixup=0.1))):
        assert TrainingSettings.from_dict(one.to_dict()) == one
    found = TrainingSettings().to_dict()
    assert "progressive" not in found
    assert set(found["augmentation"]) == {"shift", "flip", "cutout", "cutout_probability"}


def test_smaller_images_keep_their_mean() -> None:
    small = resized(IMAGES, (6, 4))
    assert small.shape == (16, 6, 4, 3)
    np.testing.assert_allclose(small.mean((1, 2)), IMAGES.mean((1, 2)), atol=6)
    flat = np.full((1, 9, 9, 1), 77, np.uint8)
    assert (resized(flat, (5, 7)) == 77).all()
    assert resized(IMAGES, (12, 8)) is IMAGES


@pytest.mark.parametrize("channels", [1, 3])
def test_randaugment_changes_images_within_their_range_and_repeats(channels: int) -> None:
    images = IMAGES[..., :channels]
    first, again = (randaugment(images, 9, 2, np.random.default_rng(4)) for _ in range(2))
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != images).any((1, 2, 3)).mean() > 0.7
    strength, sign = np.ones(len(images), np.float32), np.ones(len(images), np.float32)
    for operation in OPERATIONS:
        found = operation(images.astype(np.float32), strength, sign)
        assert found.shape == images.shape
        assert found.min() >= 0
        assert found.max() <= 255.5


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.5, 0.0), (0.0, 1.0), (0.5, 0.5)])
def test_pairs_are_mixed_by_their_shares(mixup: float, cutmix: float) -> None:
    images = np.broadcast_to(np.arange(32, dtype=np.uint8)[:, None, None, None] * 8, (32, 10, 10, 1))
    labels = np.arange(32)
    changed, (own, other, share) = mixed(images, labels, mixup, cutmix, np.random.default_rng(1))
    np.testing.assert_array_equal(own, labels)
    assert ((share >= 0) & (share <= 1)).all()
    np.testing.assert_allclose(changed.mean((1, 2, 3)), 8 * (share * own + (1 - share) * other), atol=1)


def test_a_mixed_batch_costs_the_mixture_of_both_labels_losses() -> None:
    task = get_task("classification")
    logits = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    own, other, share = np.array([0, 1, 2, 3]), np.array([4, 3, 2, 1]), np.array([1.0, 0.5, 0.2, 0.0], np.float32)
    outputs = {"logits": logits}
    each = [
        [float(task.loss(labels[[i]], {"logits": logits[[i]]}, label_smoothing=0.1)) for i in range(4)]
        for labels in (own, other)
    ]
    expected = np.mean(share * each[0] + (1 - share) * each[1])
    assert float(task.loss((own, other, share), outputs, label_smoothing=0.1)) == pytest.approx(expected, rel=1e-5)


def test_a_training_goes_through_stages_of_smaller_images() -> None:
    rng = np.random.default_rng(0)
    examples = Split(rng.integers(0, 256, (16, 16, 16, 1), np.uint8), rng.integers(0, 4, 16))
    network = chain("small", (16, 16, 1), {"stem": ConvBnAct(4, 3, 2), "head": ClassifierHead(4, dropout=0.2)})
    task = get_task("classification")
    plan = TrainingSettings(epochs=2, batch_size=8, augmentation=Augmentation(mixup=0.2), progressive=Progressive())
    found = train(network, examples, plan, task=task, seed=1, preprocessing=task.fit(examples))
    again = train(network, examples, plan, task=task, seed=1, preprocessing=task.fit(examples))
    assert found.steps == 4
    assert found.model.input_shape == (None, 16, 16, 1)
    for one, other in zip(found.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
