"""Blocks that a table lacks: interpolated by a model of the table's own rows, whose held-out error is always stated.

Two errors are known, both on blocks that the model had not seen: of *similar* blocks (a fifth of the rows left out at
random, five times) and of *other sizes* (all rows of a fifth of the input shapes left out). What is interpolated is
never stored in a table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.latency.predict.block_model import LEAST_BLOCKS, BlockModel, nearest_kind
from edgenas.latency.predict.cache_misses import CacheMisses
from edgenas.latency.predict.measured_range import MeasuredRange, outside_words
from edgenas.latency.predict.operators import OperatorWork, signature_work
from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.spaces.errors import InputError

_FOLDS = 5
_SEED = 0
Array = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOutError:
    """Relative errors on ``blocks`` blocks that were left out of the fit."""

    mape: float
    median: float
    p90: float
    max: float
    blocks: int

    @classmethod
    def of(cls, predicted: Array, measured: Array) -> HeldOutError:
        errors = np.abs(predicted / measured - 1)
        return cls(
            float(errors.mean()),
            float(np.median(errors)),
            float(np.quantile(errors, 0.9)),
            float(errors.max()),
            len(errors),
        )


class Interpolation:
    """A model of the blocks of one table. Raises InputError when the table has too few readable rows.

    Rows of blocks that are not registered in this process cannot be read and are left out.
    """

    def __init__(self, table: LatencyTable) -> None:
        self.table = table
        self._works: dict[str, tuple[OperatorWork, ...]] = {}
        for signature in table.rows:
            try:
                self._works[signature] = signature_work(signature)
            except InputError:
                continue
        if len(self._works) < LEAST_BLOCKS:
            raise InputError(
                f"the latency table of {table.device} has {len(self._works)} rows to learn from, at least "
                f"{LEAST_BLOCKS} are needed to predict what it lacks: measure more with `edgenas profile`"
            )
        self._shapes = {_shape(signature) for signature in self._works}
        self._latencies = np.array([table.rows[signature].latency_ms for signature in self._works])
        self.model = BlockModel.fit(list(self._works.values()), self._latencies)

    @cached_property
    def range(self) -> MeasuredRange:
        """Which operators the held-out errors hold for."""
        return MeasuredRange(self._works.values())

    def supports(self, work: OperatorWork) -> bool:
        """Whether the held-out errors say anything about an operator."""
        return self.range.why_outside(work) is None

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of operators that the table's blocks have."""
        return self.model.rates.kinds

    def operator_ms(self, work: OperatorWork) -> float:
        """What one operator adds to a block, by the rates alone, in ms."""
        kind = nearest_kind(work.kind, self.kinds)
        return self.model.rates.unknown_ms(work) if kind is None else self.model.rates.operator_ms(work, kind)

    def row(self, works: Sequence[OperatorWork]) -> Row:
        """Latency (and energy, where the table has energies) of a block of these operators, seen as most rows are."""
        energy = None if self._energy_model is None else self._energy_model.predict(works)
        weight_bytes = sum(work.parameter_bytes for work in works)
        wide_bytes = sum(work.parameter_bytes for work in works if work.is_wide)
        latency = self.model.predict(works)
        cache_misses = self.table.calibration.cache_misses if self.table.calibration else CacheMisses()
        return Row(
            latency,
            energy_mj=energy,
            weight_bytes=weight_bytes,
            wide_bytes=wide_bytes,
            networks=int(np.median([self.table.rows[signature].networks for signature in self._works])),
            cache_miss_ms=cache_misses.expected_ms(weight_bytes),
        )

    def error(self, signature: str | None = None) -> HeldOutError | None:
        """The held-out error that applies to a block: that of similar blocks where the table knows its input shape,
        else (and for operators without a signature) that of other sizes. None when the table has only one shape.
        """
        return self.similar_error if signature and _shape(signature) in self._shapes else self.other_sizes_error

    @cached_property
    def similar_error(self) -> HeldOutError:
        """On blocks left out at random."""
        order = np.random.default_rng(_SEED).permutation(len(self._works))
        return self._held_out([order[fold::_FOLDS] for fold in range(_FOLDS)])

    @cached_property
    def other_sizes_error(self) -> HeldOutError | None:
        """On all blocks of input shapes left out together."""
        shapes = [_shape(signature) for signature in self._works]
        names = sorted(set(shapes))
        if len(names) < 2:
            return None
        order = np.random.default_rng(_SEED).permutation(len(names))
        fold_of = {names[place]: turn % _FOLDS for turn, place in enumerate(order)}
        folds = np.array([fold_of[shape] for shape in shapes])
        return self._held_out([np.flatnonzero(folds == fold) for fold in range(_FOLDS)])

    def _held_out(self, folds: Sequence[NDArray[np.intp]]) -> HeldOutError:
        works = list(self._works.values())
        predicted = np.full(len(works), np.nan)
        for left_out in folds:
            rest = np.setdiff1d(np.arange(len(works)), left_out)
            if not len(left_out) or len(rest) < LEAST_BLOCKS // 2:
                continue
            model = BlockModel.fit([works[place] for place in rest], self._latencies[rest], least=LEAST_BLOCKS // 2)
            predicted[left_out] = [model.predict(works[place]) for place in left_out]
        known = ~np.isnan(predicted)
        return HeldOutError.of(predicted[known], self._latencies[known])

    @cached_property
    def _energy_model(self) -> BlockModel | None:
        energies = [self.table.rows[signature].energy_mj for signature in self._works]
        known = [place for place, energy in enumerate(energies) if energy]
        if self.table.energy is None or len(known) < LEAST_BLOCKS:
            return None
        works = list(self._works.values())
        return BlockModel.fit([works[place] for place in known], np.array([energies[place] for place in known]))


@dataclass(frozen=True)
class Completed:
    """A table with rows for all blocks that were asked for; ``interpolated`` names those that no device measured."""

    table: LatencyTable
    asked: int
    interpolated: tuple[str, ...] = ()
    interpolation: Interpolation | None = None

    def share(self, per_node: Mapping[str, float], signatures: Mapping[str, str], latency_ms: float) -> float:
        """Share of a network's latency that is interpolated."""
        guessed = frozenset(self.interpolated)
        return sum(ms for name, ms in per_node.items() if signatures.get(name) in guessed) / latency_ms

    def error(
        self,
        table_error: Mapping[str, Any],
        per_node: Mapping[str, float],
        signatures: Mapping[str, str],
        latency_ms: float,
    ) -> dict[str, Any]:
        """The table's error where nothing was interpolated, else with what that adds (see :func:`combined_error`)."""
        if not self.interpolated:
            return dict(table_error)
        share = self.share(per_node, signatures, latency_ms)
        reasons = self.reasons(table_error["mape"])
        mape = None if reasons else combined_error(table_error["mape"], [(share, self.held_out())])
        return dict(table_error) | {
            **{
                "mape": mape,
                "reason": "; ".join(reasons) or None,
                "reasons": reasons,
                "interval": None,
                "max": None,
                "table_mape": table_error["mape"],
                "interpolated_share": share,
            },
            **self.to_json(),
        }

    @cached_property
    def outside(self) -> tuple[str, ...]:
        """Why no error can be told for some of the interpolated blocks, one line a reason."""
        if self.interpolation is None:
            return ()
        works = [work for signature in self.interpolated for work in signature_work(signature)]
        return tuple(outside_words(works, self.interpolation.range))

    def reasons(self, table_mape: float | None) -> list[str]:
        """Why the error of a prediction with interpolated blocks is not known; empty when it is."""
        return [*self.outside, *unknown_reasons(table_mape, self.held_out())]

    def held_out(self) -> HeldOutError | None:
        """The larger of the held-out errors that apply to what was interpolated."""
        if self.interpolation is None:
            return None
        errors = [self.interpolation.error(signature) for signature in self.interpolated]
        known = [error for error in errors if error is not None]
        return max(known, key=lambda error: error.mape) if known else None

    def describe(self) -> str | None:
        """The line that is printed wherever interpolated blocks are used; None when there are none."""
        if not self.interpolated:
            return None
        error = self.held_out()
        told = "unknown" if error is None else f"{error.mape:.1%} (90 % of them within {error.p90:.1%})"
        return (
            f"{len(self.interpolated)} of {self.asked} blocks interpolated, not measured: held-out error of a block "
            f"{told}; `edgenas profile` measures them, --strict refuses them"
            + (f"; the error is not known, since {'; '.join(self.outside)}" if self.outside else "")
        )

    def to_json(self) -> dict[str, Any]:
        """``{"interpolated": count, "interpolation_error": {...}}``, the error None where nothing was interpolated."""
        error = self.held_out()
        return {
            "interpolated": len(self.interpolated),
            "interpolation_error": None if error is None else dataclasses.asdict(error),
        }


def complete(table: LatencyTable, signatures: Iterable[str]) -> Completed:
    """The table with interpolated rows for those of ``signatures`` that it lacks; nothing is written.

    Raises InputError when the table is too small to learn from, or a missing signature cannot be read.
    """
    asked = list(dict.fromkeys(signatures))
    missing = tuple(signature for signature in asked if signature not in table.rows)
    if not missing:
        return Completed(table, len(asked))
    interpolation = Interpolation(table)
    rows = {signature: interpolation.row(signature_work(signature)) for signature in missing}
    return Completed(table.with_rows(rows), len(asked), missing, interpolation)


def combined_error(table_mape: float | None, shares: Iterable[tuple[float, HeldOutError | None]]) -> float | None:
    """Upper estimate of the mean error of a prediction of which shares come from models with held-out errors.

    The table's own error on whole networks, plus each share times the error of its blocks: as if errors of blocks
    never cancelled. None when one of them is not known.
    """
    total = table_mape
    for share, error in shares:
        if share <= 0:
            continue
        if total is None or error is None:
            return None
        total += share * error.mape
    return total


def unknown_reasons(table_mape: float | None, held_out: HeldOutError | None, *, needed: bool = True) -> list[str]:
    """What lacks for :func:`combined_error`, in words; the held-out error only where it is ``needed``."""
    reasons = []
    if table_mape is None:
        reasons.append("the table is not calibrated with whole networks")
    if needed and held_out is None:
        reasons.append("the table's blocks are all of one input shape, which says nothing about others")
    return reasons


def _shape(signature: str) -> str:
    return signature.rpartition("@")[2].partition("/")[0]
