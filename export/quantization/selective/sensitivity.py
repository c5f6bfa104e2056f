"""Which layers cost accuracy in int8, measured: each alone in int8, and all but each.

Alone says what a layer's own weights, input and output lose; all but one, what keeping it finer would bring. The order
is that of the first: two neighbours that share a bad tensor are both bad alone, while keeping either one finer brings
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.export.quantization.sqnr import HIGHEST_DB, decibels
from edgenas.export.verify_worker import run_model

if TYPE_CHECKING:
    from edgenas.export.quantization.selective.layers import LayerQuantizer

#: From the outputs of a model on the examples to a figure where higher is better, such as the top-1 accuracy.
Score = Callable[[Sequence[np.ndarray]], float]


def layer_name(tensor: str) -> str:
    """What people call a layer, from the name that the converter gives its output.

    >>> layer_name("stem.main_act_1/Relu;stem.main_conv_1/convolution"), layer_name("PartitionedCall:0")
    ('stem.main_act', 'output')
    """
    name = tensor.split(";")[0].split("/")[0]
    return "output" if "PartitionedCall" in name else name.removesuffix("_1")


@dataclass(frozen=True)
class Judged:
    """A model's ``score``, and how far its outputs are from the float model's (``sqnr_db``, the worst output's)."""

    score: float
    sqnr_db: float


@dataclass(frozen=True)
class LayerSensitivity:
    """One layer: the model with this layer alone in int8, and with all but this layer in int8."""

    index: int
    operator: str
    tensor: str
    alone: Judged
    without: Judged


@dataclass(frozen=True)
class Sensitivity:
    """All layers, the most sensitive first, beside the float and the int8 model."""

    layers: tuple[LayerSensitivity, ...]
    float_score: float
    int8: Judged
    examples: int

    def to_json(self) -> dict[str, Any]:
        """Plain data; ``loss`` and ``gain`` are differences of the score."""
        return {
            "examples": self.examples,
            "float_score": self.float_score,
            "int8": asdict(self.int8) | {"loss": self.float_score - self.int8.score},
            "layers": [
                {
                    "index": layer.index,
                    "operator": layer.operator,
                    "tensor": layer.tensor,
                    "alone": asdict(layer.alone) | {"loss": self.float_score - layer.alone.score},
                    "without": asdict(layer.without) | {"gain": layer.without.score - self.int8.score},
                }
                for layer in self.layers
            ],
        }


class Judge:
    """Runs files on examples and holds them against the float file's outputs.

    Without a score, the share of examples counts on which each output is largest where the float file's is.
    """

    def __init__(self, reference: bytes, inputs: Sequence[np.ndarray], score: Score | None = None) -> None:
        self._inputs = list(inputs)
        self.examples = len(self._inputs[0])
        self._expected = run_model(reference, self._inputs)
        self._score = score or self._same_answers
        self.float_score = self._score(self._expected)

    def __call__(self, model: bytes) -> Judged:
        found = run_model(model, self._inputs)
        ratios = [
            decibels(float(np.square(right).sum()), float(np.square(right - one).sum()))
            for right, one in zip(self._expected, found, strict=True)
        ]
        return Judged(self._score(found), min(ratios, default=HIGHEST_DB))

    def _same_answers(self, outputs: Sequence[np.ndarray]) -> float:
        same = np.ones(self.examples, bool)
        for one, expected in zip(outputs, self._expected, strict=True):
            rows = one.reshape(self.examples, -1), expected.reshape(self.examples, -1)
            same &= rows[0].argmax(axis=1) == rows[1].argmax(axis=1)
        return float(same.mean())


def measure_sensitivity(
    quantizer: LayerQuantizer, judge: Judge, on_layer: Callable[[int, int], None] | None = None
) -> Sensitivity:
    """Tries every layer; ``on_layer`` hears of (layers done, layers)."""
    int8 = judge(quantizer.quantize())
    rows = []
    for done, layer in enumerate(quantizer.layers, start=1):
        alone, without = judge(quantizer.only(layer.index)), judge(quantizer.quantize((layer.index,)))
        rows.append(LayerSensitivity(layer.index, layer.operator, layer.tensor, alone, without))
        if on_layer is not None:
            on_layer(done, len(quantizer.layers))
    rows.sort(key=lambda row: (row.alone.sqnr_db, row.index))
    return Sensitivity(tuple(rows), judge.float_score, int8, judge.examples)
