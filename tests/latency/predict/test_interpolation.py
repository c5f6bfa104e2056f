"""Blocks that a table lacks: interpolated with an error that was found on blocks left out, never stored."""

import dataclasses

import numpy as np
import pytest

from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.predict.interpolation import HeldOutError, Interpolation, combined_error, complete
from edgenas.latency.predict.operators import signature_work
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.search_space import SearchSpace


def true_ms(signature: str) -> float:
    """What blocks cost on a made-up device: additive over operators, with a bend that no rate explains."""
    works = signature_work(signature)
    additive = 0.001 + sum(0.0004 + 2e-7 * work.macs + 1e-7 * work.moved_bytes for work in works)
    return additive * (1 + 0.05 * np.sin(np.log(sum(work.macs for work in works) + 1)))


@pytest.fixture(scope="module")
def tiny() -> SearchSpace:
    return SearchSpace.load("tiny_edge")


@pytest.fixture(scope="module")
def table(tiny: SearchSpace) -> LatencyTable:
    return LatencyTable(
        device="server",
        precision="int8",
        runtime="fake-runtime",
        runtime_version="1.0",
        threads=1,
        protocol="made up",
        anchor_ms=0.005,
        created="2000-01-01T00:00:00Z",
        rows={signature: Row(true_ms(signature), 0.01, 8, 9) for signature in tiny.signatures("int8")},
        calibration=Calibration(1.0, 0.0005, 12, 0.006, 0.02, 1.1, 1.3),
    )


def without(table: LatencyTable, signatures: set[str]) -> LatencyTable:
    return dataclasses.replace(table, rows={name: row for name, row in table.rows.items() if name not in signatures})


def test_missing_blocks_are_as_wrong_as_is_told(table: LatencyTable) -> None:
    left_out = set(list(table.rows)[::7])
    completed = complete(without(table, left_out), table.rows)
    assert set(completed.interpolated) == left_out
    assert set(completed.table.rows) == set(table.rows)
    errors = [abs(completed.table.rows[name].latency_ms / table.rows[name].latency_ms - 1) for name in left_out]
    told = completed.held_out()
    assert told is not None
    assert np.mean(errors) < 2 * told.mape
    assert told.mape < 0.03
    assert f"{len(left_out)} of {len(table.rows)} blocks interpolated" in str(completed.describe())
    assert f"{told.mape:.1%}" in str(completed.describe())


def test_measured_rows_stay_as_they_are(table: LatencyTable) -> None:
    left_out = set(list(table.rows)[:5])
    completed = complete(without(table, left_out), table.rows)
    assert all(completed.table.rows[name] == row for name, row in table.rows.items() if name not in left_out)
    whole = complete(table, table.rows)
    assert (whole.table, whole.interpolated, whole.describe()) == (table, (), None)
    assert whole.to_json() == {"interpolated": 0, "interpolation_error": None}


def test_other_sizes_are_harder(table: LatencyTable) -> None:
    interpolation = Interpolation(table)
    assert interpolation.other_sizes_error is not None
    assert interpolation.other_sizes_error.mape > interpolation.similar_error.mape
    known = next(iter(table.rows))
    assert interpolation.error(known) == interpolation.similar_error
    assert interpolation.error("conv(filters=16)@64x64x3/int8") == interpolation.other_sizes_error
    assert interpolation.error() == interpolation.other_sizes_error


def test_the_held_out_error_sees_what_cannot_be_learnt(table: LatencyTable) -> None:
    rng = np.random.default_rng(0)
    noisy = table.with_rows({name: Row(row.latency_ms * rng.uniform(0.7, 1.4)) for name, row in table.rows.items()})
    assert Interpolation(noisy).similar_error.mape > 0.1


def test_a_network_with_a_guessed_block_is_predicted(tiny: SearchSpace, table: LatencyTable) -> None:
    network = tiny.decode(tiny.sample(np.random.default_rng(0), 1)[0])
    signatures = network.signatures("int8")
    guessed = list(signatures.values())[1]
    completed = complete(without(table, {guessed}), signatures.values())
    prediction = Predictor(completed.table).predict(network)
    assert prediction.latency_ms == pytest.approx(Predictor(table).predict(network).latency_ms, rel=0.03)
    share = completed.share(prediction.per_node, signatures, prediction.latency_ms)
    assert 0 < share < 0.5


def test_small_tables_are_refused(table: LatencyTable) -> None:
    small = dataclasses.replace(table, rows=dict(list(table.rows.items())[:10]))
    with pytest.raises(InputError, match=r"10 rows to learn from.*edgenas profile"):
        complete(small, table.rows)


def test_rows_of_foreign_blocks_are_left_out(table: LatencyTable) -> None:
    foreign = table.with_rows({"their_block(filters=3)@8x8x8/int8": Row(1.0)})
    assert Interpolation(foreign).similar_error == Interpolation(table).similar_error


def test_errors_add_up_by_share() -> None:
    error = HeldOutError(0.1, 0.05, 0.2, 0.4, 100)
    assert combined_error(0.01, [(0.5, error)]) == pytest.approx(0.06)
    assert combined_error(0.01, [(0.0, None)]) == 0.01
    assert combined_error(0.01, [(0.5, None)]) is None
    assert combined_error(None, [(0.5, error)]) is None
