"""The latency of anybody's model file, from the latency table of a device: its operators are read, nothing is run.

Operators that form blocks of the table (every model that EdgeNAS exported from a profiled space) cost what these blocks
were measured to cost; the rest is interpolated (:mod:`edgenas.latency.predict.interpolation`), and the prediction says
which share of
the latency that is and how wrong it may be. Operators of a kind that no block of the table has are a guess from the
bytes that they move, and are named. Whatever lies outside of what was measured
(:mod:`edgenas.latency.predict.measured_range`) leaves
the error unknown, and the prediction says why.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgenas.devices import Provenance
from edgenas.export.compilers.edgetpu.compiled import is_compiled
from edgenas.export.tflite.reader import TfliteOperator, model_io, read_operators, read_subgraphs
from edgenas.latency.predict.block_model import nearest_kind
from edgenas.latency.predict.interpolation import HeldOutError, Interpolation, combined_error, unknown_reasons
from edgenas.latency.predict.measured_range import CONTROL_FLOW, outside_words
from edgenas.latency.predict.model_cover import BlockIndex, Piece
from edgenas.latency.predict.operators import OperatorWork, operator_work
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.spaces.errors import InputError

_MOST_OPERATORS = 100_000


@dataclass(frozen=True)
class ModelPrediction:
    """Predicted quiet latency of a model file in ms, and energy in mJ where the table has energies.

    ``measured_share``, ``interpolated_share`` and ``unknown_share`` are shares of the latency: from measured blocks,
    from the model of operators, and from operators that no block of the table has; ``extrapolated_share`` is the part
    of the interpolated one that lies outside of what was measured. ``error`` has ``mape`` (None when it cannot be
    known, and then ``reason`` says why, one line a reason in ``reasons``), the ``networks`` behind the table's own
    error, and the parts that it is made of.
    """

    latency_ms: float
    energy_mj: float | None
    provenance: Provenance
    statistic: str
    error: dict[str, Any]
    measured_share: float
    interpolated_share: float
    extrapolated_share: float
    unknown_share: float
    blocks: tuple[str, ...]
    operators: int
    interpolated_operators: tuple[str, ...]
    unknown_operators: dict[str, int]
    warnings: tuple[str, ...] = ()
    energy_provenance: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON of ``edgenas predict``."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return plain | {
            "provenance": self.provenance.to_json(),
            "blocks": list(self.blocks),
            "interpolated_operators": list(self.interpolated_operators),
            "warnings": list(self.warnings),
        }


def predict_model(model: bytes, table: LatencyTable, *, strict: bool = False) -> ModelPrediction:
    """Predicts a ``.tflite`` file from a table.

    ``strict`` refuses what is not made of measured blocks. Raises InputError when the model is damaged, compiled for an
    Edge TPU, has open shapes, or another precision than the table.
    """
    if is_compiled(model):
        raise InputError(
            "the model is compiled for the Edge TPU, and a compiled file does not tell its operators: give the .tflite "
            "file that was compiled"
        )
    operators = read_operators(model)
    warnings = _check(model, operators, table)
    works = operator_work(operators)
    if not works:
        raise InputError("the model has no operator that works: there is nothing to predict")
    if len(works) > _MOST_OPERATORS:
        raise InputError(f"the model has {len(works):,} operators: at most {_MOST_OPERATORS:,} are read")
    pieces = list(BlockIndex(table.rows).cover(works))
    left = [work for piece in pieces if piece.signature is None for work in piece.works]
    if strict and left:
        raise InputError(_refusal(table, left, len(works)))
    table = table.for_blocks(piece.signature for piece in pieces if piece.signature is not None)
    interpolation = Interpolation(table) if left else None
    if interpolation is not None:
        pieces = [part for piece in pieces for part in _apart(piece, interpolation.kinds)]
    rows = {str(number): _row(piece, table, interpolation) for number, piece in enumerate(pieces)}
    predictor = Predictor(table)
    prediction = predictor.add_up(rows)
    unknown = _unknown(left, interpolation)
    shares = _shares(pieces, prediction.per_node, prediction.latency_ms, unknown)
    beyond = _beyond(pieces, prediction.per_node, prediction.latency_ms, unknown, interpolation)
    held_out = interpolation.error() if interpolation is not None else None
    reasons = _reasons(operators, left, interpolation, held_out, prediction.error["mape"])
    error = _error(prediction.error, left, shares[1], held_out, reasons)
    return ModelPrediction(
        latency_ms=prediction.latency_ms,
        energy_mj=prediction.energy_mj,
        provenance=prediction.provenance,
        statistic=prediction.statistic,
        error=error,
        measured_share=shares[0],
        interpolated_share=shares[1],
        extrapolated_share=beyond,
        unknown_share=shares[2],
        blocks=tuple(piece.signature for piece in pieces if piece.signature is not None),
        operators=len(works),
        interpolated_operators=tuple(f"{work.index} {work.kind}" for work in left),
        unknown_operators=dict(Counter(work.kind for work in unknown)),
        warnings=(*warnings, *_told(left, unknown, held_out, (*shares, beyond), interpolation)),
        energy_provenance=prediction.energy_provenance,
    )


def _reasons(
    operators: Sequence[TfliteOperator],
    left: Sequence[OperatorWork],
    interpolation: Interpolation | None,
    held_out: HeldOutError | None,
    table_mape: float | None,
) -> list[str]:
    """Why the error is not known, one line each; empty when it is."""
    reasons = [] if interpolation is None else outside_words(left, interpolation.range)
    if any(tensor.dtype == "UINT8" for operator in operators for tensor in operator.outputs):
        reasons.append("its integers have no sign (uint8): not measured in this precision, and predicted as int8")
    return reasons + unknown_reasons(table_mape, held_out, needed=bool(left))


def _error(
    table_error: Mapping[str, Any],
    left: Sequence[OperatorWork],
    interpolated_share: float,
    held_out: HeldOutError | None,
    reasons: Sequence[str],
) -> dict[str, Any]:
    """The table's own error where all of a model was measured, more where it was interpolated, None for a reason."""
    error: dict[str, Any] = dict(table_error) | {"table_mape": table_error["mape"]}
    if left:
        mape = combined_error(table_error["mape"], [(interpolated_share, held_out)])
        error["interpolation"] = None if held_out is None else dataclasses.asdict(held_out)
        error |= {"mape": mape, "interval": None, "max": None}
    if reasons:
        error |= {"mape": None, "interval": None, "max": None}
    return error | {"reason": "; ".join(reasons) or None, "reasons": list(reasons)}


