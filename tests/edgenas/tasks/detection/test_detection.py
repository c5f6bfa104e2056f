"""The task: matching, losses, what it begins with, and its figures."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.data.detection.drawn import FACES, SHAPES, generated
from edgenas.data.task_data import DataRequest
from edgenas.spaces import SearchSpace
from edgenas.spaces.blocks import BoxHead, ClassHead, ConvBnAct
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, Node
from edgenas.tasks import get_task
from edgenas.tasks.conformance import TaskConformance
from edgenas.tasks.detection.boxes import corners, encode_boxes
from edgenas.tasks.detection.detections import Found
from edgenas.tasks.detection.matching import encoded, match
from edgenas.tasks.detection.precision import average_precisions, group_precisions

pytest.importorskip("pycocotools")

DATA = generated(SHAPES, (32, 48), train=10, test=4)
FITTED, GENERATED = {"anchors": "fitted"}, {"anchors": "generated"}


def detector(classes: int = 3, shape: tuple[int, int, int] = (32, 48, 3), name: str = "fits") -> Network:
    nodes = [
        Node("stem", ConvBnAct(4, stride=4), ("image",)),
        Node("deep", ConvBnAct(6, stride=2), ("stem",)),
        Node("boxes", BoxHead(anchors=3), ("stem", "deep")),
        Node("classes", ClassHead(anchors=3, classes=classes), ("stem", "deep")),
    ]
    return Network(name, (("image", shape),), tuple(nodes), ("boxes", "classes"))


def bound(options=None, network: Network | None = None, data=DATA):
    task = get_task("detection", options)
    return task.for_network(network or detector(), task.fit(data.train))


class TestDetection(TaskConformance):
    task = "detection"

    def make(self):
        return bound()

    def dataset(self):
        return DATA

    def units(self, dataset):
        return 3

    def network(self, dataset):
        return detector()

    def perfect_outputs(self, dataset):
        """Each box on the anchor that overlaps it most, or the next that is free."""
        from edgenas.tasks.detection.boxes import box_overlaps

        anchors = self.make().grid.boxes()
        targets = dataset.train.targets
        boxes = np.zeros((len(dataset.train), len(anchors), 4), np.float32)
        logits = np.full((len(dataset.train), len(anchors), 3), -20, np.float32)
        for row in range(len(dataset.train)):
            taken = np.zeros(len(anchors), bool)
            for box, label in zip(targets["boxes"][row], targets["labels"][row], strict=True):
                if label < 0:
                    continue
                overlaps = np.where(taken, -1, box_overlaps(box[None], corners(anchors))[0])
                best = int(overlaps.argmax())
                taken[best] = True
                boxes[row, best] = encode_boxes(box[None], anchors[best : best + 1])[0]
                logits[row, best, label] = 20
        return {"boxes": boxes, "classes": logits}

    def test_refuses_a_network_of_another_input_or_output(self):
        for network in (detector(3, (32, 49, 3), "other"), detector(4, name="other")):
            with pytest.raises(InputError, match=r"network 'other'.*generated_boxes"):
                self.make().check(DATA, network)

    def test_metrics_of_nothing_are_refused(self):
        nothing = DATA.train.take(np.arange(0))
        outputs = {name: values[:0] for name, values in self.perfect_outputs(DATA).items()}
        with pytest.raises(InputError, match="of no images"):
            self.make().metrics(nothing.targets, outputs)


def test_matching_by_hand() -> None:
    anchors = np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0.6, 0.2, 0.8], [0.6, 0, 1, 0.4]], np.float32)
    boxes = np.array([[[0, 0, 0.5, 0.45], [0.1, 0.7, 0.2, 0.75], [0.6, 0, 1, 0.4], [0, 0, 0, 0]]], np.float32)
    labels, ignored = np.array([[1, 0, 2, -1]], np.int32), np.array([[0, 0, 1, 0]], np.uint8)
    found = match(boxes, labels, ignored, anchors, 0.5)
    positive = found.positive.numpy()[0].tolist()
    assert positive == [True, False, True, False]  # by overlap; far from all; since it is the box's best; ignored
    assert found.box.numpy()[0, [0, 2]].tolist() == [0, 1]
    assert found.counted.numpy()[0].tolist() == [1, 1, 1, 0]


def test_images_without_boxes_match_nothing() -> None:
    anchors = np.array([[0, 0, 0.5, 0.5]], np.float32)
    found = match(
        np.zeros((2, 3, 4), np.float32), np.full((2, 3), -1, np.int32), np.zeros((2, 3), np.uint8), anchors, 0.5
    )
    assert not found.positive.numpy().any()
    assert (found.counted.numpy() == 1).all()


def test_boxes_are_encoded_as_in_numpy() -> None:
    rng = np.random.default_rng(0)
    low = rng.random((2, 5, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.01, 0.5, (2, 5, 2))], axis=-1).astype(np.float32)
    anchors = rng.uniform(0.1, 1, (5, 4)).astype(np.float32)
    found = encoded(boxes, anchors, (10.0, 10.0, 5.0, 5.0)).numpy()
    np.testing.assert_allclose(found, encode_boxes(boxes, anchors), rtol=1e-4, atol=1e-4)


def test_focal_loss_by_hand() -> None:
    from edgenas.tasks.detection.losses import focal, smooth_l1

    logits, wanted = np.array([0.0, 0.0, 20.0], np.float32), np.array([1.0, 0.0, 1.0], np.float32)
    expected = [0.75 * 0.25 * np.log(2), 0.25 * 0.25 * np.log(2), 0.0]
    np.testing.assert_allclose(focal(logits, wanted, 0.75, 2.0).numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(smooth_l1(np.array([0.5, -3.0], np.float32)).numpy(), [0.125, 2.5])


def test_a_new_network_begins_with_the_prior() -> None:
    from edgenas.export.keras.builder import build_keras
    from edgenas.training.initial import set_initial_weights

    network, task = detector(), bound()
    model = build_keras(network, seed=0)
    values = task.initial_weights(model, network)
    assert sorted(values) == ["classes.level0_conv/bias", "classes.level1_conv/bias"]
    set_initial_weights(model, values)
    _, logits = model(np.zeros((1, 32, 48, 3), np.float32))
    np.testing.assert_allclose(1 / (1 + np.exp(-np.asarray(logits))), 0.01, rtol=1e-3)


def test_a_teacher_that_agrees_costs_nothing() -> None:
    task, rng = get_task("detection"), np.random.default_rng(0)
    outputs = {name: rng.normal(size=(2, 9, 4)).astype(np.float32) for name in ("boxes", "classes")}
    assert float(task.distillation(outputs, outputs, 2.0)) == pytest.approx(0, abs=1e-5)
    other = {name: values + 1 for name, values in outputs.items()}
    assert float(task.distillation(other, outputs, 2.0)) > 0.1


def targets_of(boxes, labels, groups=None, ignored=None) -> dict[str, np.ndarray]:
    labels = np.array(labels, np.int32)
    return {
        "boxes": np.array(boxes, np.float32),
        "labels": labels,
        "groups": np.full(labels.shape, -1, np.int32) if groups is None else np.array(groups, np.int32),
        "ignored": np.zeros(labels.shape, np.uint8) if ignored is None else np.array(ignored, np.uint8),
    }


def test_average_precision_by_hand() -> None:
    """One class with two boxes: the first found box is wrong, the second right with an overlap of 0.81."""
    targets = targets_of([[[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]]], [[0, 0]])
    found = [
        Found(np.array([[0, 0.6, 0.2, 0.8], [0, 0, 0.45, 0.45]]), np.array([0, 0]), np.array([0.9, 0.8])),
    ]
    told = average_precisions(targets, found, 2)
    at_half = 51 / 101 * 0.5  # 51 of the 101 recalls are reached, with a precision of one half
    assert told.at_half[0] == pytest.approx(at_half)
    assert told.of_classes[0] == pytest.approx(at_half * 7 / 10)  # overlaps 0.50 to 0.80
    assert told.recall[0] == 0.5
    assert np.isnan(told.of_classes[1])
    assert told.map == pytest.approx(at_half * 0.7)


def test_ignored_boxes_are_no_mistakes() -> None:
    targets = targets_of([[[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]]], [[0, 0]], ignored=[[0, 1]])
    both = Found(np.array([[0.5, 0.5, 1, 1], [0, 0, 0.5, 0.5]]), np.array([0, 0]), np.array([0.9, 0.8]))
    assert average_precisions(targets, [both], 1).map == pytest.approx(1)


def test_groups_are_told_apart() -> None:
    """Boxes of other groups neither count nor are mistakes."""
    boxes = [[[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]], [[0, 0, 0.5, 0.5], [0, 0, 0, 0]]]
    targets = targets_of(boxes, [[0, 0], [0, -1]], groups=[[0, 1], [1, -1]])
    nothing = Found(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))
    first = Found(np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]]), np.array([0, 0]), np.array([0.9, 0.8]))
    told = [group_precisions(targets, [first, nothing], 1, group) for group in (0, 1)]
    assert told[0][0].map == pytest.approx(1)
    assert told[0][1:] == (1, 1)
    assert told[1][0].recall[0] == 0.5
    assert told[1][1:] == (2, 2)


def test_a_finished_file_counts_the_same() -> None:
    case = TestDetection()
    raw = case.perfect_outputs(DATA)
    rng = np.random.default_rng(0)
    raw["classes"] = raw["classes"] / 10 + rng.normal(size=raw["classes"].shape).astype(np.float32)
    task = bound()
    found, most = task.boxes_found(raw), 100
    finished = {
        name: np.zeros((len(found), most, *shape), np.float32)
        for name, shape in (("detection_boxes", (4,)), ("detection_classes", ()), ("detection_scores", ()))
    }
    for row, one in enumerate(found):
        for name, values in zip(finished, (one.boxes, one.labels, one.scores), strict=True):
            finished[name][row, : len(one.scores)] = values
    finished["num_detections"] = np.array([len(one.scores) for one in found], np.float32)
    targets = DATA.train.targets
    assert get_task("detection").metrics(targets, finished) == pytest.approx(task.metrics(targets, raw))
    assert 0 < task.metrics(targets, raw)["map"] < 1


def test_fitted_anchors_travel_with_the_preprocessing() -> None:
    task = get_task("detection", FITTED)
    preprocessing = task.fit(DATA.train)
    assert sum(count for _, _, count in preprocessing.sizes) == int((DATA.train.targets["labels"] >= 0).sum())
    again = task.read_preprocessing(preprocessing.to_dict())
    assert again == preprocessing
    grid = task.for_network(detector(), again).grid
    assert grid is not None
    assert grid != bound(GENERATED).grid
    shipped = task.bundle_preprocessing(detector(), preprocessing)
    assert shipped.to_dict()["anchors"] == grid.to_dict()
    assert task.for_network(detector(), task.read_preprocessing(shipped.to_dict())).grid == grid


def test_without_cocos_program_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgenas.export.extra.installed_version", lambda package: None)
    with pytest.raises(InputError, match=r"\(pycocotools\) is not installed: pip install 'edgenas\[detection\]'"):
        get_task("detection").load(DataRequest(FACES))


def test_without_a_network_nothing_is_decoded() -> None:
    with pytest.raises(InputError, match="for_network"):
        get_task("detection").metrics(DATA.train.targets, TestDetection().perfect_outputs(DATA))


def test_outputs_that_are_not_numbers_find_nothing() -> None:
    task, case = bound(), TestDetection()
    outputs = {name: np.full_like(values, np.nan) for name, values in case.perfect_outputs(DATA).items()}
    assert task.metrics(DATA.train.targets, outputs) == {"map": 0.0, "ap50": 0.0}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"anchors": "some"}, "anchors must be generated or fitted"),
        ({"match": 2}, "match must be a number from 0.05 to 0.95"),
        ({"crop": [2, 1]}, "crop must be"),
        ({"most_boxes": 0}, "most_boxes"),
        ({"classes": "cat"}, "classes must be a list"),
        ({"colour": True}, "colour"),
        ({"grid": 1}, "grid"),
    ],
)
def test_wrong_options(options, words) -> None:
    with pytest.raises(InputError, match=words):
        get_task("detection", options)


def test_a_small_network_learns_to_find_faces() -> None:
    """A training of a few seconds finds some faces: a loss or a coder that is wrong finds none."""
    from edgenas.training import evaluate, train
    from edgenas.training.settings import TrainingSettings

    data = generated(FACES, (48, 48), train=96, test=24)
    text = """
name: tiny
task: detection
input_shape: [48, 48, 3]
classes: 1
nodes:
  - {name: stem, block: conv, filters: 12, stride: 2, inputs: image}
  - {name: fine, block: conv, filters: 24, stride: 2}
  - {name: deep, block: conv, filters: 32, stride: 2}
  - {name: boxes, block: box_head, anchors: 3, inputs: deep}
  - {name: classes, block: class_head, anchors: 3, inputs: deep}
outputs: [boxes, classes]
"""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "space.yaml")
        path.write_text(text)
        space = SearchSpace.load(str(path))
    network = space.decode(space.parse("-"))
    task = get_task("detection", {"anchors": "fitted", "crop": [0.6, 1.0]})
    preprocessing = task.fit(data.train)
    settings = TrainingSettings(epochs=14, batch_size=16, learning_rate=0.01, ema_decay=0.9)
    done = train(network, data.train, settings, task=task, seed=0, preprocessing=preprocessing)
    assert done.history[-1]["loss"] < 0.6 * done.history[0]["loss"]
    judge = task.for_network(network, preprocessing)
    found = evaluate(done.model, data.test, task=judge, preprocessing=preprocessing, outputs=network.outputs)
    assert found["ap50"] > 0.2
