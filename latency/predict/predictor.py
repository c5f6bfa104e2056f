"""Predicts quiet latency and energy of networks, one by one or a whole population at once, from a latency table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from edgenas.devices import Provenance
from edgenas.latency.predict.calibration import Calibration
from edgenas.latency.predict.memory import MEMORY_COSTS, MemoryFit, together
from edgenas.latency.table.error_figures import in_words
from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.spaces.space.decision import Architecture
from edgenas.spaces.space.population import Population
from edgenas.spaces.space.search_space import SearchSpace

#: The node, in predictions, of what stands behind a network.
BEHIND = "behind the network"
#: A calibration error above this is worth a word.
_LARGE_ERROR = 0.05


@dataclass(frozen=True)
class Prediction:
    """Predicted quiet latency of a network in ms: ``fixed_ms`` plus what each node contributes.

    ``error`` is the table's own: ``{"mape", "interval", "max", "networks"}``, leave-one-out on measured networks.
    """

    latency_ms: float
    per_node: dict[str, float]
    fixed_ms: float
    provenance: Provenance
    error: dict[str, Any]
    statistic: str = "quiet_min"
    #: Above idle; None when the table knows no energies. By node as ``per_node``.
    energy_mj: float | None = None
    energy_per_node: dict[str, float] = field(default_factory=dict)
    #: Where the energy comes from, apart from where the latency does: :meth:`Predictor.energy_provenance`.
    energy_provenance: dict[str, Any] | None = None
    #: Memory on the device by cost (``sram_bytes``, ``flash_bytes``), where the table tells it.
    memory: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON documents."""
        return dataclasses.asdict(self) | {"provenance": self.provenance.to_json()}


def unknown_energy(device: str) -> str:
    """What to do about a device that has neither a meter nor watts, in words for its user."""
    return (
        f"nothing is known of the energy of device {device!r}: it has no meter, and its file gives no watts. Say what "
        f"it draws in its file (power: {{idle_watts: W, active_watts: W}}; `edgenas devices show {device}` names it, "
        f"`edgenas devices add NAME --local --idle-watts W --active-watts W` makes one for this machine), or give it a "
        f"meter (`edgenas devices check {device}`), then run `edgenas profile` again"
    )


