"""The supernet: one set of weights and one graph for all networks of a space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgenas.export._tensorflow import keras, tensorflow
from edgenas.export.keras.builder import LayerSettings, keras_layer, layer_seed
from edgenas.spaces.network import Network
from edgenas.spaces.space.decision import Architecture
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.supernet.places import ZEROS_LIKE, Owner, Place, Places, Plan
from edgenas.supernet.shared_layer import Mode
from edgenas.training.runtime import dtype_policy


class Supernet:
    """All networks of a space in one: :meth:`outputs` computes any of them, :meth:`decode` cuts one out.

    Args:
        space: whose blocks all have supernet layers.
        seed: of the initial weights.

    Attributes:
        weights: one flat variable with all that is trained.
        statistics: variables that are not trained, by the key of their op.

    Raises InputError for a space that holds an op without a supernet layer.
    """

    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        tf = tensorflow()
        self.space = space
        self.places = Places(space)
        self._shapes: list[tuple[Owner, tuple[int, ...]]] = []
        initial: list[np.ndarray] = []
        self.statistics: dict[Owner, list[Any]] = {}
        for owner, layer in self.places.layers.items():
            for number, weight in enumerate(layer.weights):
                rng = np.random.default_rng(layer_seed(seed, f"{'/'.join(owner)}:{number}"))
                value = np.full(weight.shape, weight.mean, np.float32)
                if weight.deviation:
                    value += rng.normal(0.0, weight.deviation, weight.shape).astype(np.float32)
                if weight.trained:
                    self._shapes.append((owner, weight.shape))
                    initial.append(value.ravel())
                else:
                    self.statistics.setdefault(owner, []).append(tf.Variable(value, trainable=False))
        self.weights = tf.Variable(np.concatenate(initial))
        self._seed = seed
        self._plain_layers: dict[str, dict[tuple[str, int, str], Any]] = {}
        self.prepare("float32")

    @property
    def parameters(self) -> int:
        """Numbers that are trained."""
        return int(self.weights.shape[0])

    def prepare(self, dtype: str) -> None:
        """Makes the layers of the ops without weights that compute in a type, before :meth:`outputs` takes it.

        Random layers hold a state: made inside a graph that is being traced, it would be traced twice.
        """
        if dtype not in self._plain_layers:
            with dtype_policy(dtype):
                self._plain_layers[dtype] = self._make_plain_layers(self._seed)

    def plan(self, architecture: Architecture) -> Plan:
        """The whole numbers that choose an architecture, as :meth:`outputs` takes them."""
        return self.places.plan(architecture)

    def outputs(self, inputs: Mapping[str, Any], plan: Any, weights: Any, mode: Mode) -> list[Any]:
        """The outputs of one network, as part of a graph that is being traced.

        Args:
            inputs: tensors by the names of the space's inputs.
            plan: int32 tensor, see :meth:`plan`.
            weights: a value of :attr:`weights`.
            mode: what for; its type was prepared.
        """
        split = self.split(weights)
        values = {name: _cast(value, mode.dtype) for name, value in inputs.items()}
        for number, place in enumerate(self.places.places):
            values[place.name] = self._place(place, values, plan[number], split, mode)
        return [_cast(values[name], "float32") for name in self.space.outputs]

    def split(self, weights: Any) -> dict[Owner, list[Any]]:
        """The flat weights as tensors by the key of their op, those that are not trained not included."""
        tf = tensorflow()
        sizes = [int(np.prod(shape)) for _, shape in self._shapes]
        found: dict[Owner, list[Any]] = {owner: [] for owner in self.places.layers}
        for (owner, shape), part in zip(self._shapes, tf.split(weights, sizes), strict=True):
            found[owner].append(tf.reshape(part, shape))
        return found

    def decode(self, architecture: Architecture) -> tuple[Network, dict[str, list[np.ndarray]]]:
        """A network of the space, and the weights of its layers by name, in the order of their Keras layers."""
        row = self.space.to_population([architecture])
        network = self.space.decode(architecture)
        split = self.split(self.weights.read_value())
        places = {place.name: place for place in self.places.places}
        found = {}
        for node in network.nodes:
            entry = self.space.entry_at(node.name, row)
            assert entry is not None
            for name, owner, variant in places[node.name].weighted_ops(entry):
                layer = self.places.layers[owner]
                shared = [*split[owner], *self.statistics.get(owner, ())]
                arrays = layer.view(variant.op, shared, layer.numbers(variant))
                found[f"{node.name}.{name}"] = [np.asarray(array) for array in arrays]
        return network, found

    # The graph -----------------------------------------------------------------------------------------------------

    def _make_plain_layers(self, seed: int) -> dict[tuple[str, int, str], Any]:
        found = {}
        for place in self.places.places:
            for number, branch in enumerate(place.branches):
                for node in branch.nodes:
                    if node.owner is None:
                        name = f"{place.name}_{number}_{node.name}"
                        settings = LayerSettings(name, layer_seed(seed, name), node.example.inputs, keras().layers)
                        found[place.name, number, node.name] = keras_layer(node.op, settings)
        return found

    def _place(self, place: Place, values: Mapping[str, Any], row: Any, weights: Any, mode: Mode) -> Any:
        """The value of a place: nothing, one of its inputs, or what one of its branches computes."""
        tf = tensorflow()
        chosen = [self._input(place, number, values, row) for number in range(place.input_count)]
        reachable = place.reachable
        sides = tuple(chosen[0].shape)[1:] if place.sides is None else place.sides

        def nothing() -> Any:
            return tf.zeros((0,) * (1 + len(sides)), mode.dtype)

        def passed(number: int) -> Any:
            return lambda: tf.identity(chosen[number])

        def computed(number: int) -> Any:
            return lambda: self._branch(place, number, chosen, values, row, weights, mode)

        functions = [nothing, *(passed(number) for number in range(place.input_count))]
        functions += [computed(number) for number in range(len(place.branches))]
        if len(reachable) == 1:
            out = functions[reachable[0]]()
        else:
            # Branches that no architecture has are left out of the graph.
            table = np.zeros(len(functions), np.int32)
            table[reachable] = np.arange(len(reachable))
            out = tf.switch_case(tf.gather(table, row[0]), [functions[number] for number in reachable])
        out.set_shape((None, *sides))
        return out

    def _input(self, place: Place, number: int, values: Mapping[str, Any], row: Any) -> Any:
        """What an input of a place reads: one value, or the one that a decision names."""
        tf = tensorflow()
        source = place.position.inputs[number]
        offered = list(dict.fromkeys(name for name in source.names if name is not None))
        if len(offered) == 1:
            return values[offered[0]]
        table = [0 if name is None else offered.index(name) for name in source.names]
        functions = [lambda name=name: tf.identity(values[name]) for name in offered]
        return tf.switch_case(tf.gather(table, row[1 + number]), functions)

    def _branch(
        self, place: Place, number: int, chosen: Sequence[Any], values: Any, row: Any, split: Any, mode: Mode
    ) -> Any:
        """What the ops of a branch make of the inputs it reads."""
        tf, branch = tensorflow(), place.branches[number]
        read = [values[place.position.zeros_like] if index == ZEROS_LIKE else chosen[index] for index in branch.reads]
        tensors = dict(zip(branch.inputs, read, strict=True))
        start = 1 + place.input_count
        all_numbers = tf.unstack(row)
        for node in branch.nodes:
            sources = [tensors[name] for name in node.inputs]
            if node.owner is None:
                layer = self._plain_layers[mode.dtype][place.name, number, node.name]
                # Never as in training: dropout has no place in networks that share weights.
                tensors[node.name] = layer(sources[0] if len(sources) == 1 else sources, training=False)
                continue
            shared = self.places.layers[node.owner]
            end = start + len(shared.numbers(node.example))
            numbers, start = all_numbers[start:end], end
            kept = self.statistics.get(node.owner, [])
            weights = [*split[node.owner], *(variable.read_value() for variable in kept)]
            if not shared.float32:
                weights = [_cast(weight, mode.dtype) for weight in weights]
            tensors[node.name], updated = shared.compute(node.op, sources, weights, numbers, mode)
            for variable, value in zip(kept, updated or (), strict=False):
                variable.assign(value)
        return tensors[branch.output]


def _cast(value: Any, dtype: str) -> Any:
    """A tensor of floats in another type; others, such as ids, as they are."""
    if value.dtype == dtype or not value.dtype.is_floating:
        return value
    return tensorflow().cast(value, dtype)
