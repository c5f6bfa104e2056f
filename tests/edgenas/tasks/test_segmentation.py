from __future__ import annotations

import numpy as np
import pytest

from edgenas.data.segmentation import VOID
from edgenas.data.segmentation.shapes import generated_shapes
from edgenas.spaces.blocks import ConvBnAct
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import chain
from edgenas.tasks import get_task
from edgenas.tasks.conformance import TaskConformance
from edgenas.tasks.pixels import class_iou, confusion_matrix, label_maps, mean_iou, resized

DATA = generated_shapes((16, 24), train=6, test=2)


class TestSegmentation(TaskConformance):
    task = "segmentation"

    def dataset(self):
        return DATA

    def units(self, dataset):
        return len(dataset.facts["classes"])

    def network(self, dataset):
        return chain("fits", (16, 24, 3), {"conv": ConvBnAct(self.units(dataset), 3, 4)})

    def perfect_outputs(self, dataset):
        masks = np.where(dataset.train.targets == VOID, 0, dataset.train.targets)
        return {"logits": 20 * np.eye(4, dtype=np.float32)[masks]}

    def test_refuses_a_network_of_another_input_or_output(self):
        for shape, filters in (((16, 25, 3), 4), ((16, 24, 3), 5)):
            with pytest.raises(InputError, match=r"network 'other'.*generated_shapes"):
                self.make().check(DATA, chain("other", shape, {"conv": ConvBnAct(filters)}))


def test_mean_iou_by_hand():
    masks = np.array([[[0, 0, 1, VOID]]], np.uint8)
    counts = confusion_matrix(masks, np.array([[[0, 1, 1, 0]]]), 3)
    assert class_iou(counts)[:2].tolist() == [0.5, 0.5]
    assert np.isnan(class_iou(counts)[2])
    assert mean_iou(counts) == 0.5
    metrics = get_task("segmentation").metrics(masks, {"labels": np.array([[[0, 1, 1, 0]]], np.float32)})
    assert metrics == {"miou": 0.5, "pixel_accuracy": pytest.approx(2 / 3)}


def test_labels_and_logits_of_another_size_count_the_same():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 4, 6, 4)).astype(np.float32)
    masks = rng.integers(0, 4, (3, 16, 24), dtype=np.uint8)
    task = get_task("segmentation")
    labels = label_maps(logits, (16, 24)).astype(np.float32)
    assert task.metrics(masks, {"a": logits}) == task.metrics(masks, {"b": labels})
    logits[0, 0, 0] = np.nan
    assert (label_maps(logits, (16, 24))[0, 0, 0]) == 4


def test_logits_are_enlarged_as_tensorflow_does():
    from edgenas.tasks.segmentation import enlarged

    logits = np.random.default_rng(1).normal(size=(2, 3, 5, 4)).astype(np.float32)
    np.testing.assert_allclose(resized(logits, (12, 17)), enlarged(logits, (12, 17)), atol=1e-5)


def test_void_does_not_count_and_weights_do():
    masks = np.full((1, 4, 4), VOID, np.uint8)
    masks[0, 0, 0], masks[0, 1:] = 1, 0
    logits = np.zeros((1, 4, 4, 2), np.float32)
    logits[..., 0] = 2
    plain = {name: get_task("segmentation", {"class_weights": name}) for name in ("none", "balanced")}
    losses = {name: float(task.loss(masks, {"a": logits})) for name, task in plain.items()}
    assert losses["balanced"] > losses["none"]
    changed = logits.copy()
    changed[0, 0, 1:] = [-50, 50]  # void
    assert float(plain["none"].loss(masks, {"a": changed})) == pytest.approx(losses["none"], rel=1e-5)
    only_one = get_task("segmentation", {"class_weights": [0, 1]})
    assert float(only_one.loss(masks, {"a": logits})) == pytest.approx(np.log(1 + np.exp(2)), rel=1e-4)
    with_dice = get_task("segmentation", {"dice": 0.5})
    assert losses["none"] < float(with_dice.loss(masks, {"a": logits})) < losses["none"] + 0.5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dice": -1}, "dice"),
        ({"class_weights": "all"}, "class_weights"),
        ({"scale": [2, 1]}, "scale"),
        ({"x": 1}, "x"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(InputError, match=words):
        get_task("segmentation", options)
