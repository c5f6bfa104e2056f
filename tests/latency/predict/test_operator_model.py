"""Operators as their cost sees them, and what is learnt from blocks about them."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.reader import TfliteOperator, TfliteTensor, read_operators
from edgenas.latency.predict.block_model import BlockModel
from edgenas.latency.predict.operator_model import ENTRY, fit_rates, non_negative_least_squares
from edgenas.latency.predict.operators import OUTSIDE, operator_work, signature_work
from edgenas.spaces.errors import InputError
from edgenas.spaces.signature import parse_signature

SIGNATURE = "ibn(filters=16 expansion=4 se_ratio=0.25)@14x14x16/int8"


def test_work_is_counted_as_blocks_count_it() -> None:
    works = signature_work(SIGNATURE)
    entry, _ = parse_signature(SIGNATURE)
    assert sum(work.macs for work in works) == entry.graph.macs
    assert [work.name for work in works] == [
        *("CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "CONV_2D", "CONV_2D", "MUL", "MUL", "CONV_2D", "ADD")
    ]
    assert works[0].sources == (OUTSIDE,)
    assert works[0].input_bytes == 14 * 14 * 16
    assert works[0].output_bytes == 14 * 14 * 64
    assert works[0].parameter_bytes == 16 * 64 + 4 * 64
    assert works[-1].sources == (OUTSIDE, 7)


@pytest.mark.parametrize("precision", ["int8", "float32", "float16"])
def test_a_file_and_its_graph_are_the_same_work(precision: str) -> None:
    signature = SIGNATURE.replace("int8", precision)
    entry, _ = parse_signature(signature)
    from_file = operator_work(read_operators(write_tflite(entry.graph, precision)))
    assert [dataclasses.replace(work, index=0) for work in from_file] == [
        dataclasses.replace(work, index=0) for work in signature_work(signature)
    ]


def test_groups_are_told_apart() -> None:
    first, *_ = signature_work("gc_ibn(filters=16 expansion=4 groups=4)@8x8x16/int8")
    assert (first.kind, first.groups) == ("CONV_2D/grouped", 4)
    assert first.macs == 8 * 8 * 9 * 4 * 64


def _operator(shape: tuple[int, ...]) -> TfliteOperator:
    source, output = TfliteTensor(0, "x", shape, "INT8", False), TfliteTensor(1, "y", shape, "INT8", False)
    return TfliteOperator(0, "RELU", 1, (source,), (output,))


def test_open_and_impossible_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="open shape"):
        operator_work([_operator((-1, 8))])
    with pytest.raises(InputError, match="elements"):
        operator_work([_operator((2**31 - 1,) * 8)])
    assert operator_work([_operator(())])[0].input_bytes == 1


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 8), st.sampled_from([0.0, 0.1]))
def test_least_squares_meets_its_optimality_conditions(seed: int, rows: int, columns: int, ridge: float) -> None:
    rng = np.random.default_rng(seed)
    matrix, target = rng.normal(size=(rows, columns)), rng.normal(size=rows)
    solution = non_negative_least_squares(matrix, target, ridge)
    gradient = matrix.T @ (target - matrix @ solution) - ridge * solution
    assert (solution >= 0).all()
    assert (gradient <= 1e-6).all()
    assert np.abs(gradient[solution > 0]).max(initial=0) < 1e-6


def test_rates_of_additive_costs_are_found() -> None:
    signatures = [
        f"ibn(filters={filters} kernel={kernel} expansion={expansion} skip=no)@{side}x{side}x{channels}/int8"
        for filters in (16, 32)
        for kernel in (3, 5)
        for expansion in (2, 4)
        for side in (7, 14, 28)
        for channels in (8, 24)
    ]
    works = [signature_work(signature) for signature in signatures]
    truth = np.array([0.001 + sum(0.0005 + 1e-6 * work.macs / 100 for work in block) for block in works])
    model = BlockModel.fit(works[::2], truth[::2])
    held_out = np.array([model.predict(block) for block in works[1::2]])
    np.testing.assert_allclose(held_out, truth[1::2], rtol=0.02)
    rates = fit_rates([{ENTRY: 1.0, ("a", "macs"): 10.0}, {ENTRY: 1.0, ("a", "macs"): 20.0}], np.array([2.0, 3.0]))
    assert rates.block_ms({ENTRY: 1.0, ("a", "macs"): 15.0}) == pytest.approx(2.5, rel=0.01)


def test_too_few_blocks_are_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        BlockModel.fit([signature_work(SIGNATURE)] * 5, np.ones(5))


def test_unknown_operators_cost_something_and_more_when_they_move_more() -> None:
    signatures = [f"ibn(filters=16 expansion={e})@{side}x{side}x16/int8" for e in (2, 3, 4, 6) for side in range(4, 12)]
    works = [signature_work(signature) for signature in signatures]
    model = BlockModel.fit(works, np.array([sum(1e-3 + 1e-6 * w.moved_bytes for w in block) for block in works]))
    small, large = (operator_work([_operator((1, side, side, 8))]) for side in (4, 64))
    assert 0 < model.predict(small) < model.predict(large)
