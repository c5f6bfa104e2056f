"""What operators cost, learnt from blocks: a sum of non-negative terms per kind of operator.

A block's standalone latency is one entry into the interpreter plus what each operator costs; each kind of operator has
its own rates per multiply-accumulate, per byte and per operator. Kernels work in tiles, so multiply-accumulates are
also counted with the channels rounded up to usual tile sizes: the fit finds out which. No rate is negative, so more
work never costs less. Fitted by least squares on relative errors (nn-Meter, MobiSys 2021, fits its kernels so too).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenas.latency.predict.operators import OperatorWork

Array = NDArray[np.float64]
#: A term: kind of operator and what is counted; ``("", "entry")`` is the entry into the interpreter.
Term = tuple[str, str]
ENTRY: Term = ("", "entry")

_TILES = (8, 16, 32, 64)
#: Strength of the pull of every rate to zero, in rows that agree with it: settles what few rows cannot.
_RIDGE = 1e-3


def operator_terms(work: OperatorWork) -> dict[str, float]:
    """What is counted of one operator, by name."""
    if not work.macs:
        return {"operator": 1.0, "bytes": float(work.input_bytes + work.output_bytes)}
    if work.name == "FULLY_CONNECTED":
        return {"operator": 1.0, "macs": float(work.macs), "bytes": float(work.input_bytes + work.output_bytes)}
    per_channel = work.macs / max(work.output_channels, 1)
    channels = work.output_channels / work.groups
    terms = {
        "operator": 1.0,
        "groups": float(work.groups),
        "macs": float(work.macs),
        "input": float(work.input_bytes),
        "output": float(work.output_bytes),
        "parameters": float(work.parameter_bytes),
        "positions": float(work.output_positions * work.groups),
        "ragged": float(work.macs) if channels % 16 else 0.0,
    }
    for tile in _TILES:
        terms[f"macs/{tile}"] = per_channel * work.groups * tile * math.ceil(channels / tile)
    return terms


def block_terms(works: Sequence[OperatorWork]) -> dict[Term, float]:
    """What is counted of the operators of a block, the entry included."""
    counted: Counter[Term] = Counter({ENTRY: 1})
    for work in works:
        for name, amount in operator_terms(work).items():
            counted[work.kind, name] += amount  # type: ignore[assignment]
    return dict(counted)


def design_matrix(blocks: Sequence[Mapping[Term, float]], terms: Sequence[Term]) -> Array:
    """(blocks, terms) amounts."""
    place = {term: column for column, term in enumerate(terms)}
    matrix = np.zeros((len(blocks), len(terms)))
    for row, block in enumerate(blocks):
        for term, amount in block.items():
            if term in place:
                matrix[row, place[term]] = amount
    return matrix


@dataclass(frozen=True)
class OperatorRates:
    """Fitted ms per unit of each term."""

    rates: Mapping[Term, float]

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of operators that the fit has seen."""
        return frozenset(kind for kind, _ in self.rates if kind)

    def block_ms(self, terms: Mapping[Term, float]) -> float:
        """Standalone latency of a block from its terms, in ms."""
        return sum(self.rates.get(term, 0.0) * amount for term, amount in terms.items())

    def operator_ms(self, work: OperatorWork, kind: str | None = None) -> float:
        """What one operator adds, at the rates of its kind, or of another."""
        kind = kind or work.kind
        return sum(self.rates.get((kind, name), 0.0) * amount for name, amount in operator_terms(work).items())

    def unknown_ms(self, work: OperatorWork) -> float:
        """A guess for an operator of no known kind: multiply-accumulates at the middle rate of those that are known,
        the bytes that it moves and its start at the middle rate of operators without weights.
        """
        return (
            self._middle("operator")
            + self._middle("bytes") * work.moved_bytes
            + (self._effective_mac_rate() * work.macs if work.macs else 0.0)
        )

    def _middle(self, name: str) -> float:
        weighted = {kind for kind, term in self.rates if term == "macs"}
        rates = [
            rate for (kind, term), rate in self.rates.items() if term == name and rate > 0 and kind not in weighted
        ]
        return float(np.median(rates)) if rates else 0.0

    def _effective_mac_rate(self) -> float:
        by_kind: Counter[str] = Counter()
        for (kind, name), rate in self.rates.items():
            if name.startswith("macs"):
                by_kind[kind] += rate  # type: ignore[assignment]
        rates = [rate for rate in by_kind.values() if rate > 0]
        return float(np.median(rates)) if rates else 0.0


def fit_rates(blocks: Sequence[Mapping[Term, float]], latencies_ms: Array) -> OperatorRates:
    """The rates that explain the blocks' standalone latencies best, by relative error."""
    terms = sorted({term for block in blocks for term in block})
    matrix = design_matrix(blocks, terms)
    largest = matrix.max(axis=0)
    largest[largest == 0] = 1
    scaled = matrix / largest / latencies_ms[:, None]
    # Every term in units of what it explains of an average block, so that the ridge pulls all alike.
    unit = np.sqrt((scaled**2).mean(axis=0))
    unit[unit == 0] = 1
    solution = non_negative_least_squares(scaled / unit, np.ones(len(blocks)), _RIDGE)
    return OperatorRates(dict(zip(terms, (solution / unit / largest).tolist(), strict=True)))


def non_negative_least_squares(matrix: Array, target: Array, ridge: float = 0.0) -> Array:
    """argmin over x >= 0 of ``|matrix x - target|^2 + ridge |x|^2``.

    Active sets on the normal equations (Bro and De Jong, J. Chemometrics 11, 1997).

    >>> non_negative_least_squares(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([2.0, -1.0])).tolist()
    [2.0, 0.0]
    """
    columns = matrix.shape[1]
    gram = matrix.T @ matrix + ridge * np.eye(columns)
    moment = matrix.T @ target
    tolerance = 1e-10 * max(float(np.abs(moment).max(initial=0.0)), 1e-300)
    solution = np.zeros(columns)
    passive = np.zeros(columns, bool)
    for _ in range(3 * columns):
        gradient = np.where(passive, -np.inf, moment - gram @ solution)
        if gradient.max(initial=-np.inf) <= tolerance:
            break
        passive[int(gradient.argmax())] = True
        while passive.any():
            trial = np.zeros(columns)
            trial[passive] = _solve(gram[np.ix_(passive, passive)], moment[passive])
            negative = passive & (trial <= 0)
            if not negative.any():
                solution = trial
                break
            step = np.min(solution[negative] / (solution[negative] - trial[negative]))
            solution = solution + step * (trial - solution)
            passive &= solution > 1e-15
            solution[~passive] = 0
    return solution


def _solve(gram: Array, moment: Array) -> Array:
    try:
        return np.asarray(np.linalg.solve(gram, moment), np.float64)
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(gram, moment, rcond=None)[0], np.float64)