def model_precision(operators: Sequence[TfliteOperator]) -> str:
    """The precision of the table that fits a model: ``int8``, ``float16`` or ``float32``, by most of its work.

    Float models whose constants are halved are float16; integer weights between float activations count as float32.
    """
    try:
        works = operator_work(operators)
    except InputError:
        works = ()
    by_index = {operator.index: operator for operator in operators}
    weight: Counter[bool] = Counter()
    for work in works:
        inputs = [tensor for tensor in by_index[work.index].inputs if tensor is not None and not tensor.is_constant]
        weight[bool(inputs) and inputs[0].dtype in ("INT8", "UINT8", "INT16")] += max(work.macs, 1)
    if weight[True] > weight[False]:
        return "int8"
    halved = any(
        tensor is not None and tensor.is_constant and tensor.dtype == "FLOAT16"
        for operator in operators
        for tensor in operator.inputs
    )
    return "float16" if halved else "float32"


def _check(model: bytes, operators: Sequence[TfliteOperator], table: LatencyTable) -> list[str]:
    found = model_precision(operators)
    if found != table.precision:
        raise InputError(
            f"the model is {found}, the table of {table.device} is of precision {table.precision}: make one with "
            f"`edgenas profile --device {table.device} --precision {found}`, or name the right one"
        )
    for tensor in model_io(model).inputs:
        if -1 in tensor.open_shape[1:]:
            raise InputError(
                f"input {tensor.name!r} has open sides, {tensor.open_shape}: a latency is that of one shape, which "
                f"`edgenas predict --shape` gives"
            )
    warnings = []
    if any(operator.name in CONTROL_FLOW for operator in operators):
        others = len(read_subgraphs(model)) - 1
        warnings.append(f"{others} graphs of control flow are not counted: nobody knows how often they run")
    return warnings


