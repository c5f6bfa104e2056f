from __future__ import annotations

import numpy as np
import pytest

from edgenas.data.augmentation import NO_AUGMENTATION, Augmentation
from edgenas.data.sound.generated import generated_tones
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import chain
from edgenas.tasks import get_task
from edgenas.tasks.conformance import TaskConformance

DATA = generated_tones(seconds=0.25, train=15, test=5)


class TestAudioClassification(TaskConformance):
    task = "audio_classification"

    def dataset(self):
        return DATA

    def network(self, dataset):
        shape = self.make().inputs(dataset)["features"]
        return chain("fits", shape, {"stem": ConvBnAct(4), "head": ClassifierHead(5)})

    def perfect_outputs(self, dataset):
        return {"logits": 20 * np.eye(5, dtype=np.float32)[dataset.train.labels]}

    def test_refuses_a_network_of_another_input_or_output(self):
        frames, coefficients, _ = self.make().inputs(DATA)["features"]
        for shape, classes in (((frames + 1, coefficients, 1), 5), ((frames, coefficients, 1), 6)):
            with pytest.raises(InputError, match=r"network 'other'.*generated_tones"):
                self.make().check(DATA, chain("other", shape, {"head": ClassifierHead(classes)}))


def test_published_settings_are_the_default():
    task = get_task("audio_classification")
    assert task.space_arguments(generated_tones(train=5, test=5)) == {"input_shape": (49, 10, 1), "classes": 5}
    wide = get_task("audio_classification", {"features": "log_mel"})
    assert wide.inputs(generated_tones(train=5, test=5)) == {"features": (49, 40, 1)}


def test_noise_of_the_set_reaches_the_changes_and_no_further():
    task = get_task("audio_classification", {"noise_share": 1.0, "time_mask": 0.2})
    inputs, labels = DATA.train.batch(np.arange(4))
    assert inputs["noise"].shape[1:] == inputs["sound"].shape[1:]
    changed, same = task.augment(inputs, labels, Augmentation(), np.random.default_rng(0))
    assert set(changed) == {"sound", "masks"}
    assert (changed["sound"] != inputs["sound"]).any(axis=1).all()
    np.testing.assert_array_equal(same, labels)
    kept, _ = task.augment(inputs, labels, NO_AUGMENTATION, np.random.default_rng(0))
    np.testing.assert_array_equal(kept["sound"], inputs["sound"])
    prepared = task.prepare(changed, task.fit(DATA.train))
    assert list(prepared) == ["features"]


def test_pictures_show_a_rising_tone_rising():
    data = generated_tones(train=40, test=5)
    rising = np.flatnonzero(data.train.labels == data.classes.index("rising"))
    pictures = get_task("audio_classification").pictures({"sound": data.train.sounds[rising]})
    assert pictures.dtype == np.uint8
    assert pictures.shape[1:] == (96, 96, 1)
    darkest = pictures[:, 34:, 20:76, 0].argmin(axis=1)  # 0 is the top
    assert (darkest[:, :20].mean(axis=1) > darkest[:, -20:].mean(axis=1)).mean() > 0.9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"features": "waves"}, "features must be one of mfcc, log_mel"),
        ({"noise": 2}, "noise must be a share"),
        ({"seconds": 0}, "seconds must be a number"),
        ({"coefficients": 41}, "coefficients must be at most"),
        ({"bands": 2.5}, "bands must be a whole number"),
        ({"x": 1}, "no option 'x'"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(InputError, match=words):
        get_task("audio_classification", options)
