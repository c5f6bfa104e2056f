"""What a small regressor reads of networks: counts that say how large they are, and what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from edgenas.spaces.space.search_space import SearchSpace
from edgenas.spaces.space.slots import SlotEntry
from edgenas.supernet.families import Population

Floats = npt.NDArray[np.float64]


class NetworkFeatures:
    """Features of populations of a space.

    Args:
        space: whose networks.
        costs: costs of a population by name, above 0; their logarithms are features.

    Attributes:
        names: of the columns of :meth:`matrix`.
    """

    def __init__(self, space: SearchSpace, costs: Callable[[Population], Mapping[str, Floats]]) -> None:
        self._space, self._costs = space, costs
        kinds = sorted({entry.block.kind for entry in space.entries})
        ops = sorted({type(node.op).__name__ for entry in space.entries for node in entry.graph.nodes})
        self._sums = {"depth": space.cost_arrays(lambda entry: 1.0)}
        self._sums |= {f"block {kind}": space.cost_arrays(_is_kind(kind)) for kind in kinds}
        self._sums |= {f"op {op}": space.cost_arrays(_ops_named(op)) for op in ops}
        self.names = (*self._sums, *(f"log {name}" for name in costs(space.sample(np.random.default_rng(0), 1))))

    def matrix(self, rows: Population) -> Floats:
        """(N, features)."""
        counted = self._space.population_costs(rows, *self._sums.values())
        priced = [np.log(np.maximum(values, 1e-12)) for values in self._costs(rows).values()]
        return np.stack([*counted, *priced], axis=1)

    def baselines(self, rows: Population) -> dict[str, Floats]:
        """(N,) what a network costs without training or measuring anything, by name: a supernet must beat these."""
        costs = self._costs(rows)
        depth = self._space.population_cost(rows, self._sums["depth"])
        return {"macs": costs["macs"], "params": costs["params"], "depth": depth}


def _is_kind(kind: str) -> Callable[[SlotEntry], float]:
    return lambda entry: float(entry.block.kind == kind)


def _ops_named(op: str) -> Callable[[SlotEntry], float]:
    return lambda entry: float(sum(type(node.op).__name__ == op for node in entry.graph.nodes))
