"""Profiling: complete, resumable, incremental, honest about what failed; and right under a shared server's noise."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgenas.devices import DeviceLostError, get_device
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.latency.measure.visits import QuietSettings
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.profile.profiler import profile, profile_space
from edgenas.latency.profile.progress import StageProgress
from edgenas.latency.profile.reference_networks import CALIBRATION_NETWORKS
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.space.search_space import SearchSpace

FEW = QuietSettings(visits=3, max_visits=6)
Server = Callable[..., Any]


def test_profiles_every_signature(tmp_path: Path, space: SearchSpace, server: Server) -> None:
    path, heard = tmp_path / "t.csv", list[StageProgress]()
    result = profile_space(space, server(), precision="int8", table_path=path, settings=FEW, progress=heard.append)
    assert set(result.table.rows) >= set(space.signatures("int8"))
    assert result.measured == result.signatures == len(space.signatures("int8"))
    assert not result.failed
    assert LatencyTable.load(path) == result.table
    assert list(tmp_path.glob("*.journal")) == []
    assert heard[-1].done == heard[-1].total
    assert heard[-1].seconds_left == 0


def test_finds_true_latencies_between_busy_neighbours_and_clock_steps(
    tmp_path: Path, space: SearchSpace, server: Server
) -> None:
    device = server(seed=1, busy=0.6, clocks=(1.0, 1.045, 1.09))
    result = profile_space(space, device, precision="int8", table_path=tmp_path / "t.csv")
    entries = space.signatures("int8")
    true = np.array([device.true_ms(write_tflite(entries[s].graph, "int8")) for s in entries])
    found = np.array([result.table.rows[s].latency_ms for s in entries])
    assert np.abs(found / true - 1).max() < 0.01
    calibration = result.table.calibration
    assert calibration is not None
    assert calibration.mape is not None
    assert calibration.mape < 0.02
    # Each counts once: so small a space gives some of them twice.
    assert CALIBRATION_NETWORKS - 4 < calibration.networks <= CALIBRATION_NETWORKS
    assert calibration.deployed_median is not None
    assert calibration.deployed_median > 1


def test_a_complete_table_costs_nothing(tmp_path: Path, space: SearchSpace, server: Server) -> None:
    device = server()
    first = profile_space(space, device, precision="int8", table_path=tmp_path / "t.csv", settings=FEW)
    visits = device.visits
    again = profile_space(space, device, precision="int8", table_path=tmp_path / "t.csv", settings=FEW)
    assert device.visits == visits
    assert again.table == first.table
    assert (again.measured, again.reused) == (0, again.signatures)


def test_only_what_lacks_is_measured(tmp_path: Path, space: SearchSpace, server: Server) -> None:
    device, path, entries = server(), tmp_path / "t.csv", space.signatures("int8")
    half = dict(list(entries.items())[::2])
    profile(half, device, precision="int8", table_path=path, settings=FEW)
    result = profile(entries, device, precision="int8", table_path=path, settings=FEW)
    assert (result.measured, result.reused) == (len(entries) - len(half), len(half))
    fresh = profile(entries, device, precision="int8", table_path=path, settings=FEW, fresh=True)
    assert (fresh.measured, fresh.reused) == (len(entries), 0)


def test_an_interrupted_profile_goes_on_where_it_stopped(tmp_path: Path, space: SearchSpace, server: Server) -> None:
    path, device = tmp_path / "t.csv", server()
    whole = server()
    profile_space(space, whole, precision="int8", table_path=tmp_path / "other.csv", settings=FEW)
    device.interrupt_after = whole.visits // 2
    with pytest.raises(KeyboardInterrupt):
        profile_space(space, device, precision="int8", table_path=path, settings=FEW)
    assert not path.exists()
    device.interrupt_after = None
    result = profile_space(space, device, precision="int8", table_path=path, settings=FEW)
    assert set(result.table.rows) >= set(space.signatures("int8"))
    assert device.visits < 1.1 * whole.visits


def test_a_lost_device_leaves_what_it_measured(tmp_path: Path, space: SearchSpace, server: Server) -> None:
    path, device = tmp_path / "t.csv", server()
    device.interrupt_after, device.interruption = 50, DeviceLostError("the cable is out")
    with pytest.raises(WorkError, match=r"the cable is out.*t\.csv\.journal.*same command again"):
        profile_space(space, device, precision="int8", table_path=path, settings=FEW)
    assert (tmp_path / "t.csv.journal").read_bytes().count(b"\n") == 1 + 50 - 3  # three told how slow networks are


def test_kill_9_loses_nothing(tmp_path: Path, space: SearchSpace) -> None:
    path, journal = tmp_path / "t.csv", tmp_path / "t.csv.journal"
    code = f"""\
