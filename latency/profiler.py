"""Profiling: every signature of a space, measured on a device into a latency table.

Each block becomes a ``.tflite`` of its own, written directly; a few whole random networks and an almost empty model go
along in the same shuffled rounds, and calibrate the step from blocks to networks (:mod:`latency.calibration`). Only
what the table lacks is measured, plus the blocks of the calibration networks, so that these are compared with numbers
of the same minutes. A killed profile goes on where it stopped (:mod:`latency.journal`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from devices import Device, DeviceLostError, Measurement, MeasurementError, MeasureSettings, Provenance
from export.flatbuffer import write_tflite
from latency.calibration import Calibration, calibrate
from latency.energy import complete_energies
from latency.exact import profile_exact
from latency.journal import Journal
from latency.progress import ProgressCallback, Reporter
from latency.quiet import visit_in_rounds
from latency.table import LatencyTable, Row, default_table_path
from latency.visits import QuietSettings, Visit, Visits
from spaces.blocks import ConvBnAct
from spaces.cost import graph_weight_bytes, wide_depthwise_bytes
from spaces.errors import InputError, WorkError
from spaces.graph import OpGraph
from spaces.network import Network
from spaces.slots import SlotEntry
from spaces.space import SearchSpace

CALIBRATION_NETWORKS = 24
# So many models are on disk and in one set of rounds at once.
_BATCH = 1000
_EMPTY = "empty"
# Apart from the seeds that people validate with.
_CALIBRATION_SEED = 20_240_001


@dataclass(frozen=True)
class ProfileResult:
    """A table and what it took. ``failed`` holds the words about signatures that the device could not run."""

    table: LatencyTable
    path: Path
    signatures: int
    measured: int
    reused: int
    seconds: float
    failed: Mapping[str, MeasurementError] = field(default_factory=dict)


def profile_space(
    space: SearchSpace,
    device: Device,
    *,
    precision: str,
    table_path: Path | None = None,
    threads: int = 1,
    settings: QuietSettings | None = None,
    fresh: bool = False,
    progress: ProgressCallback | None = None,
) -> ProfileResult:
    """Profiles all signatures of a space, calibrated with random networks of it. See :func:`profile`."""
    rng = np.random.default_rng(_CALIBRATION_SEED)
    networks = [space.decode(row) for row in space.sample(rng, CALIBRATION_NETWORKS)]
    return profile(
        space.signatures(precision),
        device,
        precision=precision,
        table_path=table_path,
        networks=networks,
        threads=threads,
        settings=settings,
        fresh=fresh,
        progress=progress,
    )


def profile(
    entries: Mapping[str, SlotEntry],
    device: Device,
    *,
    precision: str,
    table_path: Path | None = None,
    networks: Sequence[Network] = (),
    threads: int = 1,
    settings: QuietSettings | None = None,
    seed: int = 0,
    fresh: bool = False,
    progress: ProgressCallback | None = None,
) -> ProfileResult:
    """Measures the signatures that the table lacks, and calibrates it with whole networks.

    Resumable at any point: give the same call again. ``fresh`` measures everything again. Raises InputError when the
    table on disk is of another device, runtime or protocol (and ``fresh`` is not given) or the precision is not one of
    the device's; WorkError when nothing can be measured.
    """
    start = time.monotonic()
    if device.is_exact:
        exact = profile_exact(
            entries,
            device,
            precision=precision,
            table_path=table_path,
            networks=networks,
            fresh=fresh,
            progress=progress,
        )
        done, count = len(exact.simulated), len(entries)
        reused = count - done - len(exact.failed)
        return ProfileResult(exact.table, exact.path, count, done, reused, time.monotonic() - start, dict(exact.failed))
    settings = settings or QuietSettings()
    path = table_path or default_table_path(device.name, precision)
    if precision not in device.precisions:
        raise InputError(f"device {device.name!r} runs {', '.join(device.precisions)}, not {precision}")
    identity = device.identity(threads=threads)
    table = _existing_table(path, precision, identity, settings) if not fresh else None
    if table is None:
        table = _empty_table(precision, identity, settings)
    missing = [signature for signature in entries if signature not in table.rows]
    calibrated = table.calibration is not None and (
        not networks or (table.calibration.networks > 0 and table.calibration.of == _digest(networks, precision))
    )
    if not missing and calibrated:
        table = complete_energies(table, entries, networks, device, path, progress=progress)
        return ProfileResult(table, path, len(entries), 0, len(entries), time.monotonic() - start)

    wholes = {_network_key(network, precision): network for network in networks}
    known_anchor = table.anchor_ms if np.isfinite(table.anchor_ms) else None
    visits = Visits(settings, known_anchor, thorough=frozenset(wholes))
    session = _Session(device, precision, threads, settings, visits, seed, progress)
    journal_identity = {
        "device": device.name,
        "precision": precision,
        "runtime": f"{identity.runtime} {identity.runtime_version}",
        "threads": str(threads),
        "cpu_model": str(identity.cpu_model),
        "protocol": settings.protocol,
    }
    with Journal(path.with_name(f"{path.name}.journal"), journal_identity) as journal:
        journal.restore(session.visits)
        graphs = {key: network.graph for key, network in wholes.items()}
        graphs[_EMPTY] = ConvBnAct(filters=8, kernel=1).lower((1, 1, 8))
        blocks = _blocks_of(networks, precision) | {signature: entries[signature] for signature in missing}
        graphs |= {signature: entry.graph for signature, entry in blocks.items()}
        try:
            session.measure(graphs, journal)
            rows = session.rows(blocks)
            if blocks and not rows:
                raise WorkError(f"nothing could be measured on {device.name!r}: {next(iter(session.errors.values()))}")
            table = _finished(table.with_rows(rows), session, networks)
        except DeviceLostError as error:
            raise WorkError(
                f"{error}. What was measured before is kept in {journal.path}: give the same command again to go on"
            ) from error
        table = LatencyTable.load(table.save(path))  # what is returned is what is stored, to the last digit
        journal.remove()
    table = complete_energies(table, entries, networks, device, path, progress=progress)
    failed = {signature: session.errors[signature] for signature in entries if signature in session.errors}
    measured = sum(signature in rows for signature in missing)
    return ProfileResult(
        table, path, len(entries), measured, len(entries) - len(missing), time.monotonic() - start, failed
    )


@dataclass
class _Session:
    """The measuring part of one profile."""

    device: Device
    precision: str
    threads: int
    settings: QuietSettings
    visits: Visits
    seed: int
    progress: ProgressCallback | None
    errors: dict[str, MeasurementError] = field(default_factory=dict)

    def measure(self, graphs: Mapping[str, OpGraph], journal: Journal) -> None:
        """Quiet visits to all models, batch by batch; the first batch holds what the calibration compares."""
        names = list(graphs)
        rng = np.random.default_rng(self.seed)
        report = Reporter(self.progress, f"measuring {len(names)} models", len(names) * self.settings.visits)
        finished = 0
        for first in range(0, len(names), _BATCH):
            batch = names[first : first + _BATCH]
            with tempfile.TemporaryDirectory(prefix="edgenas-profile-") as folder:
                models = self._write(batch, graphs, Path(folder))
                counts = {name: min(self.visits.quiet_visits(name), self.settings.visits) for name in models}

                def on_visit(name: str, visit: Visit) -> None:
                    journal.add(name, visit)
                    counts[name] = min(counts[name] + 1, self.settings.visits)  # noqa: B023
                    report(finished + sum(counts.values()))  # noqa: B023

                self.errors |= visit_in_rounds(
                    self.device, models, self.visits, rng=rng, threads=self.threads, on_visit=on_visit
                )
            finished += len(batch) * self.settings.visits
            report(finished)

    def _write(self, names: Iterable[str], graphs: Mapping[str, OpGraph], folder: Path) -> dict[str, Path]:
        models = {}
        for index, name in enumerate(self.visits.lacking(list(names))):
            models[name] = folder / f"{index}.tflite"
            try:
                models[name].write_bytes(write_tflite(graphs[name], self.precision))
            except OSError as error:
                raise WorkError(
                    f"{folder}: cannot be written ({error.strerror}); what was measured before is kept: make room, or "
                    f"set TMPDIR, and give the same command again"
                ) from error
        return models

    def rows(self, blocks: Mapping[str, SlotEntry]) -> dict[str, Row]:
        """Table rows of what was measured."""
        latencies = self.visits.latencies(name for name in blocks if name not in self.errors)
        return {
            name: Row(
                float(f"{found.latency_ms:.5g}"),
                round(found.spread, 4),
                found.quiet_visits,
                found.visits,
                weight_bytes=graph_weight_bytes(blocks[name].graph, self.precision),
                wide_bytes=wide_depthwise_bytes(blocks[name].graph, self.precision),
            )
            for name, found in latencies.items()
        }

    def calibrate(self, networks: Sequence[Network]) -> Calibration:
        """Fits blocks to networks, and notes how much slower the networks run when nobody picks quiet moments."""
        latencies = {name: found.latency_ms for name, found in self.visits.latencies(self.visits.by_model).items()}
        blocks_ms, networks_ms, used = [], [], []
        for network in networks:
            key = _network_key(network, self.precision)
            parts = [*network.signatures(self.precision).values(), key]
            if all(part in latencies and part not in self.errors for part in parts):
                *alone, whole = (latencies[part] for part in parts)
                blocks_ms.append(alone)
                networks_ms.append(whole)
                used.append(network)
        weights, wide = (
            [count(network.graph, self.precision) for network in used]
            for count in (graph_weight_bytes, wide_depthwise_bytes)
        )
        fitted = calibrate(blocks_ms, networks_ms, latencies.get(_EMPTY, 0.0), weights, wide)
        fitted = dataclasses.replace(fitted, of=_digest(networks, self.precision))
        return self._with_deployed(fitted, used, networks_ms)

    def _with_deployed(
        self, calibration: Calibration, networks: Sequence[Network], quiet_ms: Sequence[float]
    ) -> Calibration:
        settings = MeasureSettings(
            threads=self.threads, warmup_seconds=0.02, min_runs=20, max_seconds=0.1, confidence=None
        )
        models = {str(index): write_tflite(network.graph, self.precision) for index, network in enumerate(networks)}
        outcomes = self.device.measure_many(models, settings) if models else {}
        ratios = np.array(
            [
                (outcome.median / quiet, outcome.p95 / quiet)
                for outcome, quiet in zip(outcomes.values(), quiet_ms, strict=True)
                if isinstance(outcome, Measurement)
            ]
        )
        if not len(ratios):
            return calibration
        return calibration.with_deployed(ratios[:, 0], ratios[:, 1])


def _existing_table(path: Path, precision: str, identity: Provenance, settings: QuietSettings) -> LatencyTable | None:
    if not path.exists():
        return None
    table = LatencyTable.load(path, device=identity.device, precision=precision)
    differences = table.differences(identity)
    if table.protocol != settings.protocol:
        differences.append(f"protocol was {table.protocol!r}, is now {settings.protocol!r}")
    if differences:
        raise InputError(
            f"{path}: its numbers do not hold any more: {'; '.join(differences)}. Measure all of it again with "
            f"`edgenas profile --fresh`, or name another file"
        )
    return table


def _empty_table(precision: str, identity: Provenance, settings: QuietSettings) -> LatencyTable:
    return LatencyTable(
        device=identity.device,
        precision=precision,
        runtime=identity.runtime,
        runtime_version=identity.runtime_version,
        threads=identity.threads,
        protocol=settings.protocol,
        anchor_ms=float("inf"),
        created=identity.time_utc or "",
        cpu_model=identity.cpu_model,
        governor=identity.governor,
        frequency_mhz=None if identity.frequency_mhz is None else str(identity.frequency_mhz),
        temperature_c=None if identity.temperature_c is None else str(identity.temperature_c),
        system=identity.system,
    )


def _finished(table: LatencyTable, session: _Session, networks: Sequence[Network]) -> LatencyTable:
    return table.with_session(
        anchor_ms=float(f"{session.visits.reference_ms:.5g}"),
        calibration=session.calibrate(networks),
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def _network_key(network: Network, precision: str) -> str:
    """A name under which the journal finds the network again."""
    return "network: " + " > ".join(network.signatures(precision).values())


def _digest(networks: Sequence[Network], precision: str) -> str:
    """A short name of the networks that a calibration was fitted on."""
    keys = sorted(_network_key(network, precision) for network in networks)
    return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:12]


def _blocks_of(networks: Sequence[Network], precision: str) -> dict[str, SlotEntry]:
    blocks = {}
    for network in networks:
        signatures = network.signatures(precision)
        for node in network.nodes:
            blocks[signatures[node.name]] = SlotEntry(node.block, network.input_shapes(node))
    return blocks
