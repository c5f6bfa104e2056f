"""What a standalone block costs, from its operators: rates per operator, corrected by what similar blocks taught.

The rates (:mod:`edgenas.latency.predict.operator_model`) explain most of it. What they leave, in logarithms, is smooth
in the amounts
of work, so a Gaussian process over the logarithms of these amounts corrects blocks like those that were measured and
leaves others alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenas.latency.predict.operator_model import ENTRY, OperatorRates, Term, block_terms, design_matrix, fit_rates
from edgenas.latency.predict.operators import OperatorWork
from edgenas.spaces.errors import InputError

Array = NDArray[np.float64]
Works = Sequence[OperatorWork]

#: Distance, in standard deviations over all amounts, at which two blocks hardly tell about each other any more.
_LENGTH = 8.0
#: Variance of noise over variance of the residuals.
_NOISE = 0.01
#: Fewer blocks than this say nothing about an error on others.
LEAST_BLOCKS = 20


@dataclass(frozen=True)
class BlockModel:
    """Fitted by :meth:`fit`; costs are in the unit that it was given (ms, mJ)."""

    rates: OperatorRates
    _terms: tuple[Term, ...]
    _mean: Array
    _deviation: Array
    _known: Array
    _weights: Array

    @classmethod
    def fit(cls, blocks: Sequence[Works], costs: Array, *, least: int = LEAST_BLOCKS) -> BlockModel:
        """Learns from measured blocks. Raises InputError for fewer than ``least``."""
        if len(blocks) < least:
            raise InputError(f"{len(blocks)} measured blocks are too few to learn from: at least {least}")
        counted = [block_terms(works) for works in blocks]
        rates = fit_rates(counted, costs)
        terms = tuple(sorted({term for block in counted for term in block} - {ENTRY}))
        amounts = np.log1p(design_matrix(counted, terms))
        mean, deviation = amounts.mean(axis=0), amounts.std(axis=0)
        deviation[deviation < 1e-9] = np.inf
        known = (amounts - mean) / deviation
        residuals = np.log(costs / np.array([rates.block_ms(block) for block in counted]))
        kernel = _kernel(known, known) + _NOISE * np.eye(len(known))
        return cls(rates, terms, mean, deviation, known, np.linalg.solve(kernel, residuals))

    def predict(self, works: Works) -> float:
        """Cost of a standalone block of these operators."""
        kinds = self.rates.kinds
        total = self.rates.rates.get(ENTRY, 0.0)
        for work in works:
            kind = nearest_kind(work.kind, kinds)
            total += self.rates.unknown_ms(work) if kind is None else self.rates.operator_ms(work, kind)
        amounts = np.log1p(design_matrix([block_terms(works)], self._terms))
        correction = _kernel((amounts - self._mean) / self._deviation, self._known) @ self._weights
        return float(total * np.exp(correction[0]))


def nearest_kind(kind: str, known: frozenset[str]) -> str | None:
    """The kind itself or another variant of the same operator, such as a depthwise convolution of another kernel.

    >>> nearest_kind("DEPTHWISE_CONV_2D/9x9", frozenset({"ADD", "DEPTHWISE_CONV_2D/3x3", "DEPTHWISE_CONV_2D/7x7"}))
    'DEPTHWISE_CONV_2D/7x7'
    """
    if kind in known:
        return kind
    name, _, variant = kind.partition("/")
    if "hybrid" in variant:
        return None
    variants = sorted(other for other in known if other.partition("/")[0] == name and "hybrid" not in other)
    return variants[-1] if variants else None


def _kernel(first: Array, second: Array) -> Array:
    """Matern covariance of smoothness 5/2 between rows."""
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)[None] - 2 * first @ second.T
    distance = np.sqrt(5 * np.maximum(squares, 0)) / _LENGTH
    return (1 + distance + distance**2 / 3) * np.exp(-distance)
