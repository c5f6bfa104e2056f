"""Settings, schedules and augmentation: what needs no TensorFlow."""

from __future__ import annotations

import time

import numpy as np
import pytest

from edgenas.spaces.errors import InputError
from edgenas.training import NO_AUGMENTATION, Augmentation, TrainingSettings, augment
from edgenas.training.schedule import average_decay, learning_rate

IMAGES = np.random.default_rng(0).integers(0, 256, (64, 12, 10, 3), np.uint8)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("batch_size", -1),
        ("max_steps", 0),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("optimizer", "adam"),
        ("momentum", 1.0),
        ("label_smoothing", 1),
        ("ema_decay", 1.5),
        ("warmup", -0.1),
        ("weight_decay", -1),
        ("clip_norm", -1),
        ("precision", "yes"),
        ("gpus", 0),
    ],
)
def test_wrong_settings_are_named(key, value):
    with pytest.raises(InputError, match=key):
        TrainingSettings(**{key: value})


def test_settings_round_trip_and_unknown_keys():
    settings = TrainingSettings(epochs=3, augmentation=Augmentation(shift=1, cutout=4))
    assert TrainingSettings.from_dict(settings.to_dict()) == settings
    with pytest.raises(InputError, match=r"unknown key 'epoch'; expected one of epochs"):
        TrainingSettings.from_dict({"epoch": 3})
    with pytest.raises(InputError, match=r"augmentation: unknown key 'rotate'"):
        TrainingSettings.from_dict({"augmentation": {"rotate": 3}})


def test_steps_are_bounded():
    settings = TrainingSettings(epochs=10, batch_size=32, max_steps=25)
    assert settings.steps(100) == (3, 25)
    assert settings.steps(64) == (2, 20)
    assert settings.steps(10) == (1, 10)


def test_learning_rate_rises_then_falls():
    settings = TrainingSettings(learning_rate=0.1, final_learning_rate=0.01, warmup=0.1)
    rates = [learning_rate(settings, step, 100) for step in range(100)]
    assert max(rates) == rates[9] == pytest.approx(0.1)
    assert rates[:10] == sorted(rates[:10])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] == pytest.approx(0.01, abs=1e-3)
    assert learning_rate(TrainingSettings(warmup=0.0, learning_rate=0.1), 0, 1) == pytest.approx(0.1)


def test_average_decay_grows_to_its_limit():
    decays = [average_decay(0.99, step) for step in range(2000)]
    assert decays == sorted(decays)
    assert decays[-1] == 0.99
    assert average_decay(0.0, 5) == 0


def test_augmentation_is_seeded_and_leaves_its_input_alone():
    before = IMAGES.copy()
    augmentation = Augmentation(shift=2, flip=True, cutout=4)
    first = augment(IMAGES, augmentation, np.random.default_rng(5))
    again = augment(IMAGES, augmentation, np.random.default_rng(5))
    other = augment(IMAGES, augmentation, np.random.default_rng(6))
    assert np.array_equal(before, IMAGES)
    assert (first == again).all()
    assert (first != other).any()
    assert first.shape == IMAGES.shape
    assert first.dtype == np.uint8


def test_no_augmentation_changes_nothing():
    assert (augment(IMAGES, NO_AUGMENTATION, np.random.default_rng(0)) == IMAGES).all()


def test_flip_gives_the_image_or_its_mirror():
    changed = augment(IMAGES, Augmentation(shift=0, flip=True), np.random.default_rng(0))
    same = (changed == IMAGES).all(axis=(1, 2, 3))
    mirrored = (changed == IMAGES[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same | mirrored).all()
    assert 16 < mirrored.sum() < 48


def test_shift_moves_and_repeats_the_edge():
    changed = augment(IMAGES, Augmentation(shift=2, flip=False), np.random.default_rng(0))
    padded = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    found = set()
    for index, image in enumerate(changed):
        places = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if (padded[index, down : down + 12, right : right + 10] == image).all()
        ]
        assert len(places) == 1
        found.update(places)
    assert len(found) > 15  # of 25: both directions are drawn, independently


def test_cutout_replaces_at_most_a_square_in_its_share_of_images():
    augmentation = Augmentation(shift=0, flip=False, cutout=4, cutout_probability=0.5)
    changed = augment(IMAGES, augmentation, np.random.default_rng(0))
    touched = (changed != IMAGES).any(axis=3)
    assert touched.sum(axis=(1, 2)).max() <= 16
    assert 16 < touched.any(axis=(1, 2)).sum() < 48
    assert len(np.unique(changed[touched], axis=0)) == 1  # the mean pixel


@pytest.mark.parametrize("wrong", [{"shift": -1}, {"cutout": -2}, {"cutout_probability": 1.1}])
def test_wrong_augmentation_is_named(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Augmentation(**wrong)


def test_augmentation_does_not_hold_training_up():
    images = np.zeros((1024, 28, 28, 1), np.uint8)
    augmentation = Augmentation(shift=2, flip=True, cutout=8)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        augment(images, augmentation, np.random.default_rng(0))
        seconds.append(time.perf_counter() - start)
    assert len(images) / min(seconds) > 20_000  # training takes about 1,500 a second


def test_names_of_earlier_versions_are_read_and_their_checkpoints_continued():
    earlier = TrainingSettings.from_dict({"mixed_precision": "off"})
    assert earlier.precision == "float32"
    assert earlier.fingerprint()["mixed_precision"] == "off"
    assert "precision" not in earlier.fingerprint()
    assert TrainingSettings(gpus=2).fingerprint() == TrainingSettings().fingerprint()
    assert TrainingSettings(precision="mixed_float16").fingerprint()["precision"] == "mixed_float16"
