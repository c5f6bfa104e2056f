"""A latency table over SSH: two boards side by side, connections that break, boards that stay away."""

from __future__ import annotations

import pytest

from edgenas.devices.device import Device
from edgenas.latency.measure.quiet import QuietSettings
from edgenas.latency.profile.profiler import profile
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.spaces.blocks import ConvBnAct
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import WorkError

SETTINGS = QuietSettings(visits=2, max_visits=3, timeout_seconds=20)


def entries(count: int) -> dict[str, SlotEntry]:
    shapes = ((16, 16, 3),)
    blocks = [ConvBnAct(filters=8 * (index + 1), stride=2) for index in range(count)]
    return {f"conv {block.filters}": SlotEntry(block, shapes) for block in blocks}


def cut_after(device: Device, count: int, cut: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls ``cut`` once, after so many measurements of a device."""
    whole, heard = device.measure_many, []

    def measure_many(models, settings=None, on_result=None):
        def listen(name, outcome):
            heard.append(name)
            if on_result:
                on_result(name, outcome)
            if len(heard) == count:
                cut()

        return whole(models, settings, listen)

    monkeypatch.setattr(device, "measure_many", measure_many)


def test_two_boards_profile_one_table_through_a_cut_connection(make_board, board_python, server, tmp_path, monkeypatch):
    # Both names are this machine, whose neighbours are not ours to choose: any difference will do.
    board = make_board(python=board_python, hosts=["board", "second"], host_difference=20.0)
    cut_after(board, 5, server.cut, monkeypatch)
    wanted = entries(6)
    result = profile(wanted, board, precision="int8", table_path=tmp_path / "t.csv", settings=SETTINGS)
    assert result.failed == {}
    table = LatencyTable.load(tmp_path / "t.csv", device="pi", precision="int8")
    assert set(wanted) <= set(table.rows)
    assert all(row.visits >= 1 for row in table.rows.values())
    assert not list(tmp_path.glob("*.journal"))


def test_a_board_that_stays_away_leaves_what_it_measured_and_the_next_call_goes_on(
    make_board, false_python, server, tmp_path, monkeypatch
):
    path, wanted = tmp_path / "t.csv", entries(8)
    (tmp_path / "pace").write_text("0.05")
    board = make_board(python=false_python, retries=1, retry_seconds=0.05)
    cut_after(board, 11, server.stop, monkeypatch)
    with pytest.raises(WorkError, match=r"is kept in .*give the same command again") as caught:
        profile(wanted, board, precision="int8", table_path=path, settings=SETTINGS)
    assert "cannot connect to board" in str(caught.value)
    (journal,) = tmp_path.glob("*.journal")
    kept = len(journal.read_text().splitlines()) - 1
    assert kept >= 11

    server.start()
    again = make_board(python=false_python)
    heard: list[str] = []
    whole = again.measure_many

    def measure_many(models, settings=None, on_result=None):
        heard.extend(models)
        return whole(models, settings, on_result)

    monkeypatch.setattr(again, "measure_many", measure_many)
    result = profile(wanted, again, precision="int8", table_path=path, settings=SETTINGS)
    assert result.failed == {}
    assert set(wanted) <= set(LatencyTable.load(path).rows)
    # Nine models (one of them is the empty one) of two visits each: those that had theirs are not measured again.
    assert len({name.partition(" ")[2] for name in heard}) == 18 - kept
