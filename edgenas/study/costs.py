"""Costs of architectures without training or measuring anything: exact counts; latency and energy from the table.

Every cost here but memory is a sum over blocks, so a population of thousands costs a few array look-ups; memory
follows from what is alive at each block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgenas.search.problem import Population, Problem
from edgenas.spaces.cost import graph_weight_bytes
from edgenas.spaces.entry import SlotEntry
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import OpGraph
from edgenas.spaces.space.decision import Architecture
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.study.cost_names import DEVICE_COSTS, MEMORY_COSTS, cost_name, split_name
from edgenas.study.objectives import within

if TYPE_CHECKING:
    from edgenas.latency.predict.predictor import Predictor

Array = npt.NDArray[np.float64]

#: What a ``.tflite`` file holds besides weights and biases, in bytes: per file, per operator with its tensors, and
#: per filter (scale and zero point, 12 bytes, of weights and of biases). Fitted on 30 files; within 250 bytes.
_FILE_BYTES, _OPERATOR_BYTES, _FILTER_BYTES = 1100, 245, 24
#: What the microcontrollers' interpreter keeps beside the tensors that are alive, in bytes: per model, per operator
#: with its tensors, per filter. Fitted on 24 networks of three spaces that it loaded; within 3.4 % of the tail.
_ARENA_BYTES, _ARENA_OPERATOR_BYTES, _ARENA_FILTER_BYTES = 577, 170, 7.82
#: Random architectures that are looked at when no obvious one keeps several limits at once.
_START_SAMPLES = 20_000


class CostModel:
    """Costs of the architectures of a space, by name with the unit in the name.

    Args:
        space: the search space.
        precision: of the deployed model.
        predictor: predicts ``latency_ms``, and ``energy_mj`` where its table knows energies; without one these costs
            are not available. Several devices: their predictors by name; costs are then called ``latency_ms@NAME``.
        measured: further costs that add up over blocks, by name: of a block, by its signature in float32.
        behind: what the file has behind every network; predictors know what it takes on their device.
    """

    def __init__(
        self,
        space: SearchSpace,
        precision: str,
        predictor: Predictor | Mapping[str, Predictor] | None = None,
        measured: Mapping[str, Mapping[str, float]] | None = None,
        behind: SlotEntry | None = None,
    ) -> None:
        self.space = space
        self.precision = precision
        self.predictors: dict[str, Predictor] = {}
        if isinstance(predictor, Mapping):
            self.predictors.update(predictor)
        elif predictor is not None:
            self.predictors[""] = predictor
        counted: dict[str, Callable[[SlotEntry], float]] = {
            "macs": lambda entry: entry.graph.macs,
            "params": lambda entry: entry.graph.params,
            "size_bytes": lambda entry: _file_bytes(entry.graph, precision),
            "arena_bytes": lambda entry: _arena_tail(entry.graph),
        }
        self._sums = {name: space.cost_arrays(cost) for name, cost in counted.items()}
        self._measured = tuple(measured or ())
        self._base_bytes = _FILE_BYTES + (0.0 if behind is None else _behind_bytes(behind.graph, precision))
        for name, table in (measured or {}).items():
            self._sums[name] = space.cost_arrays(partial(_looked_up, table))

    def population(self, population: Population, names: Sequence[str]) -> dict[str, Array]:
        """The named costs of every row, each of shape (N,)."""
        return {name: self._one(name, population) for name in names}

    @property
    def names(self) -> list[str]:
        """All costs that are available."""
        names = []
        for device, predictor in self.predictors.items():
            names.append(cost_name("latency_ms", device))
            if predictor.table.energy is not None:
                names.append(cost_name("energy_mj", device))
            names += [cost_name(cost, device) for cost in predictor.calibration.memory]
        names += ["macs", "params", "size_bytes", "arena_bytes", "peak_activation_bytes"]
        names += self._measured
        return names

    def architecture(self, architecture: Architecture) -> dict[str, float]:
        """All available costs of one architecture."""
        row = self.space.to_population([architecture])
        return {name: float(values[0]) for name, values in self.population(row, self.names).items()}

    def cheapest(self, name: str) -> tuple[Architecture, float]:
        """The architecture with the least of a cost, and that cost.

        Exact, except for ``peak_activation_bytes``, ``arena_bytes`` and ``sram_bytes``, which do not add up: the least
        of those with the fewest MACs or found at random.
        """
        cost, device = split_name(name)
        if cost in DEVICE_COSTS and (predictor := self.predictors.get(device)) is not None:
            if cost == "latency_ms":
                return predictor.cheapest(self.space)
            if cost == "energy_mj":
                return predictor.cheapest_energy(self.space)
            if cost == "flash_bytes":
                predictor.require_memory(cost)
                architecture, _ = self.space.cheapest(predictor.memory_arrays(self.space, cost))
                return architecture, self.architecture(architecture)[name]
        if name in self._sums and name != "arena_bytes":
            architecture, _ = self.space.cheapest(self._sums[name])
        else:
            random = self.space.sample(np.random.default_rng(0), _START_SAMPLES)
            rows = np.concatenate([self.space.to_population([self.cheapest("macs")[0]]), random])
            architecture = self.space.architecture(rows[np.argmin(self._one(name, rows))])
        return architecture, self.architecture(architecture)[name]

    def dearest(self, name: str) -> tuple[Architecture, float]:
        """The architecture with the most of a cost that adds up over blocks, and that cost, as :meth:`cheapest`."""
        cost, device = split_name(name)
        if cost in DEVICE_COSTS:
            predictor = self.predictors[device]
            if cost in MEMORY_COSTS:
                arrays = predictor.memory_arrays(self.space, cost)
            elif cost == "latency_ms":
                arrays = predictor.cost_arrays(self.space)
            else:
                arrays = predictor.energy_arrays(self.space)
        else:
            arrays = self._sums[name]
        architecture, _ = self.space.cheapest({slot: -costs for slot, costs in arrays.items()})
        return architecture, self.architecture(architecture)[name]

    def problem(self, limits: Mapping[str, float], trials: int) -> Problem:
        """The search problem under these limits.

        Raises InputError when no architecture keeps them, with the least that can be reached.
        """
        return Problem(
            space=self.space,
            trials=trials,
            costs=lambda population: self.population(population, tuple(limits)),
            limits=limits,
            cheapest=self.space.to_population([self._start(limits)])[0],
        )

    def _start(self, limits: Mapping[str, float]) -> Architecture:
        starts = []
        for name, limit in limits.items():
            architecture, cost = self.cheapest(name)
            if cost > limit:
                raise InputError(
                    f"budget.{name}: {limit:.6g} cannot be reached: the least in space {self.space.name!r} is "
                    f"{cost:.6g} (architecture {architecture}); raise the budget to at least that, or take a smaller "
                    "space"
                )
            starts.append(architecture)
        for architecture in starts:
            if within(self.architecture(architecture), limits):
                return architecture
        random = self.space.sample(np.random.default_rng(0), _START_SAMPLES)
        keeps = np.all([self._one(name, random) <= limit for name, limit in limits.items()], axis=0)
        if not keeps.any():
            raise InputError(
                f"budget: each limit can be kept, but no architecture was found that keeps all of "
                f"{', '.join(limits)}; raise one of them"
            )
        return self.space.architecture(random[np.argmax(keeps)])

    def _one(self, name: str, population: Population) -> Array:
        if name in self._sums:
            total = self.space.population_cost(population, self._sums[name])
            if name == "arena_bytes":
                return total + _ARENA_BYTES + self.space.population_peak(population, self.precision)
            return total + self._base_bytes if name == "size_bytes" else total
        if name == "peak_activation_bytes":
            return self.space.population_peak(population, self.precision)
        cost, device = split_name(name)
        if cost in DEVICE_COSTS and (predictor := self.predictors.get(device)) is not None:
            if cost in MEMORY_COSTS:
                return predictor.population_memory(self.space, population, cost)
            of = predictor.population if cost == "latency_ms" else predictor.population_energy
            return np.asarray(of(self.space, population), np.float64)
        raise InputError(f"the cost {name!r} is not known here")


def _looked_up(table: Mapping[str, float], entry: SlotEntry) -> float:
    return 0.0 if entry.is_given else table[entry.signature("float32")]


def _file_bytes(graph: OpGraph, precision: str) -> float:
    operators, filters = _counts(graph)
    return graph_weight_bytes(graph, precision) + operators * _OPERATOR_BYTES + filters * _FILTER_BYTES


def _behind_bytes(graph: OpGraph, precision: str) -> float:
    """As :func:`_file_bytes`; in integer files each of its inputs is made a real number first."""
    return _file_bytes(graph, precision) + (len(graph.inputs) * _OPERATOR_BYTES if precision == "int8" else 0)


def _arena_tail(graph: OpGraph) -> float:
    operators, filters = _counts(graph)
    return operators * _ARENA_OPERATOR_BYTES + filters * _ARENA_FILTER_BYTES


def _counts(graph: OpGraph) -> tuple[int, int]:
    """Operators of the deployed graph, and filters of those with weights."""
    filters = operators = 0
    for node in graph.nodes:
        shapes = graph.input_shapes(node)
        if node.op.weights(*shapes):
            filters += node.op.output_shape(*shapes)[-1]
        operators += not (node.op.traits.normalises or node.op.traits.gone_when_deployed)
    return operators, filters
