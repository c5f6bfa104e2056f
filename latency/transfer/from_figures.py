"""``edgenas profile --measurements``: a table for a device that nobody here can reach, from figures of some networks.

The shape (which block costs how much beside which) comes from a table of another device. Without one it comes from
what the blocks ask of any device: operators, multiply-accumulates and bytes (:func:`nominal_table`).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.devices import Provenance
from edgenas.devices.own import check_device_name
from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.predict.operators import signature_work
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.table.energy_header import TableEnergy
from edgenas.latency.table.error_figures import error_figures
from edgenas.latency.table.latency_table import UNKNOWN_LATENCY, LatencyTable, Row, default_table_path
from edgenas.latency.transfer.adaptation import (
    LEAST_NETWORKS,
    Adaptation,
    Array,
    Splitter,
    adapted_table,
    fit_adaptation,
    population_parts,
)
from edgenas.latency.transfer.adapting import refuse_overwriting
from edgenas.latency.transfer.figures import GivenFigures
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.search_space import SearchSpace

#: Runtime and statistic of a table that was made of figures: who gave them knows more.
RUNTIME, STATISTIC = "given figures", "given"
#: A device of no name: ms for each operator, multiply-accumulate and byte, of the order of a phone's processor.
_NOMINAL_MS = (2e-3, 1e-7, 2e-7)
NOMINAL = "operators, multiply-accumulates and bytes"


@dataclass(frozen=True)
class FiguresProfile:
    """A saved table, and how it was fitted to the figures: ``by_figure`` has ``latency_ms`` and/or ``energy_mj``."""

    table: LatencyTable
    path: Path
    by_figure: Mapping[str, Adaptation]
    seconds: float

    @property
    def error(self) -> dict[str, Any]:
        """Leave-one-out error: of the latency where there is one, with that of the energy beside it under its name."""
        errors = {name: _error_of(adaptation) for name, adaptation in self.by_figure.items()}
        return {**next(iter(errors.values())), **errors}

    def to_json(self) -> dict[str, Any]:
        """The JSON of ``edgenas profile --measurements``."""
        return {
            "table": str(self.path),
            "signatures": len(self.table.rows),
            "measured": 0,
            "reused": 0,
            "seconds": round(self.seconds, 3),
            "provenance": self.table.provenance.kind,
            "failed": {},
            "error": self.error,
            "adaptation": {name: adaptation.to_json() for name, adaptation in self.by_figure.items()},
        }


def profile_from_figures(
    space: SearchSpace,
    device: str,
    figures: GivenFigures,
    *,
    source: LatencyTable | None = None,
    precision: str = "int8",
    threads: int = 1,
    table_path: Path | None = None,
    fresh: bool = False,
) -> FiguresProfile:
    """Fits what takes the source's costs to the given figures, and writes a ``modelled`` table for the device.

    ``device`` need not be known to EdgeNAS. Raises InputError when the source lacks blocks of the space or was adapted
    itself, when there are too few figures, and when a measured table would be overwritten (``fresh`` allows it).
    """
    start = time.monotonic()
    check_device_name(device)
    source = source or nominal_table(space, precision)
    if source.is_adapted:
        raise InputError("a table that was adapted from another's cannot be adapted again: give a measured one")
    if missing := Predictor(source).missing(space):
        raise InputError(
            f"the table of {source.device} lacks {len(missing)} blocks of space {space.name!r}, such as "
            f"{missing[0]!r}: complete it with `edgenas profile --device {source.device} --space {space.name}`"
        )
    path = table_path or default_table_path(device, source.precision)
    refuse_overwriting(path, fresh)
    splitter = Splitter(source)
    parts = population_parts(space, splitter, space.to_population(figures.architectures))
    by_figure = {
        name: _fit(parts, given, name, figures.source)
        for name, given in (("latency_ms", figures.latency_ms), ("energy_mj", figures.energy_mj))
        if not np.isnan(given).all()
    }
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    table = _table(splitter, by_figure, device, threads, Path(figures.source).name, created)
    table = LatencyTable.load(table.save(path))
    return FiguresProfile(table, path, by_figure, time.monotonic() - start)


def nominal_table(space: SearchSpace, precision: str) -> LatencyTable:
    """A table of no device: what the blocks of a space ask for, weighted as a usual processor does."""
    weights = np.array(_NOMINAL_MS)
    rows = {}
    for signature in space.signatures(precision):
        works = signature_work(signature)
        amounts = [len(works), sum(work.macs for work in works), sum(work.moved_bytes for work in works)]
        rows[signature] = Row(1e-6 + float(weights @ np.array(amounts, np.float64)))
    return LatencyTable(
        device=NOMINAL,
        precision=precision,
        runtime="none",
        runtime_version="1",
        threads=1,
        protocol="modelled: weights of operators, multiply-accumulates and bytes",
        anchor_ms=1.0,
        created="",
        rows=rows,
    )


def _fit(parts: Array, given: Array, name: str, source: str) -> Adaptation:
    known = ~np.isnan(given)
    count = int(known.sum())
    if count < LEAST_NETWORKS:
        raise InputError(f"{source}: {count} figures of {name} are too few: give at least {LEAST_NETWORKS} networks")
    if (np.ptp(parts[known], axis=0) == 0).all():
        raise InputError(f"{source}: all {count} networks with a figure of {name} are built alike: give different ones")
    return fit_adaptation(parts[known], given[known])


def _table(
    splitter: Splitter, by_figure: Mapping[str, Adaptation], device: str, threads: int, file: str, created: str
) -> LatencyTable:
    latency, energy = by_figure.get("latency_ms"), by_figure.get("energy_mj")
    identity = Provenance("modelled", device, RUNTIME, file, threads)
    main = latency or energy
    assert main is not None
    table = adapted_table(
        main, splitter, identity, anchor_ms=1.0, protocol=f"figures of {file}", statistic=STATISTIC, created=created
    )
    energies: dict[str, float] = {}
    if energy is not None:
        for signature in table.rows:
            energies[signature] = float(f"{energy.row_ms(splitter.parts(signature)):.5g}")
        table = table.with_energies(energies, _origin(energy, file))
    return table if latency is not None else _without_latency(table)


def _origin(energy: Adaptation, file: str) -> TableEnergy:
    """The energies' origin; what blocks add is in the rows, so there are no watts."""
    return TableEnergy(
        "modelled",
        f"figures of {file}",
        0.0,
        0.0,
        fixed_mj=round(energy.fixed_ms, 9),
        networks=energy.networks,
        **error_figures([predicted / given - 1 for predicted, given in energy.pairs]),
    )


def _without_latency(table: LatencyTable) -> LatencyTable:
    """A table of energies alone."""
    rows = {signature: dataclasses.replace(row, latency_ms=float("nan")) for signature, row in table.rows.items()}
    return dataclasses.replace(
        table, rows=rows, calibration=Calibration(), calibrations={}, energies={}, statistic=UNKNOWN_LATENCY
    )


def _error_of(adaptation: Adaptation) -> dict[str, Any]:
    figures = error_figures([predicted / given - 1 for predicted, given in adaptation.pairs])
    return {
        "mape": figures["mape"],
        "interval": figures["mape_interval"],
        "max": figures["max_error"],
        "spearman": round(adaptation.accuracy.spearman, 6),
        "networks": adaptation.networks,
    }
