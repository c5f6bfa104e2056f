"""Which anchor learns which box, in TensorFlow ops."""

from __future__ import annotations

from typing import Any, NamedTuple

from edgenas.export._tensorflow import tensorflow


class Matched(NamedTuple):
    """Of a batch, for each anchor, all (B, A).

    Attributes:
        box: which of the image's boxes it overlaps most, or must learn.
        positive: whether it learns that box; else it learns that there is none.
        counted: 0.0 where it learns nothing, since it overlaps a box that is ignored; else 1.0.
    """

    box: Any
    positive: Any
    counted: Any


def overlaps(boxes: Any, corners: Any) -> Any:
    """(B, M, A) intersection over union of boxes (B, M, 4) and anchors' corners (A, 4)."""
    tf = tensorflow()
    some, others = boxes[:, :, None, :], corners[None, None]
    sides = tf.minimum(some[..., 2:], others[..., 2:]) - tf.maximum(some[..., :2], others[..., :2])
    common = tf.reduce_prod(tf.maximum(sides, 0.0), -1)
    areas = [tf.reduce_prod(one[..., 2:] - one[..., :2], -1) for one in (some, others)]
    return common / tf.maximum(areas[0] + areas[1] - common, 1e-9)


def match(boxes: Any, labels: Any, ignored: Any, corners: Any, threshold: float) -> Matched:
    """Each anchor takes the box that it overlaps most, by ``threshold`` or more; each box has its best anchor anyway.

    Args:
        boxes: (B, M, 4).
        labels: (B, M), below 0 where there is no box.
        ignored: (B, M), not 0 where a box is neither learned nor background.
        corners: (A, 4) of the anchors.
        threshold: least intersection over union.
    """
    tf = tensorflow()
    found = overlaps(boxes, corners)
    is_there = labels >= 0
    is_ignored = is_there & tf.not_equal(tf.cast(ignored, tf.int32), 0)
    learned = (is_there & ~is_ignored)[..., None]
    of_learned = tf.where(learned, found, -1.0)
    box, positive = tf.argmax(of_learned, 1), tf.reduce_max(of_learned, 1) >= threshold
    best = tf.one_hot(tf.argmax(of_learned, 2), corners.shape[0], axis=-1)
    forced = tf.where(learned, best * (1.0 + found), 0.0)
    must = tf.reduce_max(forced, 1) > 0.0
    box, positive = tf.where(must, tf.argmax(forced, 1), box), positive | must
    near_ignored = tf.reduce_max(tf.where(is_ignored[..., None], found, 0.0), 1) >= threshold
    return Matched(box, positive, tf.cast(positive | ~near_ignored, tf.float32))


def encoded(boxes: Any, anchors: Any, scales: tuple[float, ...]) -> Any:
    """(B, A, 4) of ``(ty, tx, th, tw)``: :func:`edgenas.tasks.detection.boxes.encode_boxes` of boxes (B, A, 4)."""
    tf = tensorflow()
    centre, sides = (boxes[..., :2] + boxes[..., 2:]) / 2.0, boxes[..., 2:] - boxes[..., :2]
    moved = (centre - anchors[:, :2]) / anchors[:, 2:]
    grown = tf.math.log(tf.maximum(sides, 1e-6) / anchors[:, 2:])
    return tf.concat([moved, grown], -1) * tf.constant(scales)
