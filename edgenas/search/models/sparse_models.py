"""Linear models of an architecture's reward over its one-hot choices: ridge, and Harmonica's sparse polynomial.

Both take (N, K) zeros and ones and (N,) rewards. Settings are those of google/model_search.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

RIDGE = 1e-3
LASSO = 0.05
TERMS = 5
DEGREE = 3
SCREENED = 256
"""Monomials with the largest correlation that the Lasso chooses from."""
SWEEPS = 100


@dataclass(frozen=True)
class LinearModel:
    """Ridge regression with an intercept."""

    weights: Floats
    intercept: float

    @classmethod
    def fit(cls, encoded: Floats, rewards: Floats, ridge: float = RIDGE) -> LinearModel:
        """Minimises squared error + ``ridge`` * squared weights."""
        centre, mean = encoded.mean(axis=0), float(rewards.mean())
        centred = encoded - centre
        weights = np.linalg.solve(centred.T @ centred + ridge * np.eye(encoded.shape[1]), centred.T @ (rewards - mean))
        return cls(weights, mean - float(centre @ weights))

    def predict(self, encoded: Floats) -> Floats:
        """(N,) rewards."""
        return encoded @ self.weights + self.intercept


@dataclass(frozen=True)
class SparsePolynomial:
    """A few monomials in +-1 variables (Harmonica, arXiv 1706.00764): ``terms`` are their columns, by monomial."""

    terms: tuple[tuple[int, ...], ...]
    weights: Floats
    intercept: float

    @classmethod
    def fit(cls, encoded: Floats, rewards: Floats, *, lasso: float = LASSO, terms: int = TERMS) -> SparsePolynomial:
        """Lasso over monomials up to degree 3, of which the ``terms`` heaviest are kept.

        Rewards are standardised first, so that ``lasso`` means the same in any unit. Of higher monomials only the
        products of the most correlated lower ones are considered; the number of all grows with the cube of K.
        """
        mean, spread = float(rewards.mean()), float(rewards.std())
        if spread <= 0:
            return cls((), np.zeros(0), mean)
        signs = 2.0 * encoded - 1.0
        target = (rewards - mean) / spread
        monomials, columns = _monomials(signs, target)
        weights = _lasso(columns, target, lasso)
        heaviest = [place for place in np.argsort(-np.abs(weights), kind="stable")[:terms] if weights[place] != 0]
        chosen = weights[heaviest] * spread
        intercept = mean - float(columns[:, heaviest].mean(axis=0) @ chosen) if heaviest else mean
        return cls(tuple(monomials[place] for place in heaviest), chosen, intercept)

    def predict(self, encoded: Floats) -> Floats:
        """(N,) rewards."""
        signs = 2.0 * encoded - 1.0
        result = np.full(len(encoded), self.intercept)
        for term, weight in zip(self.terms, self.weights, strict=True):
            result += weight * signs[:, list(term)].prod(axis=1)
        return result


def _monomials(signs: Floats, target: Floats) -> tuple[list[tuple[int, ...]], Floats]:
    """The monomials most correlated with the target, and their (N, M) values."""
    singles: list[tuple[int, ...]] = [(column,) for column in range(signs.shape[1])]
    monomials, columns = _most_correlated(singles, signs, target)
    for _ in range(DEGREE - 1):
        candidates = dict.fromkeys(
            tuple(sorted((*term, column)))
            for term in monomials[:32]
            for column in range(signs.shape[1])
            if column not in term
        )
        new = [term for term in candidates if term not in set(monomials)]
        if not new:
            break
        values = np.stack([signs[:, list(term)].prod(axis=1) for term in new], axis=1)
        monomials, columns = _most_correlated(monomials + new, np.concatenate([columns, values], axis=1), target)
    return monomials, columns


def _most_correlated(
    monomials: list[tuple[int, ...]], columns: Floats, target: Floats
) -> tuple[list[tuple[int, ...]], Floats]:
    centred = columns - columns.mean(axis=0)
    strength = np.abs(centred.T @ target) / np.maximum(np.sqrt((centred**2).sum(axis=0)), 1e-12)
    order = np.argsort(-strength, kind="stable")[:SCREENED]
    return [monomials[place] for place in order], columns[:, order]


def _lasso(columns: Floats, target: Floats, penalty: float) -> Floats:
    """Coordinate descent on mean squared error / 2 + ``penalty`` * absolute weights, over centred columns."""
    centred = columns - columns.mean(axis=0)
    gram, moment = centred.T @ centred / len(target), centred.T @ target / len(target)
    weights = np.zeros(columns.shape[1])
    scale = np.maximum(np.diag(gram), 1e-12)
    for _ in range(SWEEPS):
        largest = 0.0
        for column in range(len(weights)):
            free = moment[column] - gram[column] @ weights + scale[column] * weights[column]
            updated = np.sign(free) * max(abs(free) - penalty, 0.0) / scale[column]
            largest = max(largest, abs(updated - weights[column]))
            weights[column] = updated
        if largest < 1e-4:
            break
    return weights
