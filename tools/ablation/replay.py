"""A recorded profile and validation, worked out again from their visits: nothing is measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ablation.recording import Recording, needed_entries
from edgenas.devices import Device, DeviceSpec, Measurement, MeasureSettings, Provenance
from edgenas.devices.device import MeasurementOutcome, Model
from edgenas.latency.check.validation import SeenNetworks, distinct_population, seen_networks
from edgenas.latency.costing.measured import MeasuredCosting
from edgenas.latency.measure.operator_visits import OperatorVisit
from edgenas.latency.measure.session import Session, by_key, digest
from edgenas.latency.measure.visits import QuietSettings, Visit, Visits
from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.profile.in_networks import measure_in_networks
from edgenas.latency.profile.neighbourhoods import Neighbourhoods
from edgenas.latency.profile.operator_counts import count_operators
from edgenas.latency.profile.reference_networks import calibration_networks, reference_networks
from edgenas.latency.profile.standalone import blocks_of, measure_standalone
from edgenas.latency.table.latency_table import LatencyTable
from edgenas.spaces.graph import OpGraph
from edgenas.spaces.network import Network

_IDENTITY = Provenance("measured", "recorded", "recorded", "0")


class ReplayDevice(Device):
    """Answers as the recorded one did when operators were counted."""

    def __init__(self, lines: Iterable[tuple[int, str, str, Any]], precision: str) -> None:
        super().__init__(DeviceSpec("recorded", "recorded", precisions=(precision,)))
        calls: dict[int, dict[str, Measurement]] = {}
        for call, kind, name, figures in lines:
            if kind == "counts":
                calls.setdefault(call, {})[name] = _measurement(figures)
        self._calls = iter(calls.values())

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Nobody is kept from anything."""
        yield

    def identity(self, *, threads: int = 1) -> Provenance:
        return _IDENTITY

    def measure_many(
        self,
        models: Mapping[str, Model],
        settings: MeasureSettings | None = None,
        on_result: Callable[[str, MeasurementOutcome], None] | None = None,
    ) -> dict[str, MeasurementOutcome]:
        answers = next(self._calls)
        if on_result:
            for name in models:
                on_result(name, answers[name])
        return dict(answers)


class ReplaySession(Session):
    """A session whose visits have all happened."""

    deployed: Mapping[str, tuple[float, float]] = {}

    def measure(self, graphs: Mapping[str, OpGraph], *, what: str, batch: int) -> None:
        return

    def with_deployed(
        self, calibration: Calibration, networks: Sequence[Network], quiet_ms: Sequence[float]
    ) -> Calibration:
        ratios = np.array([np.array(self.deployed[str(i)]) / quiet for i, quiet in enumerate(quiet_ms)])
        return calibration.with_deployed(ratios[:, 0], ratios[:, 1])


@dataclasses.dataclass(frozen=True)
class RecordedNeighbourhoods(Neighbourhoods):
    """The networks that were chosen then."""

    networks: Mapping[str, list[list[int]]] = dataclasses.field(default_factory=dict)

    def around(self, signatures: Collection[str], times: int) -> list[Network]:
        return self._decoded("around")

    def fast_around(self, signatures: Collection[str], latencies_ms: Mapping[str, float], most: int) -> list[Network]:
        return self._decoded("fast_around")

    def fast(self, latencies_ms: Mapping[str, float], count: int) -> list[Network]:
        return self._decoded("fast")

    def _decoded(self, what: str) -> list[Network]:
        return [self.space.decode(np.array(row, np.int16)) for row in self.networks.get(what, [])]


class Replay:
    """One recording, read once and worked out as often as asked."""

    def __init__(self, recording: Recording) -> None:
        self.recording, self.precision = recording, recording.precision
        self.space = recording.search_space()
        rng = np.random.default_rng(recording.seed)
        population = distinct_population(self.space, rng, recording.validated)
        self.validated = [self.space.decode(row) for row in population]
        self.calibrating = calibration_networks(self.space)
        self.entries = needed_entries(self.space, [*self.calibrating, *self.validated], self.precision)
        self._profile, self._validation = recording.lines("profile"), recording.lines("validation")
        self._visits = [(name.partition(" ")[2], _visit(f)) for _, kind, name, f in self._profile if kind == "visit"]
        self._seen = [(name.partition(" ")[2], _visit(f)) for _, kind, name, f in self._validation if kind == "visit"]
        self.deployed = {name: tuple(f) for _, kind, name, f in self._profile if kind == "deployed"}

    def table(self) -> LatencyTable:
        """The table that follows from the profile's visits."""
        device, settings = ReplayDevice(self._profile, self.precision), QuietSettings()
        visits = _noted(Visits(settings), self._visits)
        session = ReplaySession(device, self.precision, 1, visits)
        session.deployed = self.deployed
        blocks = {**self.entries, **blocks_of(self.calibrating, self.precision)}.values()
        counts = count_operators(
            device, self.calibrating, blocks, precision=self.precision, threads=1, settings=settings
        )
        empty = LatencyTable("recorded", self.precision, "recorded", "0", 1, "recorded", visits.reference_ms, "")
        if counts is None:
            rows, calibration = measure_standalone(session, self.entries, self.calibrating)
        else:
            neighbourhoods = RecordedNeighbourhoods(self.space, self.precision, 0, self.recording.networks)
            rows, calibration = measure_in_networks(
                session, self.entries, empty, self.calibrating, neighbourhoods, counts
            )
        calibration = dataclasses.replace(calibration, of=digest(self.calibrating, self.precision))
        return empty.with_rows(rows).with_session(
            anchor_ms=visits.reference_ms, calibration=calibration, created=self.recording.created
        )

    @property
    def is_validated(self) -> bool:
        """Whether all networks were visited before somebody stopped the recording."""
        wanted = {str(place) for place in range(len(self.validated))}
        wanted |= {f"reference {place}" for place in range(len(by_key(self.calibrating, self.precision)))}
        return {name for name, _ in self._seen} >= wanted

    def seen(self, table: LatencyTable) -> SeenNetworks:
        """What the validation's visits tell for a table, its own or that of another time."""
        visits = _noted(Visits(table.visit_settings(), table.anchor_ms), self._seen)
        measured = MeasuredCosting(ReplayDevice([], self.precision))
        references = reference_networks(self.space, table)
        return seen_networks(visits.latencies(visits.by_model), len(self.validated), references, measured.drift)

    def predicted_ms(self, table: LatencyTable) -> np.ndarray:
        """What a table says of the validated networks."""
        predictor = Predictor(table)
        return np.array([predictor.predict(network).latency_ms for network in self.validated])


def _noted(visits: Visits, seen: Iterable[tuple[str, Visit]]) -> Visits:
    for name, visit in seen:
        visits.add(name, visit)
    return visits


def _visit(figures: Any) -> Visit:
    if isinstance(figures, dict):
        return OperatorVisit(
            tuple((before, after) for before, after in figures["anchors_ms"]),
            tuple(map(tuple, figures["operators_us"])),
        )
    return tuple((sample, before, after) for sample, before, after in figures)


def _measurement(figures: Any) -> Measurement:
    visit = _visit(figures)
    if isinstance(visit, OperatorVisit):
        return Measurement(
            tuple(map(float, visit.runs_ms)), _IDENTITY, anchors_ms=visit.anchors_ms, operators_us=visit.operators_us
        )
    return Measurement(tuple(c[0] for c in visit), _IDENTITY, anchors_ms=tuple((c[1], c[2]) for c in visit))
