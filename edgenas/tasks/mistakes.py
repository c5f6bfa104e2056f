"""Which class is taken for which, and the examples that show it best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Wrong examples that are kept.
KEPT = 12


@dataclass(frozen=True)
class WrongExample:
    """An example that a model takes for another class; ``confidence`` is the probability that it gives that class."""

    index: int
    true: int
    predicted: int
    confidence: float


@dataclass(frozen=True)
class Mistakes:
    """``confusion[t, p]`` counts the examples of class ``t`` that are taken for ``p``.

    A last column counts answers that are for no class.
    """

    confusion: NDArray[np.int64]
    wrong: tuple[WrongExample, ...]

    @property
    def triples(self) -> list[tuple[int, int, int]]:
        """(true, predicted, count) wherever the count is not 0."""
        rows, columns = np.nonzero(self.confusion)
        return [(int(t), int(p), int(self.confusion[t, p])) for t, p in zip(rows, columns, strict=True)]

    def worst(self, count: int) -> list[tuple[int, float, int]]:
        """(class, share told right, examples) of the classes that are told worst, of those with any mistake."""
        examples = self.confusion.sum(axis=1)
        right = np.diagonal(self.confusion)
        found = [
            (int(true), float(right[true] / examples[true]), int(examples[true]))
            for true in np.flatnonzero(right < examples)
        ]
        return sorted(found, key=lambda one: (one[1], one[0]))[:count]


def find_mistakes(probabilities: NDArray[np.floating], targets: NDArray[np.integer], kept: int = KEPT) -> Mistakes:
    """The confusions of ``(N, classes)`` probabilities against ``(N,)`` class indices, and at most ``kept`` examples.

    Of every pair of classes that is confused, the most frequent first, the example about which the model is surest;
    then the second of each, and so on. A row that is not finite is an answer for no class: it counts as wrong for the
    class after the last.

    >>> found = find_mistakes(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]))
    >>> found.triples, found.wrong
    ([(0, 0, 1), (1, 0, 1)], (WrongExample(index=1, true=1, predicted=0, confidence=0.8),))
    """
    classes = probabilities.shape[1]
    finite = np.isfinite(probabilities).all(axis=-1)
    predicted = np.where(finite, np.nan_to_num(probabilities).argmax(axis=-1), classes)
    sure = np.where(finite, np.nan_to_num(probabilities).max(axis=-1), 0.0)
    confusion = np.zeros((classes, classes + 1), np.int64)
    np.add.at(confusion, (targets, predicted), 1)
    rows = np.flatnonzero(predicted != targets)
    turns: dict[tuple[int, int], int] = {}
    ranked = []
    for row in rows[np.argsort(-sure[rows], kind="stable")]:
        pair = int(targets[row]), int(predicted[row])
        turn = turns[pair] = turns.get(pair, -1) + 1
        ranked.append((turn, -int(confusion[pair]), pair, int(row)))
    chosen = [row for _, _, _, row in sorted(ranked)[:kept]]
    wrong = tuple(
        WrongExample(row, int(targets[row]), int(predicted[row]), round(float(sure[row]), 4)) for row in chosen
    )
    return Mistakes(confusion, wrong)
