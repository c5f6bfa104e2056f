"""Latency tables for benchmarks: a file that is given, one in the data folder, or one that is made."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarking.options import located
from edgenas.devices import get_device
from edgenas.latency import LatencyTable, QuietSettings, profile_space
from edgenas.spaces.space.search_space import SearchSpace

#: Of ``--data-dir`` in benchmarks of tables.
TABLES = "folder of latency tables, as edgenas keeps them: DEVICE-PRECISION.csv"


def quiet_settings(options: argparse.Namespace) -> QuietSettings | None:
    """How often models are visited: fewer times with ``--quick``."""
    return QuietSettings(visits=4, max_visits=8) if options.quick else None


def table_of(
    given: Path | None,
    data_dir: Path | None,
    space: SearchSpace,
    device: str,
    precision: str,
    settings: QuietSettings | None = None,
) -> tuple[LatencyTable, str]:
    """A table and where it comes from: the file that is given, the device's in the data folder, else a new one.

    A new one holds all blocks of ``space`` and is not kept.
    """
    if given is None and data_dir is not None and (data_dir / f"{device}-{precision}.csv").is_file():
        given = data_dir / f"{device}-{precision}.csv"
    if given is not None:
        path = located(given, data_dir)
        return LatencyTable.load(path), str(path)
    print(f"no table of {device} is given: profiling {space.name}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="edgenas-table-") as folder:
        path = Path(folder) / "table.csv"
        table = profile_space(space, get_device(device), precision=precision, table_path=path, settings=settings).table
    return table, f"made of {space.name} on {device} in {precision}"
