"""What a detection network minimises: focal loss of classes, smooth L1 of boxes, and the distance to a teacher."""

from __future__ import annotations

from typing import Any

from edgenas.export._tensorflow import tensorflow


def focal(logits: Any, wanted: Any, alpha: float, gamma: float) -> Any:
    """Sigmoid cross-entropy in which what is told well counts little (Lin et al., arXiv 1708.02002).

    Element by element; ``alpha`` weighs what is wanted, ``1 - alpha`` the rest.
    """
    tf = tensorflow()
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(wanted, logits)
    told = tf.sigmoid(logits)
    right = wanted * told + (1.0 - wanted) * (1.0 - told)
    weight = wanted * alpha + (1.0 - wanted) * (1.0 - alpha)
    return weight * (1.0 - right) ** gamma * entropy


def smooth_l1(difference: Any, delta: float = 1.0) -> Any:
    """Half the square up to ``delta``, then linear (Girshick, arXiv 1504.08083), element by element."""
    tf = tensorflow()
    size = tf.abs(difference)
    return tf.where(size < delta, 0.5 * tf.square(size) / delta, size - 0.5 * delta)


def taught(boxes: Any, logits: Any, their_boxes: Any, their_logits: Any, temperature: float) -> Any:
    """How far answers are from a teacher's: of classes the divergence of softened scores, of boxes where it sees some.

    Both by the number of boxes that the teacher sees, as its scores add up to.
    """
    tf = tensorflow()
    target = tf.sigmoid(their_logits / temperature)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(target, their_logits / temperature)
    of_classes = tf.nn.sigmoid_cross_entropy_with_logits(target, logits / temperature) - entropy
    seen = tf.reduce_max(tf.sigmoid(their_logits), -1)
    of_boxes = tf.reduce_mean(smooth_l1(boxes - their_boxes), -1) * seen
    count = tf.maximum(tf.reduce_sum(seen), 1.0)
    return (temperature**2 * tf.reduce_sum(of_classes) + tf.reduce_sum(of_boxes)) / count