import sys
from pathlib import Path
from edgenas.devices import get_device
from edgenas.latency.profile.profiler import profile_space
from edgenas.latency.measure.visits import QuietSettings
from edgenas.spaces.space.search_space import SearchSpace
few = QuietSettings(visits=3, max_visits=6)
space = SearchSpace.load({str(tmp_path / "space.yaml")!r})
profile_space(space, get_device("local-cpu"), precision="int8", table_path=Path({str(path)!r}), settings=few)
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (journal.exists() and journal.read_bytes().count(b"\n") > 80):
        assert process.poll() is None, "the profile ended before it could be killed"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = journal.read_bytes().count(b"\n") - 1
    assert kept >= 80
    assert not path.exists()

    result = profile_space(space, get_device("local-cpu"), precision="int8", table_path=path, settings=FEW)
    assert sum(row.visits for row in result.table.rows.values()) >= kept - 12 * 2 * 6  # those of networks are in no row
    assert set(result.table.rows) >= set(space.signatures("int8"))
    assert all(row.latency_ms > 0 for row in result.table.rows.values())
    # A real table of this machine predicts something sensible.
    population = space.sample(np.random.default_rng(0), 5)
    assert (Predictor(result.table).population(space, population) > 0).all()


def test_models_that_fail_are_named_and_the_rest_is_kept(tmp_path: Path, space: SearchSpace, server: Server) -> None:
    device = server()
    device.fail = lambda name: "fused_ibn" in name and "network" not in name
    result = profile_space(space, device, precision="int8", table_path=tmp_path / "t.csv", settings=FEW)
    assert result.failed
    assert all("fused_ibn" in signature for signature in result.failed)
    assert "out of beads" in str(next(iter(result.failed.values())))
    assert result.measured == result.signatures - len(result.failed)
    assert Predictor(result.table).missing(space) == list(result.failed)


def test_a_device_that_runs_nothing_is_an_error(tmp_path: Path, space: SearchSpace, server: Server) -> None:
    device = server()
    device.fail = lambda name: True
    with pytest.raises(WorkError, match="out of beads"):
        profile_space(space, device, precision="int8", table_path=tmp_path / "t.csv", settings=FEW)
    assert not (tmp_path / "t.csv").exists()


def test_a_table_that_does_not_hold_is_refused_by_name(tmp_path: Path, space: SearchSpace, server: Server) -> None:
    path = tmp_path / "t.csv"
    profile_space(space, server(), precision="int8", table_path=path, settings=FEW)
    newer = server()
    newer.runtime_version = "2.0"
    with pytest.raises(InputError, match=r"t\.csv.*runtime_version was 1\.0, is now 2\.0.*--fresh"):
        profile_space(space, newer, precision="int8", table_path=path, settings=FEW)
    with pytest.raises(InputError, match="protocol"):
        profile_space(space, server(), precision="int8", table_path=path, settings=QuietSettings(visits=2))
    result = profile_space(space, newer, precision="int8", table_path=path, settings=FEW, fresh=True)
    assert result.table.runtime_version == "2.0"


def test_a_precision_that_the_device_lacks_is_refused(tmp_path: Path, space: SearchSpace, server: Server) -> None:
    with pytest.raises(InputError, match=r"server.*int8.*float16"):
        profile_space(space, server(), precision="float16", table_path=tmp_path / "t.csv")
