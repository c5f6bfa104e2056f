"""The box coder, overlaps and suppression, against what they are defined by."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.tasks.detection.boxes import (
    box_overlaps,
    corners,
    decode_boxes,
    encode_boxes,
    select_boxes,
    sigmoid,
    suppressed,
)


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    ends = np.sort(rng.random((count, 2, 2)), axis=1) + np.array([[0, 0], [0.01, 0.01]])
    return np.concatenate([ends[:, 0], ends[:, 1]], axis=1).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_decoding_is_the_inverse_of_encoding(seed: int) -> None:
    rng = np.random.default_rng(seed)
    boxes = random_boxes(rng, 12)
    anchors = np.concatenate([rng.random((12, 2)), rng.uniform(0.05, 1, (12, 2))], axis=1).astype(np.float32)
    np.testing.assert_allclose(decode_boxes(encode_boxes(boxes, anchors), anchors), boxes, atol=2e-6)


def test_the_coder_divides_by_its_scales() -> None:
    anchors = np.array([[0.5, 0.5, 0.2, 0.4]], np.float32)
    np.testing.assert_allclose(decode_boxes(np.zeros((1, 4)), anchors), corners(anchors), atol=1e-7)
    moved = decode_boxes(np.array([[10.0, 0, 5 * np.log(2), 0]]), anchors)
    np.testing.assert_allclose(moved, [[0.5, 0.3, 0.9, 0.7]], atol=1e-6)


def test_overlaps() -> None:
    one = np.array([[0, 0, 1, 1], [0, 0, 0, 1]], np.float32)
    other = np.array([[0, 0, 1, 0.5], [0.5, 0.5, 1.5, 1.5], [2, 2, 3, 3]], np.float32)
    np.testing.assert_allclose(box_overlaps(one, other), [[0.5, 0.25 / 1.75, 0], [0, 0, 0]], atol=1e-6)


def greedy(boxes: np.ndarray, scores: np.ndarray, overlap: float, threshold: float, most: int) -> list[int]:
    """The definition, box by box."""
    chosen: list[int] = []
    for row in sorted(range(len(scores)), key=lambda index: -scores[index]):
        if scores[row] < threshold or len(chosen) == most:
            break
        if all(box_overlaps(boxes[[row]], boxes[[other]])[0, 0] <= overlap for other in chosen):
            chosen.append(row)
    return chosen


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.2, 0.5, 0.6]), st.integers(1, 30))
def test_suppression_is_the_greedy_one(seed: int, overlap: float, most: int) -> None:
    rng = np.random.default_rng(seed)
    boxes, scores = random_boxes(rng, 25), rng.random(25).astype(np.float32).round(1)
    wanted = greedy(boxes, scores, overlap, 0.2, most)
    assert suppressed(boxes, scores, overlap, 0.2, most).tolist() == wanted


def test_classes_do_not_take_boxes_from_each_other() -> None:
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.99]], np.float32)
    scores = np.array([[0.9, 0.3], [0.8, 0.4]], np.float32)
    found, classes, kept = select_boxes(boxes, scores, 0.5, 0.1, 10)
    assert classes.tolist() == [0, 1]
    np.testing.assert_array_equal(kept, np.array([0.9, 0.4], np.float32))
    np.testing.assert_array_equal(found, boxes)
    assert len(select_boxes(boxes, scores, 0.5, 0.1, 1)[0]) == 1
    assert len(select_boxes(boxes, scores, 0.5, 0.95, 10)[0]) == 0


def test_sigmoid_does_not_overflow() -> None:
    np.testing.assert_allclose(sigmoid(np.array([-1000.0, 0.0, 1000.0])), [0, 0.5, 1])