class Predictor:
    """Looks blocks up in a table and adds them, as the table's calibration says.

    Never guesses: a signature that the table lacks is refused with the command that measures it.

    Args:
        table: what blocks cost.
        behind: signature of what a device's file has behind every network, such as the operator that makes boxes of a
            detector's outputs. Where the table has no such row, predictions are without it (:attr:`behind`).
    """

    def __init__(self, table: LatencyTable, behind: str = "") -> None:
        self.table = table
        #: The row of what stands behind every network; None where nothing does, or its cost is not known.
        self.behind: Row | None = table.rows.get(behind)
        self._behind_signature = behind
        self.calibration = table.calibration or Calibration()
        self.statistic = table.statistic
        self._arrays: WeakKeyDictionary[SearchSpace, dict[str, NDArray[np.float64]]] = WeakKeyDictionary()
        self._cache_miss_costs: WeakKeyDictionary[SearchSpace, dict[str, NDArray[np.float64]]] = WeakKeyDictionary()
        self._energy_arrays: WeakKeyDictionary[SearchSpace, dict[str, NDArray[np.float64]]] = WeakKeyDictionary()

    @property
    def error(self) -> dict[str, Any]:
        """How wrong predictions were on whole networks that the calibration had not seen."""
        calibration = self.calibration
        return {
            "mape": calibration.mape,
            "interval": calibration.mape_interval,
            "max": calibration.max_error,
            "networks": calibration.networks,
        }

    @property
    def provenance(self) -> Provenance:
        """That of the table; predictions are modelled from measurements, or as simulated as the table."""
        provenance = self.table.provenance
        return provenance if provenance.kind == "simulated" else dataclasses.replace(provenance, kind="modelled")

    def require_latency(self) -> None:
        """Raises InputError with what to do when the table knows energies alone."""
        if not self.table.knows_latency:
            raise InputError(
                f"the latency table of {self.table.device} knows energies alone: give figures with a column latency_ms "
                f"to `edgenas profile --measurements`"
            )

    def describe_error(self) -> str:
        """One line that is printed wherever predictions are used."""
        if not self.table.knows_latency and self.table.energy is not None:
            return f"table of {self.table.device} (no latencies): {self.table.energy.describe()}"
        if self.calibration.mape is None:
            return f"latency table of {self.table.device}: not calibrated with whole networks, error unknown"
        again = ""
        if self.calibration.mape > _LARGE_ERROR and self.table.kind is None:
            again = "; that is much: measure again on a quiet device (`edgenas profile --fresh`)"
        error = in_words(self.calibration.mape, self.calibration.max_error, self.calibration.mape_interval)
        adapted = "adapted from another device's, " if self.table.is_adapted else ""
        created = self.calibration.created or self.table.created
        return (
            f"latency table of {self.table.device} ({adapted}{self.table.runtime} {self.table.runtime_version}, "
            f"{self.table.precision}, {created}): {error}, leave-one-out on {self.calibration.networks} "
            f"{self.table.networks_kind} networks{again}"
        )

    @property
    def behind_ms(self) -> float:
        """What stands behind every network adds to its latency, in ms; it is in every prediction."""
        return 0.0 if self.behind is None else self.row_ms(self.behind)

    @property
    def _behind_mj(self) -> float:
        return 0.0 if self.behind is None else self._row_mj(self.behind)

    def describe_in_networks(self) -> str | None:
        """One line about rows that were measured in networks; None where there are none."""
        seen = sum(row.networks > 0 for row in self.table.rows.values())
        if not seen:
            return None
        cache_misses = self.calibration.cache_misses
        if not cache_misses.ms_per_mb:
            return f"{seen} of them measured in networks; no difference was found between fast and slow networks"
        return (
            f"{seen} of them measured in networks; slow ones, and most of that comes within "
            f"{2 * cache_misses.decay_ms:.2g} ms, add about {cache_misses.ms_per_mb:.2g} ms per MB of weights"
        )

    def describe_deployed(self) -> str | None:
        """One line about the medians of normal runs, as they were while the table was made; None when unknown."""
        calibration = self.calibration
        if calibration.deployed_median is None or self.table.kind is not None:
            return None
        error = "" if calibration.deployed_error is None else f", mean error of that {calibration.deployed_error:.1%}"
        return (
            f"a normal run took {calibration.deployed_median:.2f} times the quiet latency in the median{error}, "
            f"{calibration.deployed_p95:.2f} times at the 95th percentile, while the table was made"
        )

    def predict(self, network: Network) -> Prediction:
        """The quiet latency of any network whose blocks are in the table. Raises InputError naming those that lack."""
        signatures = network.signatures(self.table.precision)
        self._refuse_missing([s for s in signatures.values() if s not in self.table.rows], f"network {network.name!r}")
        rows = {name: self.table.rows[signature] for name, signature in signatures.items()}
        return self.add_up(rows if self.behind is None else {**rows, BEHIND: self.behind})

    def add_up(self, rows: Mapping[str, Row]) -> Prediction:
        """The quiet latency of a network of these blocks, by any names, wherever their rows come from."""
        self.require_latency()
        standalone = np.array([row.latency_ms for row in rows.values()])
        plain = self.calibration.parts(list(rows.values()))
        total = self._total(plain.sum(), (missed := self.calibration.cache_miss_parts(list(rows.values()))).sum())
        # What is beyond the sum falls to the blocks that are slower in slow networks.
        parts = plain + missed * ((total - self.calibration.fixed_ms - plain.sum()) / max(missed.sum(), 1e-12))
        energies = [self.row_energy(row) for row in rows.values()]
        energy_parts = self._energy_parts(np.array(energies), standalone, plain)
        known = self.table.energy is not None and not np.isnan(energy_parts).any()
        return Prediction(
            latency_ms=total,
            per_node={name: float(part) for name, part in zip(rows, parts, strict=True)},
            fixed_ms=self.calibration.fixed_ms,
            provenance=self.provenance,
            error=self.error,
            statistic=self.statistic,
            energy_mj=self._fixed_mj + float(energy_parts.sum()) if known else None,
            energy_per_node={name: float(part) for name, part in zip(rows, energy_parts, strict=True)} if known else {},
            energy_provenance=self.energy_provenance if known else None,
            memory={
                name: float(fit.network_bytes(together(name, [getattr(row, name) for row in rows.values()])))
                for name, fit in self.calibration.memory.items()
            },
        )

    # Memory --------------------------------------------------------------------------------------------------------

    def require_memory(self, cost: str) -> MemoryFit:
        """The step from blocks to networks. Raises InputError when the table does not tell this cost."""
        if cost not in self.calibration.memory:
            told = ", ".join(self.calibration.memory) or "none"
            raise InputError(
                f"the latency table of {self.table.device} does not tell {cost} (of memory it tells: {told}): the "
                f"devices of kind ethos-u do; leave the cost out of the budget, or name one of those"
            )
        return self.calibration.memory[cost]

    def population_memory(self, space: SearchSpace, population: Population, cost: str) -> NDArray[np.float64]:
        """(N,) predicted memory in bytes. Raises InputError when the table does not tell it, or lacks a block."""
        fit, arrays = self.require_memory(cost), self.memory_arrays(space, cost)
        of = space.population_most if MEMORY_COSTS[cost] == "max" else space.population_cost
        total = of(population, arrays)
        if np.isnan(total).any():
            self._refuse_missing(self.missing(space), f"space {space.name!r}")
        return fit.network_bytes(total)

    def memory_arrays(self, space: SearchSpace, cost: str) -> dict[str, NDArray[np.float64]]:
        """What each entry of each slot needs, in bytes; NaN where the table lacks it."""

        def needed(signature: str) -> float:
            row = self.table.rows.get(signature)
            return np.nan if row is None else float(getattr(row, cost))

        return space.signature_arrays(self.table.precision, needed)

    # Energy --------------------------------------------------------------------------------------------------------

    @property
    def energy_provenance(self) -> dict[str, Any] | None:
        """``{"kind", "table_kind", "meter", "idle_watts", "active_watts", "error", "summary"}``; None without energies.

        ``table_kind`` is what the blocks' energies are; what is added up from them is modelled at best.
        """
        energy = self.table.energy
        if energy is None:
            return None
        return {
            "kind": "simulated" if energy.kind == "simulated" else "modelled",
            "table_kind": energy.kind,
            "meter": energy.meter,
            "idle_watts": energy.idle_watts,
            "active_watts": energy.active_watts,
            "error": energy.error,
            "summary": energy.describe(),
        }

    def row_energy(self, row: Row) -> float:
        """Energy of a standalone block in mJ; NaN when it is not known.

        Where the energies are made of watts, a row without one (interpolated, say) gets them too, bytes apart.
        """
        if row.energy_mj is not None:
            return row.energy_mj
        energy = self.table.energy
        if energy is None or energy.kind == "measured":
            return float("nan")
        return energy.active_above_idle_watts * row.latency_ms

    def require_energy(self) -> None:
        """Raises InputError with what to do when the table knows no energies."""
        if self.table.energy is None:
            raise InputError(unknown_energy(self.table.device))

    def population_energy(self, space: SearchSpace, population: Population) -> NDArray[np.float64]:
        """(N,) predicted energies in mJ. Raises InputError when the table lacks a block, or its energy."""
        self.require_energy()
        total = self._fixed_mj + self._behind_mj + space.population_cost(population, self.energy_arrays(space))
        if np.isnan(total).any():
            self._refuse_missing_energies(space)
        return total

    def cheapest_energy(self, space: SearchSpace) -> tuple[Architecture, float]:
        """The architecture with the least predicted energy, exactly, and that energy in mJ."""
        self.require_energy()
        self._refuse_missing_energies(space)
        architecture, total = space.cheapest(self.energy_arrays(space))
        return architecture, self._fixed_mj + self._behind_mj + total

    def energy_arrays(self, space: SearchSpace) -> dict[str, NDArray[np.float64]]:
        """What each entry of each slot contributes, in mJ; NaN where the table lacks it."""
        if space not in self._energy_arrays:
            self._energy_arrays[space] = space.signature_arrays(self.table.precision, self._energy_contribution)
        return self._energy_arrays[space]

    @property
    def _fixed_mj(self) -> float:
        return 0.0 if self.table.energy is None else self.table.energy.fixed_mj

    def _energy_parts(
        self, energies: NDArray[np.float64], standalone: NDArray[np.float64], parts: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        if self.table.energy is None:
            return np.full(parts.shape, np.nan)
        return self.table.energy.contributions(energies, standalone, parts)

    def _energy_contribution(self, signature: str) -> float:
        row = self.table.rows.get(signature)
        return float("nan") if row is None else self._row_mj(row)

    def _row_mj(self, row: Row) -> float:
        """What a block adds to a network's energy, in mJ; NaN where it is not known."""
        standalone = np.array(row.latency_ms)
        return float(self._energy_parts(np.array(self.row_energy(row)), standalone, np.array(self.row_ms(row))))

    def _refuse_missing_energies(self, space: SearchSpace) -> None:
        self._refuse_missing(self.missing(space), f"space {space.name!r}")
        rows = {signature: self.table.rows[signature] for signature in space.signatures(self.table.precision)}
        if self.behind is not None:
            rows[self._behind_signature] = self.behind
        unknown = [signature for signature, row in rows.items() if np.isnan(self.row_energy(row))]
        if unknown:
            raise InputError(
                f"the latency table of {self.table.device} ({self.table.precision}) lacks the energy of "
                f"{len(unknown)} signatures of space {space.name!r}, such as {unknown[0]!r}: measure it with "
                f"`edgenas profile --device {self.table.device}`"
            )

    # Latency of many -----------------------------------------------------------------------------------------------

    def missing(self, space: SearchSpace) -> list[str]:
        """Signatures of a space that the table lacks."""
        return [signature for signature in space.signatures(self.table.precision) if signature not in self.table.rows]

    def population(self, space: SearchSpace, population: Population) -> NDArray[np.float64]:
        """(N,) predicted quiet latencies in ms. Raises InputError when an architecture has a block that lacks."""
        self.require_latency()
        costs = [self.cost_arrays(space)]
        if self.calibration.cache_miss_ms_per_mb:
            costs.append(self._cache_miss_arrays(space))
        plain, *missed = space.population_costs(population, *costs)
        if np.isnan(plain).any():
            self._refuse_missing(self.missing(space), f"space {space.name!r}")
        total = self.calibration.fixed_ms + self.behind_ms + plain
        if not missed:
            return total
        of_behind = 0.0 if self.behind is None else float(self.calibration.cache_miss_parts([self.behind])[0])
        return self.calibration.cache_misses.network_ms(total, missed[0] + of_behind)

    def cheapest(self, space: SearchSpace) -> tuple[Architecture, float]:
        """The architecture with the least predicted latency, and that latency in ms.

        Exact where the table does not tell fast and slow networks apart, and where the fastest network is a fast one;
        else the better of the two that would be fastest if all were fast, or all slow.
        """
        self.require_latency()
        self._refuse_missing(self.missing(space), f"space {space.name!r}")
        arrays = self.cost_arrays(space)
        if not self.calibration.cache_miss_ms_per_mb:
            architecture, total = space.cheapest(arrays)
            return architecture, self.calibration.fixed_ms + self.behind_ms + total
        slow = {name: costs + self._cache_miss_arrays(space)[name] for name, costs in arrays.items()}
        found = [space.cheapest(each)[0] for each in (arrays, slow)]
        latencies = self.population(space, space.to_population(found))
        return found[int(np.argmin(latencies))], float(latencies.min())

    def cost_arrays(self, space: SearchSpace) -> dict[str, NDArray[np.float64]]:
        """What each entry of each slot contributes to a fast network, in ms; NaN where the table lacks it."""
        if space not in self._arrays:
            self._arrays[space] = space.signature_arrays(self.table.precision, self._contribution)
        return self._arrays[space]

    def _cache_miss_arrays(self, space: SearchSpace) -> dict[str, NDArray[np.float64]]:
        """What each entry of each slot adds to slow networks beyond that, in ms; 0 where the table lacks it."""
        if space not in self._cache_miss_costs:

            def missed(signature: str) -> float:
                row = self.table.rows.get(signature)
                return 0.0 if row is None else float(self.calibration.cache_miss_parts([row])[0])

            self._cache_miss_costs[space] = space.signature_arrays(self.table.precision, missed)
        return self._cache_miss_costs[space]

    def _total(self, plain_ms: float, cache_miss_ms: float) -> float:
        return float(self.calibration.cache_misses.network_ms(self.calibration.fixed_ms + plain_ms, cache_miss_ms))

    def _contribution(self, signature: str) -> float:
        row = self.table.rows.get(signature)
        return np.nan if row is None else self.row_ms(row)

    def row_ms(self, row: Row) -> float:
        """What a block adds to a fast network, in ms."""
        return float(self.calibration.parts([row])[0])

    def _refuse_missing(self, missing: list[str], what: str) -> None:
        if missing:
            raise InputError(
                f"the latency table of {self.table.device} ({self.table.precision}) lacks {len(missing)} signatures of "
                f"{what}, such as {missing[0]!r}: measure them with `edgenas profile --device {self.table.device}`"
            )
