"""Recordings of profiles and validations: every visit as the device told it, so that both can be worked out again.

A recording is a folder: ``recording.json`` says what was measured, ``profile.jsonl`` and ``validation.jsonl`` hold one
line per outcome, in order: ``[call, kind, name, figures]``. Kinds are ``counts`` (looks that count operators),
``visit`` and ``deployed``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from edgenas.devices import Device, Measurement, MeasureSettings, Provenance
from edgenas.devices.device import MeasurementOutcome, Model
from edgenas.latency.check.validation import distinct_population, validate
from edgenas.latency.profile.neighbourhoods import Neighbourhoods
from edgenas.latency.profile.profiler import profile
from edgenas.latency.profile.reference_networks import CALIBRATION_SEED, calibration_networks
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.network import Network
from edgenas.spaces.space.search_space import SearchSpace

#: Looks that count operators are that short.
COUNTING_SECONDS = 0.001


class RecordingDevice(Device):
    """A device that writes down what another one tells."""

    def __init__(self, device: Device) -> None:
        super().__init__(device.spec)
        self.device = device
        self.file: IO[str] | None = None
        self._calls = 0

    @contextmanager
    def into(self, path: Path) -> Iterator[None]:
        """What is measured meanwhile goes into this file."""
        with path.open("w", encoding="utf-8") as self.file:
            yield
        self.file = None

    @property
    def lock_names(self) -> tuple[str, ...]:
        return self.device.lock_names

    def identity(self, *, threads: int = 1) -> Provenance:
        return self.device.identity(threads=threads)

    def measure_many(
        self,
        models: Mapping[str, Model],
        settings: MeasureSettings | None = None,
        on_result: Callable[[str, MeasurementOutcome], None] | None = None,
    ) -> dict[str, MeasurementOutcome]:
        settings = settings or MeasureSettings()
        kind = "visit"
        if settings.anchor is None:
            kind = "deployed"
        elif settings.operator_seconds == COUNTING_SECONDS:
            kind = "counts"
        self._calls += 1

        def record(name: str, outcome: MeasurementOutcome) -> None:
            if self.file is not None and isinstance(outcome, Measurement):
                line = [self._calls, kind, name, _figures(kind, outcome)]
                self.file.write(json.dumps(line, separators=(",", ":")) + "\n")
            if on_result:
                on_result(name, outcome)

        return self.device.measure_many(models, settings, record)


def _figures(kind: str, outcome: Measurement) -> Any:
    if kind == "deployed":
        return [outcome.median, outcome.p95]
    if outcome.operators_us:
        return {"anchors_ms": outcome.anchors_ms, "operators_us": outcome.operators_us}
    anchors = outcome.anchors_ms or ((1.0, 1.0),) * len(outcome.samples_ms)
    return [[sample, *pair] for sample, pair in zip(outcome.samples_ms, anchors, strict=True)]


@dataclass(frozen=True)
class RecordingNeighbourhoods(Neighbourhoods):
    """Networks to see blocks in, kept by what they were chosen for."""

    chosen: dict[str, list[Network]] = field(default_factory=dict)

    def around(self, signatures: Collection[str], times: int) -> list[Network]:
        return self.chosen.setdefault("around", super().around(signatures, times))

    def fast_around(self, signatures: Collection[str], latencies_ms: Mapping[str, float], most: int) -> list[Network]:
        return self.chosen.setdefault("fast_around", super().fast_around(signatures, latencies_ms, most))

    def fast(self, latencies_ms: Mapping[str, float], count: int) -> list[Network]:
        return self.chosen.setdefault("fast", super().fast(latencies_ms, count))


@dataclass(frozen=True)
class Recording:
    """What was measured; ``networks`` are architectures by what they are for, one option index per decision."""

    folder: Path
    space: str
    size: int
    precision: str
    created: str
    seconds: float
    load_average: tuple[float, ...]
    seed: int
    validated: int
    networks: Mapping[str, list[list[int]]]
    stated: Mapping[str, float | None]

    @classmethod
    def load(cls, folder: Path) -> Recording:
        """Raises OSError, ValueError or TypeError on what is no recording."""
        return cls(folder=folder, **json.loads((folder / "recording.json").read_text()))

    @property
    def set_name(self) -> str:
        """The recordings of one set have the same networks, at different times."""
        return f"{self.space} {self.size} px {self.precision}"

    def search_space(self) -> SearchSpace:
        """The space at the size of the recording."""
        return sized(self.space, self.size)

    def lines(self, name: str) -> list[tuple[int, str, str, Any]]:
        """The outcomes of ``profile`` or ``validation``, in order."""
        text = (self.folder / f"{name}.jsonl").read_text(encoding="utf-8")
        return [tuple(json.loads(line)) for line in text.splitlines()]


def sized(name: str, size: int) -> SearchSpace:
    """A space with an input of so many pixels."""
    space = SearchSpace.load(name)
    return SearchSpace.load(name, input_shape=(size, size, space.input_shape[2]))


def needed_entries(space: SearchSpace, networks: list[Network], precision: str) -> dict[str, SlotEntry]:
    """The space's signatures that these networks have: a large space is not profiled whole for a few networks."""
    wanted = {signature for network in networks for signature in network.signatures(precision).values()}
    return {name: entry for name, entry in space.signatures(precision).items() if name in wanted}


def record(device: Device, name: str, size: int, precision: str, folder: Path, *, seed: int, networks: int) -> Path:
    """Profiles the blocks of some networks of a space and validates these networks; returns the recording's folder."""
    start, load = time.monotonic(), os.getloadavg()
    created = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    space, recording = sized(name, size), RecordingDevice(device)
    folder = folder / f"{space.name}-{size}-{precision}-{created}"
    folder.mkdir(parents=True)
    population = distinct_population(space, np.random.default_rng(seed), networks)
    calibrating = calibration_networks(space)
    neighbourhoods = RecordingNeighbourhoods(space, precision, CALIBRATION_SEED + 1)
    with recording.into(folder / "profile.jsonl"):
        result = profile(
            needed_entries(space, [*calibrating, *map(space.decode, population)], precision),
            recording,
            precision=precision,
            table_path=folder / "table.csv",
            networks=calibrating,
            neighbourhoods=neighbourhoods,
        )
    document = {
        "space": name,
        "size": size,
        "precision": precision,
        "created": created,
        "seconds": round(time.monotonic() - start, 1),
        "load_average": load,
        "seed": seed,
        "validated": networks,
        "networks": {
            what: [list(map(int, row)) for row in space.to_population([space.encode(each) for each in chosen])]
            for what, chosen in neighbourhoods.chosen.items()
        },
        "stated": {},
    }
    # What was validated when somebody stops it is worth replaying, too.
    (folder / "recording.json").write_text(json.dumps(document) + "\n")
    with recording.into(folder / "validation.jsonl"):
        found = validate(space, recording, result.table, networks=networks, seed=seed)
    document["seconds"] = round(time.monotonic() - start, 1)
    document["stated"] = {"mape": found.accuracy.mape, "now": found.now.mape, "unadjusted": found.unadjusted.mape}
    (folder / "recording.json").write_text(json.dumps(document) + "\n")
    return folder
