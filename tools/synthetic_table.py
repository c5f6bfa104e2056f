"""Writes a synthetic table of architectures with accuracy and cost, for tools/bench_search.py.

    python tools/synthetic_table.py --kind rugged --seed 1 --out rugged1.csv

Such tables show how algorithms do where the real ones do not lead: an algorithm should not be tuned to two tables.
Every one is drawn anew with its seed. Costs are in no unit; the budget is meant to be half of the largest cost, and a
quarter of it for the last two kinds, where it leaves one to five architectures in a hundred.

additive     every decision contributes by itself, and costs by itself, without any order of its options
interaction  pairs of decisions matter more than single ones
deceptive    the best is in the middle: neither the largest nor the smallest, and two decisions want to be equal
noisy        more is better, but the noise of training is as large as the whole effect
rugged       triples of decisions decide, so that a neighbour tells little
plateau      accuracy saturates and is rounded, so that many architectures are equally good
missing      two fifths of a grid are in the table, and three in a hundred trainings ended badly
cells        five operators on the six edges of a cell; information flows along its paths, energy is added up
tight        categories of very different cost, of which accuracy and pairs of them tell little
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgenas.export.files import write_atomically

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Table = tuple[Rows, Floats, Floats]
"""(N, decisions) option indices, (N,) accuracies, (N,) costs."""


def grid(counts: Sequence[int]) -> Rows:
    """All combinations of options, shape (N, decisions)."""
    return np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), axis=-1).reshape(-1, len(counts))


def _separate_costs(rng: np.random.Generator, rows: Rows) -> Floats:
    """Every option of every decision costs something of its own."""
    columns = [rng.exponential(size=column.max() + 1)[column] for column in rows.T]
    return np.asarray(np.sum(columns, axis=0))


def _main_effects(rng: np.random.Generator, rows: Rows) -> Floats:
    return np.asarray(np.sum([rng.normal(size=column.max() + 1)[column] for column in rows.T], axis=0))


def additive(rng: np.random.Generator) -> Table:
    rows = grid([5] * 6)
    quality = _main_effects(rng, rows) + 0.15 * rng.normal(size=len(rows))
    return rows, 90 + 3 * np.tanh(quality / 3), _separate_costs(rng, rows)


def interaction(rng: np.random.Generator) -> Table:
    rows = grid([5] * 6)
    quality = _main_effects(rng, rows) + 0.3 * rng.normal(size=len(rows))
    for first in range(6):
        for second in range(first):
            quality += 0.6 * rng.normal(size=(5, 5))[rows[:, first], rows[:, second]]
    return rows, 100 / (1 + np.exp(-quality / 4)), _separate_costs(rng, rows)


def deceptive(rng: np.random.Generator) -> Table:
    rows = grid([7] * 5)
    best, weight = rng.integers(1, 5, size=5), 0.2 + rng.random(5)
    quality = -(weight * ((rows - best) / 3) ** 2).sum(axis=1) + 0.4 * (rows[:, 0] == rows[:, 1])
    return rows, 60 + 10 * (quality + 0.1 * rng.normal(size=len(rows))), (rows + 1.0) @ (1 + rng.random(5))


def noisy(rng: np.random.Generator) -> Table:
    rows = grid([8] * 4)
    effect = np.log1p(rows) @ rng.random(4)
    effect = (effect - effect.mean()) / effect.std()
    return rows, 70 + 3 * effect + 3 * rng.normal(size=len(rows)), (rows + 1.0) @ (1 + rng.random(4))


def rugged(rng: np.random.Generator) -> Table:
    rows = grid([3] * 9)
    quality = np.zeros(len(rows))
    for decision in range(9):
        first, second = rng.choice(9, 2, replace=False)
        quality += rng.normal(size=(3, 3, 3))[rows[:, decision], rows[:, first], rows[:, second]]
    return rows, 70 + quality, _separate_costs(rng, rows)


def plateau(rng: np.random.Generator) -> Table:
    rows = grid([6] * 5)
    quality = np.minimum(rows, rng.integers(2, 5, size=5)) @ (1 + rng.random(5))
    return rows, np.round(95 - 20 * np.exp(-quality / 8), 1), ((rows + 1.0) ** 2) @ (1 + np.arange(5))


def missing(rng: np.random.Generator) -> Table:
    rows = grid([4, 5, 3, 6, 2, 4, 3])
    rows = rows[rng.random(len(rows)) < 0.4]
    quality = _main_effects(rng, rows) + 0.8 * rng.normal(size=(4, 5))[rows[:, 0], rows[:, 1]]
    accuracy = np.maximum(94 - np.exp((1 - quality) / 2), 10) + 0.1 * rng.normal(size=len(rows))
    return rows, np.where(rng.random(len(rows)) < 0.03, 10.0, accuracy), _separate_costs(rng, rows)


def cells(rng: np.random.Generator) -> Table:
    """Edges 1<-0, 2<-0, 2<-1, 3<-0, 3<-1, 3<-2 with nothing, a skip, convolutions of 1x1 and 3x3, or a pooling.

    An operator that nothing flows through costs its energy and changes nothing.
    """
    rows = grid([5] * 6)
    live = _without_dead_edges(rows)
    passed = np.array([0.0, 0.9, 0.8, 0.85, 0.5]) * (1 + 0.1 * rng.normal(size=5))
    learned = np.array([0.0, 0.0, 0.9, 1.6, 0.1]) * (1 + 0.2 * rng.random(5))
    paths = [(3,), (0, 4), (1, 5), (0, 2, 5)]
    strength = np.array([passed[live[:, path]].prod(axis=1) for path in paths])
    depth = np.array([learned[live[:, path]].sum(axis=1) for path in paths])
    importance = (1 + 0.3 * rng.normal(size=4))[:, None]
    quality = np.log1p((importance * strength * (0.3 + depth)).sum(axis=0)) + 0.25 * (strength * depth).max(axis=0)
    for first in range(6):
        for second in range(first):
            quality += 0.04 * rng.normal(size=(5, 5))[live[:, first], live[:, second]]
    noise = 0.3 * rng.normal(size=len(rows))[live @ 5 ** np.arange(6)]
    accuracy = np.where(strength.sum(axis=0) > 0, 73 - 40 * np.exp(-4.0 * quality) + noise, 1.0)
    energy = np.array([0.0, 0.05, 0.3, 1.0, 0.15]) * np.exp(0.5 * rng.normal(size=5))
    edges = 1 + 0.1 * rng.random(6)
    return rows, accuracy, _tightened(rng, energy[rows] @ edges)


def _without_dead_edges(rows: Rows) -> Rows:
    """Cells with nothing on the edges that are on no path from the input to the output."""
    ends = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    there = rows > 0
    reached, used = np.zeros((len(rows), 4), bool), np.zeros((len(rows), 4), bool)
    reached[:, 0] = used[:, 3] = True
    for edge, (start, end) in enumerate(ends):
        reached[:, end] |= there[:, edge] & reached[:, start]
    for edge, (start, end) in reversed(list(enumerate(ends))):
        used[:, start] |= there[:, edge] & used[:, end]
    alive = np.stack([reached[:, start] & used[:, end] for start, end in ends], axis=1)
    return np.where(alive, rows, 0)


def tight(rng: np.random.Generator) -> Table:
    rows = grid([5] * 6)
    quality = _main_effects(rng, rows) + 0.3 * rng.normal(size=len(rows))
    for first in range(6):
        for second in range(first):
            quality += 0.35 * rng.normal(size=(5, 5))[rows[:, first], rows[:, second]]
    cost = _separate_costs(rng, rows)
    return rows, 70 + 6 * np.tanh((quality + 0.8 * (cost - cost.mean()) / cost.std()) / 6), _tightened(rng, cost)


def _tightened(rng: np.random.Generator, cost: Floats, fraction: float = 0.25) -> Floats:
    """Costs plus what every network costs (or less of it), so that so many are below a fraction of the largest."""
    quantile, largest = float(np.quantile(cost, rng.uniform(0.01, 0.05))), float(cost.max())
    common = (fraction * largest - quantile) / (1 - fraction)
    if common > -float(cost.min()):
        return cost + common
    low, high = 0.02 * fraction, float(1)  # the cheapest are bent upwards instead
    scaled = (cost - cost.min()) / (largest - cost.min())
    power = np.log((fraction - low) / (high - low)) / np.log((quantile - cost.min()) / (largest - cost.min()))
    return np.asarray(low + (high - low) * scaled**power)


KINDS: dict[str, Callable[[np.random.Generator], Table]] = {
    kind.__name__: kind for kind in (additive, interaction, deceptive, noisy, rugged, plateau, missing, cells, tight)
}


def table_csv(kind: str, seed: int) -> str:
    """The table as csv with the columns ``arch`` (one digit per decision), ``accuracy`` (percent) and ``cost``."""
    rows, accuracy, cost = KINDS[kind](np.random.default_rng(seed))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["arch", "accuracy", "cost"])
    for row, reached, paid in zip(rows.tolist(), accuracy.tolist(), cost.tolist(), strict=True):
        writer.writerow(["".join(map(str, row)), repr(reached), repr(paid)])
    return text.getvalue()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", required=True, choices=KINDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True, type=Path, metavar="CSV")
    options = parser.parse_args(arguments)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.out, table_csv(options.kind, options.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
