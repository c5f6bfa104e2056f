"""A table for a new device from that of another and a few networks measured on the new one.

The other device's table says how a network's latency splits into kinds of operators. On the new device each kind takes
another time: with A_c the part of kind c on the first device, and w_k amounts of work that any device is asked for,

    network = fixed + sum over kinds of scale_c * A_c + sum over amounts of rate_k * w_k

No constant is negative. With ten networks not every one can be told, so scales are drawn towards one common scale and
rates to zero; how strongly is decided by leaving networks out. The error that is stored with the table leaves networks
out once more, around that decision, so that no network helps to predict itself. (Others transfer latencies from a few
measurements too: BRP-NAS, NeurIPS 2020; HELP, NeurIPS 2021.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.devices import Provenance
from edgenas.latency.check.validation import Accuracy
from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.predict.interpolation import Interpolation
from edgenas.latency.predict.operator_model import non_negative_least_squares, operator_terms
from edgenas.latency.predict.operators import OperatorWork, signature_work
from edgenas.latency.predict.predictor import Predictor
from edgenas.latency.table.error_figures import error_figures
from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.spaces.space.search_space import SearchSpace

Array = NDArray[np.float64]

LEAST_NETWORKS = 4
CLASSES = ("pointwise", "dense", "grouped", "depthwise", "other")
#: What a block asks of any device: operators, multiply-accumulates (of all operators; of convolutions whose channels
#: fill no tile of 16), bytes of activations and parameters, output positions times groups of group convolutions.
AMOUNTS = ("operators", "macs", "ragged_macs", "moved_bytes", "group_positions")
_CLASS_OF = {"CONV_2D/1x1": "pointwise", "CONV_2D/dense": "dense", "CONV_2D/grouped": "grouped"}
#: How strongly scales are drawn to the common one, in networks that agree with it: from almost free to one scale.
_STRENGTHS = (0.0003, 0.003, 0.03, 0.3, 100.0)
#: No kind of operator is believed to be cheaper than this share of the common scale.
_LEAST_SHARE = 0.02
#: What a network costs besides its blocks is drawn to zero this weakly.
_FREE = 1e-4
_CANDIDATES = 2000


class Splitter:
    """Splits what blocks contribute on the first device into kinds of operators, in ms."""

    def __init__(self, table: LatencyTable) -> None:
        self.table = table
        self._predictor = Predictor(table)
        self._rates = Interpolation(table).model.rates

    def parts(self, signature: str) -> Array:
        """(classes + amounts,): ms by kind, then the amounts of :data:`AMOUNTS`."""
        works = signature_work(signature)
        by_class = dict.fromkeys(CLASSES, 1e-12)
        for work in works:
            by_class[operator_class(work)] += self._rates.operator_ms(work)
        shares = np.array(list(by_class.values()))
        contribution = self._predictor.row_ms(self.table.rows[signature])
        ragged = sum(operator_terms(work).get("ragged", 0.0) for work in works)
        moved = sum(work.moved_bytes for work in works)
        grouped = sum(work.groups * work.output_positions for work in works if work.groups > 1)
        amounts = [len(works), sum(work.macs for work in works), ragged, moved, grouped]
        return np.concatenate([contribution * shares / shares.sum(), amounts])

    def network(self, network: Network) -> Array:
        """The sums over a network's blocks. Raises InputError when the table lacks one."""
        signatures = network.signatures(self.table.precision).values()
        missing = [signature for signature in signatures if signature not in self.table.rows]
        if missing:
            raise InputError(
                f"the table of {self.table.device} lacks {len(missing)} blocks of network {network.name!r}, such as "
                f"{missing[0]!r}: complete it with `edgenas profile --device {self.table.device}`"
            )
        return np.sum([self.parts(signature) for signature in signatures], axis=0)


def operator_class(work: OperatorWork) -> str:
    """One of :data:`CLASSES`."""
    if work.name == "DEPTHWISE_CONV_2D":
        return "depthwise"
    return _CLASS_OF.get(work.kind, "other")