def _apart(piece: Piece, known: frozenset[str]) -> list[Piece]:
    """A piece without a block, with the operators of unknown kinds each on its own."""
    if piece.signature is not None:
        return [piece]
    parts: list[list[OperatorWork]] = [[]]
    for work in piece.works:
        if nearest_kind(work.kind, known) is None:
            parts += [[work], []]
        else:
            parts[-1].append(work)
    return [Piece(tuple(part)) for part in parts if part]


def _row(piece: Piece, table: LatencyTable, interpolation: Interpolation | None) -> Row:
    if piece.signature is not None:
        return table.rows[piece.signature]
    assert interpolation is not None
    return interpolation.row(piece.works)


def _unknown(left: Sequence[OperatorWork], interpolation: Interpolation | None) -> list[OperatorWork]:
    if interpolation is None:
        return []
    return [work for work in left if nearest_kind(work.kind, interpolation.kinds) is None]


def _shares(
    pieces: Sequence[Piece], per_node: dict[str, float], latency_ms: float, unknown: Sequence[OperatorWork]
) -> tuple[float, float, float]:
    """Measured, interpolated, unknown. The fixed part is measured."""
    guessed = frozenset(work.index for work in unknown)
    interpolated = lost = 0.0
    for number, piece in enumerate(pieces):
        if piece.signature is None:
            if piece.works[0].index in guessed:
                lost += per_node[str(number)]
            else:
                interpolated += per_node[str(number)]
    return 1 - (interpolated + lost) / latency_ms, interpolated / latency_ms, lost / latency_ms


def _beyond(
    pieces: Sequence[Piece],
    per_node: dict[str, float],
    latency_ms: float,
    unknown: Sequence[OperatorWork],
    interpolation: Interpolation | None,
) -> float:
    """Share of the latency in interpolated operators that lie outside of what was measured."""
    if interpolation is None:
        return 0.0
    guessed = frozenset(work.index for work in unknown)
    total = 0.0
    for number, piece in enumerate(pieces):
        if piece.signature is None and piece.works[0].index not in guessed:
            costs = [max(interpolation.operator_ms(work), 1e-12) for work in piece.works]
            strange = [not interpolation.supports(work) for work in piece.works]
            total += per_node[str(number)] * sum(c for c, s in zip(costs, strange, strict=True) if s) / sum(costs)
    return total / latency_ms


def _refusal(table: LatencyTable, left: Sequence[OperatorWork], count: int) -> str:
    kinds = ", ".join(f"{number} {kind}" for kind, number in Counter(work.kind for work in left).most_common(5))
    return (
        f"{len(left)} of {count} operators form no block that the latency table of {table.device} ({table.precision}) "
        f"has measured ({kinds}): measure their blocks with `edgenas profile`, or predict without --strict"
    )


def _told(
    left: Sequence[OperatorWork],
    unknown: Sequence[OperatorWork],
    held_out: HeldOutError | None,
    shares: tuple[float, float, float, float],
    interpolation: Interpolation | None,
) -> list[str]:
    told = []
    if left and interpolation is not None:
        error = "unknown" if held_out is None else f"{held_out.mape:.1%} a block"
        told.append(
            f"{len(left)} operators form no measured block: {shares[1] + shares[2]:.1%} of the latency is "
            f"interpolated, held-out error {error}"
        )
        variants = sorted({work.kind for work in left} - interpolation.kinds - {work.kind for work in unknown})
        told += [f"{kind} is counted as {nearest_kind(kind, interpolation.kinds)}" for kind in variants]
    if shares[3] > 0:
        told.append(
            f"{shares[3]:.1%} of it is in operators of other forms or sizes than those of the table's blocks; "
            "the held-out error does not hold for them; profile a space that is like the model"
        )
    if unknown:
        kinds = ", ".join(f"{number} {kind}" for kind, number in Counter(work.kind for work in unknown).most_common())
        told.append(
            f"no block of the table has {kinds}: a guess from the bytes that they move, {shares[2]:.1%} of it all; "
            "how wrong it is, nobody knows"
        )
    return told
