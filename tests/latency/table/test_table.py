"""The table's file: reads back, sorted, refuses what is damaged, foreign or of another schema."""

import dataclasses
import hashlib
import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgenas.devices import Provenance
from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.table.energy_header import TableEnergy
from edgenas.latency.table.latency_table import LatencyTable, Row, default_table_path
from edgenas.spaces.errors import InputError

TABLE = LatencyTable(
    device="server",
    precision="int8",
    runtime="fake-runtime",
    runtime_version="1.0",
    threads=1,
    protocol="made up",
    anchor_ms=0.005,
    created="2000-01-01T00:00:00Z",
    rows={
        "conv(filters=8 stride=2)@16x16x1/int8": Row(0.0123, 0.01, 8, 9),
        "classifier(classes=10)@4x4x8/int8": Row(0.002),
    },
    calibration=Calibration(1.01, 0.001, 12, 0.006, 0.02, 1.1, 1.3),
    cpu_model="Abacus 3000",
)

line_text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=30).map(
    lambda text: " ".join(text.split()) or "x"
)
positive = st.floats(1e-9, 1e9)
tables = st.builds(
    LatencyTable,
    device=line_text,
    precision=st.sampled_from(["float32", "float16", "int8"]),
    runtime=line_text,
    runtime_version=line_text,
    threads=st.integers(1, 64),
    protocol=line_text,
    anchor_ms=positive,
    created=line_text,
    statistic=line_text,
    cpu_model=st.none() | line_text,
    rows=st.dictionaries(
        line_text,
        st.builds(
            Row, positive, st.floats(0, 10), st.integers(0, 99), st.integers(0, 99), st.none() | st.floats(0, 1e9)
        ),
        max_size=8,
    ),
    energy=st.none()
    | st.builds(
        TableEnergy,
        st.sampled_from(["measured", "modelled", "simulated"]),
        line_text,
        *[st.floats(0, 1e6)] * 5,
        st.integers(0, 99),
        st.none() | st.floats(0, 10),
        st.none() | st.floats(0, 10),
    ),
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(tables)
def test_reads_back_what_it_wrote(table: LatencyTable) -> None:
    assert LatencyTable.from_text(table.to_text()) == table


def test_calibration_reads_back() -> None:
    assert LatencyTable.from_text(TABLE.to_text()) == TABLE


def test_rows_are_sorted_and_end_with_a_checksum() -> None:
    lines = TABLE.to_text().splitlines()
    rows = [line for line in lines if not line.startswith("#")][1:]
    assert rows == sorted(rows)
    assert lines[0] == "# edgenas-latency-table: 4"
    assert lines[-1].startswith("# sha256: ")


@given(st.data())
def test_any_cut_or_changed_byte_is_refused(data: st.DataObject) -> None:
    text = TABLE.to_text()
    place = data.draw(st.integers(0, len(text) - 2))
    with pytest.raises(InputError):
        LatencyTable.from_text(text[:place])
    changed = data.draw(st.sampled_from([c for c in "0123456789x,#\n" if c != text[place]]))
    with pytest.raises(InputError):
        LatencyTable.from_text(text[:place] + changed + text[place + 1 :])


def test_other_schemas_and_other_files_are_refused_by_name() -> None:
    older = TABLE.to_text().replace("latency-table: 4", "latency-table: 1")
    with pytest.raises(InputError, match=r"mine\.csv.*schema '1'.*profile"):
        LatencyTable.from_text(older, "mine.csv")
    with pytest.raises(InputError, match=r"mine\.csv.*not a latency table"):
        LatencyTable.from_text("a,b\n1,2\n", "mine.csv")


@pytest.mark.parametrize("latency_ms", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_latencies_are_refused(latency_ms: float) -> None:
    with pytest.raises(InputError, match="positive"):
        dataclasses.replace(TABLE, rows={"a": Row(latency_ms)})


def test_files(tmp_path: Path) -> None:
    path = TABLE.save(tmp_path / "deep" / "t.csv")
    assert LatencyTable.load(path, device="server", precision="int8") == TABLE
    assert [entry.name for entry in path.parent.iterdir()] == ["t.csv"]
    with pytest.raises(InputError, match=r"t\.csv.*device 'server', not of 'pi'"):
        LatencyTable.load(path, device="pi")
    with pytest.raises(InputError, match=r"t\.csv.*precision 'int8', not of 'float32'"):
        LatencyTable.load(path, precision="float32")
    with pytest.raises(InputError, match=r"none\.csv.*edgenas profile"):
        LatencyTable.load(tmp_path / "none.csv")


def test_it_says_what_differs_from_a_device() -> None:
    same = Provenance("measured", "server", "fake-runtime", "1.0", cpu_model="Abacus 3000")
    assert TABLE.differences(same) == []
    changes = {"runtime_version": "2.0", "runtime": "other", "threads": 4, "cpu_model": "Abacus 4000"}
    for key, value in changes.items():
        (difference,) = TABLE.differences(dataclasses.replace(same, **{key: value}))
        assert key in difference
        assert str(value) in difference


def test_new_rows_replace_old_ones() -> None:
    signature = next(iter(TABLE.rows))
    table = TABLE.with_rows({signature: Row(9.0), "a": Row(1.0)})
    assert table.rows[signature].latency_ms == 9.0
    assert len(table.rows) == 3
    assert all(first <= second for first, second in itertools.pairwise(table.rows))


def test_energies_and_weights_stand_in_the_last_columns() -> None:
    known = next(iter(TABLE.rows))
    energy = TableEnergy("measured", "rapl: package-0", 3.5, 12.25, scale=0.98, fixed_mj=0.002, networks=12, mape=0.03)
    table = TABLE.with_energies({known: 0.0212}, energy)
    text = table.to_text()
    rows = [line for line in text.splitlines() if not line.startswith("#")]
    figures = "latency_ms,spread,quiet_visits,visits,energy_mj,weight_bytes,wide_bytes,networks,cache_miss_ms"
    assert rows[0] == f"signature,{figures},profiled_for"
    assert sorted(row.split(",")[-6] for row in rows[1:]) == ["", "0.0212"]
    assert sorted(row.rsplit(",", 5)[1:] for row in rows[1:]) == [["0", "0", "0", "0.0", ""]] * 2
    heavy = TABLE.with_rows(
        {known: dataclasses.replace(TABLE.rows[known], weight_bytes=1234, wide_bytes=56, networks=2, cache_miss_ms=0.5)}
    )
    assert LatencyTable.from_text(heavy.to_text()) == heavy
    assert "# energy_idle_watts: 3.5\n" in text
    assert LatencyTable.from_text(text) == table
    assert table.with_energies({}, None) == TABLE


def _signed(body: str) -> str:
    return f"{body}# sha256: {hashlib.sha256(body.encode()).hexdigest()}\n"


def test_a_table_with_older_names_is_read() -> None:
    known = next(iter(TABLE.rows))
    calibration = Calibration(0.9, 0.001, 4, in_network_scale=1.02, cache_miss_ms_per_mb=0.04, cache_miss_decay_ms=1.5)
    table = dataclasses.replace(TABLE, calibration=calibration, calibrations={})
    table = table.with_rows({known: dataclasses.replace(TABLE.rows[known], networks=2, cache_miss_ms=0.5)})
    lines = table.to_text().splitlines(keepends=True)[:-1]
    old = "".join(lines).replace("latency-table: 4", "latency-table: 3").replace("cache_miss_ms,", "cold_ms,")
    old = old.replace('"cache_miss_ms_per_mb"', '"cold_part": 0.1, "cold_ms_per_mb"')
    old = old.replace('"cache_miss_decay_ms"', '"cold_decay_ms"')
    assert "cache" not in old
    assert LatencyTable.from_text(_signed(old)) == table


def test_a_table_from_before_energies_is_read() -> None:
    lines = TABLE.to_text().splitlines(keepends=True)[:-1]
    old = [line if line.startswith("#") else line.rsplit(",", 6)[0] + "\n" for line in lines]
    assert "energy" not in "".join(old)
    assert "weight_bytes" not in "".join(old)
    assert LatencyTable.from_text(_signed("".join(old))) == TABLE


@pytest.mark.parametrize(
    ("cell", "words"), [("much", "line.*expected.*energy_mj"), ("-1.0", "from 0"), ("nan", "from 0")]
)
def test_nonsense_energies_are_refused(cell: str, words: str) -> None:
    lines = TABLE.to_text().splitlines(keepends=True)[:-1]
    with pytest.raises(InputError, match=words):
        LatencyTable.from_text(_signed("".join(lines[:-1]) + lines[-1].rsplit(",", 6)[0] + f",{cell},0,0,0,0,\n"))


@pytest.mark.parametrize("row", ["x" * 200_000 + ",1.0,0,1,1", '"x,1.0,0,1,1', "x,9" * 3000, ""])
def test_rows_of_any_content_are_read_or_refused_with_their_line(row: str) -> None:
    body = TABLE.to_text().rpartition("# sha256")[0] + row + "\n"
    with pytest.raises(InputError, match=r"<text>: line 1[0-9]: expected signature,latency_ms"):
        LatencyTable.from_text(f"{body}# sha256: {hashlib.sha256(body.encode()).hexdigest()}\n")


def test_a_nonsense_origin_of_energies_is_refused() -> None:
    text = TABLE.with_energies({}, TableEnergy("measured", "rapl", 1.0, 2.0)).to_text().rpartition("# sha256")[0]
    with pytest.raises(InputError, match="kind of energy 'guessed'"):
        LatencyTable.from_text(_signed(text.replace("energy_kind: measured", "energy_kind: guessed")))
    with pytest.raises(InputError, match="header makes no sense"):
        LatencyTable.from_text(_signed(text.replace("energy_idle_watts: 1.0", "energy_idle_watts: few")))


def test_the_default_path_is_in_the_home(home: Path) -> None:
    assert default_table_path("pi", "int8") == home / "tables" / "pi-int8.csv"