@dataclass(frozen=True)
class Adaptation:
    """What takes the first device's latencies to the new one's, and how well on networks that were left out.

    ``scales`` by kind of operator; ``scale_only`` is the error of the naive way, one common scale, on the same
    networks left out. ``pairs`` are (predicted while left out, measured) in ms.
    """

    scales: Mapping[str, float]
    fixed_ms: float
    rates: Mapping[str, float]
    strength: float
    networks: int
    accuracy: Accuracy
    scale_only: Accuracy
    pairs: tuple[tuple[float, float], ...]

    def row_ms(self, parts: Array) -> float:
        """What a block adds to a network on the new device, from :meth:`Splitter.parts`."""
        return float(parts @ self._vector())

    def network_ms(self, parts: Array) -> float:
        """Latency of a network, from :meth:`Splitter.network`."""
        return self.fixed_ms + self.row_ms(parts)

    def _vector(self) -> Array:
        return np.array([*(self.scales[name] for name in CLASSES), *(self.rates[name] for name in AMOUNTS)])

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON documents."""
        return {
            "networks": self.networks,
            "scales": {name: round(scale, 5) for name, scale in self.scales.items()},
            "fixed_ms": self.fixed_ms,
            "rates": dict(self.rates),
            "strength": self.strength,
            "leave_one_out": vars(self.accuracy),
            "scale_only_leave_one_out": vars(self.scale_only),
        }

    def describe(self) -> str:
        """The errors in words."""
        return (
            f"leave-one-out on {self.networks} networks: mean error {self.accuracy.mape:.1%}, largest "
            f"{self.accuracy.max_error:.1%}, Spearman {self.accuracy.spearman:.3f} (one scale for all: mean error "
            f"{self.scale_only.mape:.1%}, largest {self.scale_only.max_error:.1%})"
        )


def choose_networks(
    space: SearchSpace, splitter: Splitter, count: int, *, seed: int = 0
) -> tuple[list[Network], list[str]]:
    """``count`` networks of a space that differ most in latency and in what it is spent on; and their architectures.

    The first is nearest to the middle of random networks, each next one farthest from all before (k-centre greedy).
    Raises InputError when the table lacks blocks of the space.
    """
    missing = Predictor(splitter.table).missing(space)
    if missing:
        raise InputError(
            f"the table of {splitter.table.device} lacks {len(missing)} blocks of space {space.name!r}, such as "
            f"{missing[0]!r}: complete it with `edgenas profile --device {splitter.table.device} --space ...`"
        )
    rng = np.random.default_rng(seed)
    population = np.unique(space.sample(rng, _CANDIDATES), axis=0)
    if len(population) < count:
        raise InputError(f"space {space.name!r} has only {len(population)} networks to choose {count} from")
    parts = population_parts(space, splitter, population)
    parts = parts[:, : len(CLASSES)]
    points = np.log(parts + 0.01 * parts.mean(axis=0) + 1e-12)
    points = np.column_stack([points, np.log(parts.sum(axis=1))])
    points = (points - points.mean(axis=0)) / np.maximum(points.std(axis=0), 1e-9)
    points[:, -1] *= len(CLASSES)  # the latency itself counts as much as all that it is spent on
    chosen = [int(np.argmin((points**2).sum(axis=1)))]
    distance = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    rows = [population[place] for place in chosen]
    return [space.decode(row) for row in rows], [str(space.architecture(row)) for row in rows]


def population_parts(space: SearchSpace, splitter: Splitter, population: NDArray[np.int16]) -> Array:
    """(N, classes + amounts) parts of each architecture."""
    precision = splitter.table.precision
    parts = {signature: splitter.parts(signature) for signature in space.signatures(precision)}
    count = len(CLASSES) + len(AMOUNTS)

    def column(place: int) -> dict[str, Array]:
        return space.signature_arrays(precision, lambda name: float(parts[name][place]))

    arrays = [column(place) for place in range(count)]
    return np.stack(space.population_costs(population, *arrays), axis=1)


def fit_adaptation(parts: Array, measured_ms: Array) -> Adaptation:
    """Fits the new device's constants on networks.

    ``parts`` (N, classes + amounts) from :meth:`Splitter.network`, ``measured_ms`` (N,) on the new device. Raises
    InputError for fewer than :data:`LEAST_NETWORKS` networks.
    """
    count = len(measured_ms)
    if count < LEAST_NETWORKS:
        raise InputError(f"{count} measured networks are too few to adapt a table: give at least {LEAST_NETWORKS}")
    places = np.arange(count)
    held_out, naive = np.zeros(count), np.zeros(count)
    for place in places:
        rest = places != place
        strength = _choose_strength(parts[rest], measured_ms[rest])
        held_out[place] = _predict(_fit(parts[rest], measured_ms[rest], strength), parts[place])
        naive[place] = _scale(parts[rest], measured_ms[rest]) * parts[place, : len(CLASSES)].sum()
    strength = _choose_strength(parts, measured_ms)
    fixed, *constants = _fit(parts, measured_ms, strength).tolist()
    return Adaptation(
        scales=dict(zip(CLASSES, constants[: len(CLASSES)], strict=True)),
        fixed_ms=fixed,
        rates=dict(zip(AMOUNTS, constants[len(CLASSES) :], strict=True)),
        strength=strength,
        networks=count,
        accuracy=Accuracy.of(held_out, measured_ms),
        scale_only=Accuracy.of(naive, measured_ms),
        pairs=tuple(zip(held_out.tolist(), measured_ms.tolist(), strict=True)),
    )


def adapted_table(
    adaptation: Adaptation,
    splitter: Splitter,
    identity: Provenance,
    *,
    anchor_ms: float,
    protocol: str,
    statistic: str,
    created: str,
) -> LatencyTable:
    """The table for the new device: ``modelled``, with the error on networks left out as its calibration's.

    ``identity`` is what the new device says of itself, ``protocol`` how its networks were measured, ``anchor_ms`` the
    reference model's time beside them.
    """
    source = splitter.table
    rows = {}
    for signature in source.rows:
        try:
            rows[signature] = Row(float(f"{adaptation.row_ms(splitter.parts(signature)):.5g}"))
        except InputError:
            continue  # a block that is not registered here cannot be split
    accuracy = adaptation.accuracy
    return LatencyTable(
        device=identity.device,
        precision=source.precision,
        runtime=identity.runtime,
        runtime_version=identity.runtime_version,
        threads=identity.threads,
        protocol=(
            f"modelled: adapted from the table of {source.device} ({source.runtime} {source.runtime_version}, "
            f"{source.threads} thread(s), {source.created}) with {adaptation.networks} networks (leave-one-out "
            f"Spearman {accuracy.spearman:.3f}), {protocol}"
        ),
        anchor_ms=anchor_ms,
        created=created,
        rows=rows,
        calibration=Calibration(
            networks=adaptation.networks,
            **error_figures([predicted / measured - 1 for predicted, measured in adaptation.pairs]),
            base_ms=adaptation.fixed_ms,
            pairs=adaptation.pairs,
        ),
        statistic=statistic,
        cpu_model=identity.cpu_model,
        governor=identity.governor,
        frequency_mhz=None if identity.frequency_mhz is None else str(identity.frequency_mhz),
        system=identity.system,
        kind="modelled",
    )


def _scale(parts: Array, measured_ms: Array) -> float:
    """The one scale that fits best by relative error."""
    ratios = parts[:, : len(CLASSES)].sum(axis=1) / measured_ms
    return float(ratios.sum() / (ratios**2).sum())


def _fit(parts: Array, measured_ms: Array, strength: float) -> Array:
    """(fixed, scales, rates): relative least squares, scales drawn to the common one, rates to zero."""
    kinds = len(CLASSES)
    common = _scale(parts, measured_ms)
    design = np.column_stack([np.ones(len(parts)), parts]) / measured_ms[:, None]
    # Scales in units of the common one, the rest in units of what explains all of an average network.
    units = 1 / np.maximum(design.mean(axis=0), 1e-12)
    units[1 : kinds + 1] = common
    expected = np.zeros(len(units))
    expected[1 : kinds + 1] = 1.0
    strengths = np.full(len(units), strength)
    strengths[0] = _FREE
    pull = np.diag(np.sqrt(strengths))
    target = np.append(np.ones(len(parts)), pull @ expected)
    solution = non_negative_least_squares(np.vstack([design * units, pull]), target)
    solution[1 : kinds + 1] = np.maximum(solution[1 : kinds + 1], _LEAST_SHARE)
    return solution * units


def _predict(constants: Array, parts: Array) -> float:
    return float(constants[0] + constants[1:] @ parts)


def _choose_strength(parts: Array, measured_ms: Array) -> float:
    """The strength with the least squared relative error on networks left out one by one."""
    places = np.arange(len(measured_ms))
    errors = []
    for strength in _STRENGTHS:
        predicted = [_predict(_fit(parts[places != p], measured_ms[places != p], strength), parts[p]) for p in places]
        errors.append(float(np.mean((np.array(predicted) / measured_ms - 1) ** 2)))
    return _STRENGTHS[int(np.argmin(errors))]
