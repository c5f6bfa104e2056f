"""What a model file can be asked: its entries (signatures and other graphs), their inputs, and the sides left open.

A file may hold several graphs: bodies of control flow, and entries of their own, which its signatures name. A runtime
runs the first graph unless it is told otherwise, and takes an open side for 1 unless it is told otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgenas.export.tflite.reader import GARBAGE, TfliteSubgraph, TfliteTensor, read_subgraphs
from edgenas.export.tflite.schema import schema
from edgenas.spaces.errors import InputError

#: Types of inputs that hold no numbers.
NO_NUMBERS = {
    "STRING": "texts",
    "RESOURCE": "a resource (a variable or a table)",
    "VARIANT": "a variant (a list of tensors)",
}
#: More names than these are a damaged file.
_MOST_SIGNATURES = 1000


@dataclass(frozen=True)
class ModelInput:
    """An input: the signature's name for it, the tensor's own, and its shape, -1 for an open side."""

    name: str
    tensor: TfliteTensor

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.open_shape

    @property
    def dtype(self) -> str:
        return self.tensor.dtype

    @property
    def names(self) -> tuple[str, ...]:
        """What it may be called: by the signature, by the tensor, and by the tensor without its output number."""
        return tuple(dict.fromkeys((self.name, self.tensor.name, self.tensor.name.partition(":")[0])))

    @property
    def has_open_batch_only(self) -> bool:
        """Whether its first side is open and all others, at least one, are known."""
        return len(self.shape) > 1 and self.shape[0] < 0 and min(self.shape[1:]) >= 0

    def describe(self) -> str:
        """Such as ``tokens (1, -1) INT32``."""
        return f"{self.name} {self.shape} {self.dtype}"


@dataclass(frozen=True)
class Entry:
    """A graph that can be run: ``names`` are its signatures', or its own."""

    subgraph: int
    names: tuple[str, ...]
    inputs: tuple[ModelInput, ...]

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def open_inputs(self) -> tuple[ModelInput, ...]:
        """The inputs with a side that the file leaves open."""
        return tuple(entry for entry in self.inputs if entry.tensor.is_open)


@dataclass(frozen=True)
class _Signature:
    name: str
    subgraph: int
    inputs: dict[int, str]


def model_entries(model: bytes) -> tuple[Entry, ...]:
    """Every graph of a model that is no body of control flow, in the file's order.

    Raises InputError on anything but a whole model.
    """
    subgraphs = read_subgraphs(model)
    signatures = _signatures(model)
    bodies = {index for subgraph in subgraphs for index in _references(subgraph)}
    bodies -= {signature.subgraph for signature in signatures}
    found = []
    for index, subgraph in enumerate(subgraphs):
        if index in bodies and index:
            continue
        own = [signature for signature in signatures if signature.subgraph == index]
        names = tuple(signature.name for signature in own) or (subgraph.name or f"subgraph {index}",)
        told = own[0].inputs if own else {}
        inputs = tuple(ModelInput(told.get(tensor.index) or tensor.name, tensor) for tensor in subgraph.inputs)
        found.append(Entry(index, names, inputs))
    return tuple(found)


def choose_entry(entries: Sequence[Entry], name: str | None) -> Entry:
    """The entry of a name (a signature's, a graph's, or the graph's number); without one the only entry.

    Raises InputError naming the entries when there is a choice and nobody made it, or none is called so.
    """
    known = "; ".join(f"{' or '.join(entry.names)} (graph {entry.subgraph}: {_inputs(entry)})" for entry in entries)
    if name is None:
        if len(entries) == 1:
            return entries[0]
        raise InputError(f"the file holds {len(entries)} entries: choose one with --signature NAME: {known}")
    called = [entry for entry in entries if name in entry.names]
    chosen = called or [entry for entry in entries if name in (str(entry.subgraph), f"subgraph {entry.subgraph}")]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        raise InputError(f"{len(chosen)} entries are called {name!r}: choose by the graph's number: {known}")
    raise InputError(f"there is no signature or graph {name!r}: expected one of {known}")


def find_input(entry: Entry, name: str) -> ModelInput:
    """The input of a name. Raises InputError naming the inputs."""
    found = [given for given in entry.inputs if name in given.names]
    exact = [given for given in found if name == given.name] or found
    if len(exact) != 1:
        what = f"{len(exact)} inputs are" if exact else "there is no input"
        raise InputError(f"{what} called {name!r}: expected one of {_inputs(entry)}")
    return exact[0]


def refuse_what_is_no_number(entry: Entry) -> None:
    """Raises InputError where an input holds texts, resources or variants: nobody can make values of these."""
    for given in entry.inputs:
        if given.dtype in NO_NUMBERS:
            raise InputError(
                f"input {given.name} takes {NO_NUMBERS[given.dtype]}, type {given.dtype}: only numbers can be "
                f"fed; export the part of the model behind it"
            )


def _inputs(entry: Entry) -> str:
    return ", ".join(given.describe() for given in entry.inputs) or "no inputs"


def _references(subgraph: TfliteSubgraph) -> set[int]:
    """Graphs that operators of a graph run."""
    return {
        value
        for operator in subgraph.operators
        for key, value in operator.options.items()
        if is_graph_number(key) and isinstance(value, int)
    }


def is_graph_number(option: str) -> bool:
    """Whether an operator's option is the number of a graph."""
    return option.lower().endswith("subgraphindex") or option == "subgraph"


def _signatures(model: bytes) -> list[_Signature]:
    generated = schema().Model.GetRootAs(model, 0)
    try:
        count = generated.SignatureDefsLength()
        if not 0 <= count <= _MOST_SIGNATURES:
            raise ValueError(f"{count} signatures")
        found = [_signature(generated.SignatureDefs(index), len(model)) for index in range(count)]
    except GARBAGE as error:
        raise InputError(f"damaged TFLite model: its signatures cannot be read ({error}); export it again") from None
    graphs = generated.SubgraphsLength()
    for signature in found:
        if signature.subgraph >= graphs:
            raise InputError(
                f"damaged TFLite model: signature {signature.name!r} is of graph {signature.subgraph} of {graphs}"
            )
    repeated = [name for name, times in Counter(signature.name for signature in found).items() if times > 1]
    if repeated:
        raise InputError(f"damaged TFLite model: two signatures are called {repeated[0]!r}")
    return found


def _signature(definition: object, limit: int) -> _Signature:
    count = definition.InputsLength()  # type: ignore[attr-defined]
    if not 0 <= count <= limit:
        raise ValueError("a length exceeds the file")
    inputs = {}
    for index in range(count):
        entry = definition.Inputs(index)  # type: ignore[attr-defined]
        inputs[entry.TensorIndex()] = (entry.Name() or b"").decode("utf-8", "replace")
    name = (definition.SignatureKey() or b"").decode("utf-8", "replace")  # type: ignore[attr-defined]
    return _Signature(name, definition.SubgraphIndex(), inputs)  # type: ignore[attr-defined]
