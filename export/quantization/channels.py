"""Parts of an output that are lost although the whole of it is fine: each channel judged by its own range.

A quantized tensor has one step for all of it. Where boxes of 0 to 320 and scores of 0 to 1 are joined, a step is larger
than any score: all scores become equal, and the error is still a small share of the whole tensor's signal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.export.tflite.reader import read_operators, read_subgraphs

#: An error above this share of a channel's own range usually costs accuracy.
_POOR = 0.1
#: A channel that has become one number is lost when it was off by this share of its range.
_CONSTANT = 0.5
#: Channels with less than this share of the output's range are rounding themselves.
_NOTHING = 1e-6
#: A channel of less than this share of the output's range has steps that were made for others.
_SMALL = 0.2
#: All channels of these have one meaning and one range: a small probability may be zero.
_ONE_RANGE = frozenset({"SOFTMAX", "LOGISTIC", "LOG_SOFTMAX"})
_MOST_NAMED = 8


@dataclass(frozen=True)
class PoorChannels:
    """Places along an ``axis`` of an output whose error is large for their own range."""

    output: int
    axis: int
    count: int
    places: tuple[int, ...]
    constant: int
    largest_range: float
    step: float | None

    def describe(self) -> str:
        """In words, what is lost and what helps."""
        named = ", ".join(map(str, self.places[:_MOST_NAMED])) + (" ..." if len(self.places) > _MOST_NAMED else "")
        constant = f", {self.constant} of them one number throughout" if self.constant else ""
        step = "" if self.step is None else f" beside a step of {self.step:.3g}"
        return (
            f"Output {self.output}: {len(self.places)} of {self.count} channels (axis {self.axis}: {named}) have an "
            f"error above a tenth of their own range, which is {self.largest_range:.3g} at most{step}{constant}: this "
            f"usually costs accuracy. Parts of different range need outputs of their own, or one range."
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return vars(self) | {"places": list(self.places)}


def poor_channels(output: int, axes: Mapping[str, Mapping[str, list[float]]], model: bytes) -> PoorChannels | None:
    """What is lost of an output (by number), from the worker's sums along its axes; None when nothing is.

    ``model`` is the one that was quantized. The last axis on which some but not all places are poor tells it best.
    """
    end = read_subgraphs(model)[0].outputs[output]
    makers = [operator for operator in read_operators(model) if end.index in [made.index for made in operator.outputs]]
    if makers and makers[-1].name in ("DEQUANTIZE", "QUANTIZE", "RESHAPE"):
        source = makers[-1].inputs[0] if makers[-1].inputs else None
        before = [
            operator
            for operator in read_operators(model)
            if source is not None and source.index in [made.index for made in operator.outputs]
        ]
        makers = before or makers
    if makers and makers[-1].name in _ONE_RANGE:
        return None
    step = end.scale[0] if end.is_integer and len(end.scale) == 1 else None
    for axis in sorted(axes, key=int, reverse=True):
        rows = {key: np.asarray(values) for key, values in axes[axis].items()}
        spans = rows["high0"] - rows["low0"]
        # Of one value nobody knows the range: its size must do.
        spans = np.where(spans > 0, spans, np.abs(rows["high0"]))
        own = np.where(spans > _NOTHING * spans.max(initial=0.0), spans, np.inf)
        is_constant = (rows["high1"] == rows["low1"]) & (rows["high0"] > rows["low0"])
        poor = np.sqrt(rows["noise"] / rows["count"]) / own > _POOR
        poor |= is_constant & (rows["largest"] / own >= _CONSTANT)
        # Where the whole is as bad, its own figure says so.
        poor &= spans < _SMALL * spans.max(initial=0.0)
        if poor.any() and not poor.all():
            places = np.flatnonzero(poor)
            return PoorChannels(
                output,
                int(axis),
                len(poor),
                tuple(places.tolist()),
                int((poor & is_constant).sum()),
                float(spans[places].max()),
                step,
            )
    return None
