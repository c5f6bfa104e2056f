"""Tables side by side and merged into one."""

import dataclasses

import pytest

from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.table.comparison import compare_tables, merge_tables
from edgenas.latency.table.energy_header import TableEnergy
from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.spaces.errors import InputError

A, B, C = "conv(filters=8)@8x8x8/int8", "conv(filters=16)@8x8x8/int8", "conv(filters=24)@8x8x8/int8"
FIRST = LatencyTable(
    device="server",
    precision="int8",
    runtime="fake-runtime",
    runtime_version="1.0",
    threads=1,
    protocol="made up",
    anchor_ms=0.005,
    created="2000-01-01T00:00:00Z",
    rows={A: Row(1.0, 0.01, 8, 9), B: Row(2.0, 0.01, 8, 9)},
    calibration=Calibration(1.0, 0.001, 12, 0.006, 0.02),
    cpu_model="Abacus 3000",
)
# The same machine at a clock that is a tenth slower, where B got twice as slow.
SECOND = dataclasses.replace(
    FIRST,
    anchor_ms=0.0055,
    created="2000-02-01T00:00:00Z",
    rows={B: Row(4.4, 0.01, 8, 9), C: Row(3.3, 0.01, 8, 9)},
    calibration=Calibration(1.1, 0.001, 10, 0.007, 0.02),
)


def test_ratios_are_at_one_clock() -> None:
    found = compare_tables(FIRST, SECOND)
    assert found.same_clock
    assert (found.only_first, found.only_second) == ((A,), (C,))
    (change,) = found.changes
    assert (change.signature, change.first_ms, change.second_ms) == (B, 2.0, 4.4)
    assert change.ratio == pytest.approx(2.0)
    assert set(found.header) == {"anchor_ms", "created", "calibrations"}
    assert found.header["calibrations"] == ("unnamed (12 networks)", "unnamed (10 networks)")
    assert found.to_json()["ratio"]["p50"] == pytest.approx(2.0)


def test_ratios_of_other_devices_are_plain() -> None:
    found = compare_tables(FIRST, dataclasses.replace(SECOND, device="pi"))
    assert not found.same_clock
    assert found.changes[0].ratio == pytest.approx(2.2)
    assert found.header["device"] == ("server", "pi")


def test_changes_come_by_size_in_either_direction() -> None:
    first = dataclasses.replace(FIRST, rows={A: Row(1.0), B: Row(1.0), C: Row(1.0)})
    second = dataclasses.replace(FIRST, rows={A: Row(1.1), B: Row(0.5), C: Row(1.5)})
    assert [change.signature for change in compare_tables(first, second).changes] == [B, C, A]
    assert len(compare_tables(first, second).to_json(2)["largest_changes"]) == 2


def test_tables_without_common_rows() -> None:
    found = compare_tables(FIRST, dataclasses.replace(FIRST, rows={C: Row(1.0)}))
    assert (found.changes, found.ratio_quantiles) == ((), {})


@pytest.mark.parametrize("swap", [False, True])
def test_the_newer_row_wins_at_the_newer_clock(swap: bool) -> None:
    merged = merge_tables(SECOND, FIRST) if swap else merge_tables(FIRST, SECOND)
    assert merged.rows[A].latency_ms == pytest.approx(1.1)
    assert merged.rows[B].latency_ms == 4.4
    assert merged.rows[C].latency_ms == 3.3
    assert (merged.anchor_ms, merged.created, merged.calibration) == (0.0055, SECOND.created, SECOND.calibration)
    assert LatencyTable.from_text(merged.to_text()) == merged


def test_an_older_calibration_is_better_than_none() -> None:
    """At the clock of the newer table, as the rows are."""
    assert FIRST.calibration is not None
    older = FIRST.calibration.at_clock(SECOND.anchor_ms / FIRST.anchor_ms)
    without = dataclasses.replace(SECOND, calibration=None, calibrations={})
    assert merge_tables(FIRST, without).calibration == older
    assert merge_tables(FIRST, dataclasses.replace(SECOND, calibration=Calibration())).calibration == older


def test_a_merged_table_has_the_calibrations_of_both() -> None:
    first = dataclasses.replace(
        FIRST,
        rows={name: dataclasses.replace(row, profiled_for=("one",)) for name, row in FIRST.rows.items()},
        calibration=dataclasses.replace(FIRST.calibration or Calibration(), of="one"),
        calibrations={},
    )
    second = dataclasses.replace(
        SECOND,
        rows={name: dataclasses.replace(row, profiled_for=("two",)) for name, row in SECOND.rows.items()},
        calibration=dataclasses.replace(SECOND.calibration or Calibration(), of="two"),
        calibrations={},
    )
    merged = merge_tables(first, second)
    assert list(merged.calibrations) == ["two", "one"]
    assert merged.for_calibration("one").calibration.networks == 12  # type: ignore[union-attr]
    assert merged.rows[A].profiled_for == ("one",)
    assert set(merged.rows[B].profiled_for) == {"one", "two"}
    assert merged.for_blocks([A]).calibration == merged.calibrations["one"]
    assert merged.for_blocks([C]).calibration == merged.calibrations["two"]
    assert LatencyTable.from_text(merged.to_text()) == merged


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("device", "pi"), ("precision", "float32"), ("runtime", "other"), ("runtime_version", "2.0")),
        *(("threads", 2), ("protocol", "other"), ("cpu_model", "Abacus 4000"), ("kind", "simulated")),
    ],
)
def test_what_must_not_be_mixed_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"cannot be merged: {key} is .*{value}"):
        merge_tables(FIRST, dataclasses.replace(SECOND, **{key: value}))


def test_energies_of_two_origins_are_not_mixed() -> None:
    metered = TableEnergy("measured", "rapl", 1.0, 5.0)
    modelled = TableEnergy("modelled", "published watts", 1.0, 5.0)
    first = FIRST.with_energies({A: 3.0, B: 4.0}, metered)
    same = merge_tables(first, SECOND.with_energies({C: 5.0}, metered))
    assert (same.rows[A].energy_mj, same.rows[C].energy_mj) == (3.0, 5.0)
    other = merge_tables(first, SECOND.with_energies({C: 5.0}, modelled))
    assert (other.rows[A].energy_mj, other.rows[C].energy_mj, other.energy) == (None, 5.0, modelled)
