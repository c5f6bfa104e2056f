"""Published networks by name, built exactly, and what their authors published about them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from edgenas.spaces.block import Block, block_class, block_from_dict
from edgenas.spaces.errors import InputError
from edgenas.spaces.input_size import complete_shape
from edgenas.spaces.network import Network, Node
from edgenas.spaces.ops import BatchNorm, Dense, LayerNorm, Op, Shape
from edgenas.spaces.rounding import round_filters
from edgenas.spaces.tensor import TensorSpec
from edgenas.spaces.text import did_you_mean
from edgenas.spaces.yaml_files import REFERENCES, catalog_names, read_yaml

_FIGURES = "published_figures"
#: A count agrees with a published figure when they differ by no more than this share.
AGREES = 0.01
#: Keys of a row that are not options of its block: how often it repeats, its name, how the width multiplier applies.
_ROW_KEYS = ("name", "inputs", "repeat", "scale")


@dataclass(frozen=True)
class PublishedFigures:
    """Figures from a network's authors, as printed there; None where nothing was published.

    ``counted`` says which parameters the source counts: ``trainable`` (as :attr:`edgenas.spaces.Network.params` does),
    ``folded`` (batch norms folded into one bias per filter, as deployed), ``weights`` (no batch norms), ``variables``
    (their moving statistics too) or ``memory`` (``folded``, and the largest input and output of an op with weights:
    bytes of 8-bit models as Hello Edge counts).
    ``exact_params`` is the number of trainable parameters that the source's code asserts or builds. ``params_digit``
    and ``macs_digit`` are the worth of the last digit printed: 100,000 where 5.4M is printed. ``disputed`` names the
    figures that do not describe the network which the source's own code builds; ``note`` says why.
    """

    params: int | None
    macs: int | None
    source: str
    counted: str = "trainable"
    exact_params: int | None = None
    macs_counted: str = "products"
    params_digit: int = 1
    macs_digit: int = 1
    disputed: tuple[str, ...] = ()
    note: str = ""

    def agreement(self, what: str, count: int) -> str:
        """How a count of ours, of ``params`` or ``macs``, agrees with the published one.

        ``within 1 %``; ``as printed``: equal to the last digit that the source prints, rounded or cut off;
        ``disputed``; ``unpublished``; ``differs``.
        """
        figure: int | None = getattr(self, what)
        if figure is None:
            return "unpublished"
        digit: int = getattr(self, f"{what}_digit")
        if abs(count / figure - 1) <= AGREES:
            return "within 1 %"
        if figure in (count // digit * digit, round(count / digit) * digit):
            return "as printed"
        return "disputed" if what in self.disputed else "differs"


@cache
def _family_names() -> tuple[str, ...]:
    return tuple(name for name in catalog_names(REFERENCES) if name != _FIGURES)


@cache
def _document(family: str) -> Mapping[str, Any]:
    """A family as written. The names of its networks begin with its own, so that one is found in one file."""
    document: Mapping[str, Any] = read_yaml(REFERENCES / f"{family}.yaml")
    return document


def _found(name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """The family's document and the variables of a network; None for a name that no network has."""
    for family in _family_names():
        if name.startswith(family) and name in _document(family)["networks"]:
            return _document(family), _document(family)["networks"][name]
    return None


def reference_names() -> tuple[str, ...]:
    """Names of all reference networks."""
    return tuple(name for family in _family_names() for name in _document(family)["networks"])


def is_reference(name: str) -> bool:
    """Whether a reference network has this name."""
    return _found(name) is not None


def reference_network(name: str, input_shape: Sequence[int] | None = None, classes: int | None = None) -> Network:
    """A published network, with its published input shape and number of classes unless others are given.

    Raises InputError with the known names for an unknown one.

    >>> reference_network("mobilenet_v2_1.0").macs // 10**6
    300
    """
    document, variables = _family(name)
    shape: Shape = tuple(variables.get("input_shape", document["input_shape"]))
    if input_shape is not None:
        shape = complete_shape(input_shape, shape, f"reference network {name!r}")
    nodes: list[Node] = []
    for row in _rows(document, variables):
        options = {key: _substitute(value, variables) for key, value in row.items()}
        options = {key: value for key, value in options.items() if value is not None}
        if "classes" in {field.name for field in dataclasses.fields(block_class(options["block"]))}:
            options["classes"] = document["classes"] if classes is None else classes
        blocks = _expand(options, variables.get("width", 1.0))
        for number, block in enumerate(blocks, start=1):
            before = (nodes[-1].name if nodes else "image",)
            inputs = tuple(row["inputs"]) if number == 1 and "inputs" in row else before
            # A name is that of the last of a row that repeats: what others read.
            own = row.get("name") if number == len(blocks) else None
            nodes.append(Node(own or f"layer{len(nodes)}", block, inputs))
    outputs = tuple(document.get("outputs", (nodes[-1].name,)))
    return Network(name, (("image", TensorSpec.of(shape)),), tuple(nodes), outputs)


def reference_task(name: str) -> str:
    """What a reference network was published for. Raises InputError for an unknown name."""
    return str(_family(name)[0].get("task", "classification"))


def _rows(document: Mapping[str, Any], variables: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of a network, those of its cells among them."""
    rows = document["blocks"]
    rows = rows if isinstance(rows, list) else [*rows[variables["blocks"]], *rows.get("all", ())]
    found: list[Mapping[str, Any]] = []
    for row in rows:
        found += _cell_rows(row, document["cells"][row["cell"]]) if "cell" in row else [row]
    return found


def _cell_rows(row: Mapping[str, Any], cell: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A cell's rows, repeated: each reads the ``outputs`` of the one before; nodes are called ``name1_node``."""
    found: list[Mapping[str, Any]] = []
    sources = list(row["inputs"])
    for number in range(1, row.get("repeat", 1) + 1):
        names = dict(zip(cell["inputs"], sources, strict=True))
        for inner in cell["blocks"]:
            name = f"{row['name']}{number}_{inner['name']}"
            found.append({**inner, "name": name, "inputs": [names[source] for source in inner["inputs"]]})
            names[inner["name"]] = name
        sources = [names[output] for output in cell["outputs"]]
    return found


def published_figures(name: str) -> PublishedFigures:
    """What was published about a reference network. Raises InputError for an unknown name."""
    _family(name)
    figures = _figures()[name]
    return PublishedFigures(**{**figures, "disputed": tuple(figures.get("disputed", ()))})


def params_as_counted(network: Network, counted: str) -> int:
    """Parameters of a network as :class:`PublishedFigures` says that a source counts them."""
    graph = network.graph
    if counted == "memory":
        kernels = [node for node in graph.nodes if node.op.traits.has_kernel]
        ends = ((*graph.input_shapes(node), graph.shapes[node.name]) for node in kernels)
        return params_as_counted(network, "folded") + max(sum(map(math.prod, shapes)) for shapes in ends)
    norms = sum(node.op.params(*graph.input_shapes(node)) for node in graph.nodes if isinstance(node.op, BatchNorm))
    shares = {"trainable": 0.0, "folded": 0.5, "weights": 1.0, "variables": -1.0}
    if counted not in shares:
        raise InputError(f"unknown way to count {counted!r}: expected one of {', '.join(shares)}")
    return graph.params - int(norms * shares[counted])


def macs_as_counted(network: Network, counted: str) -> int:
    """Multiply-accumulates of a network as :class:`PublishedFigures` says that a source counts them.

    ``products and norms`` is how fvcore counts, whose figures timm prints: each element of a batch norm counts as two
    more, each of a layer norm as five. ``half of operations`` is how Hello Edge counts: a product and an addition are
    two operations, and each addition of a bias is one.
    """
    shares: dict[str, Mapping[type[Op], float]] = {
        "products": {},
        "products and norms": {BatchNorm: 2, LayerNorm: 5},
        "half of operations": {BatchNorm: 0.5, Dense: 0.5},
    }
    if counted not in shares:
        raise InputError(f"unknown way to count {counted!r}: expected one of {', '.join(shares)}")
    graph = network.graph
    added = (math.prod(graph.shapes[node.name]) * shares[counted].get(type(node.op), 0) for node in graph.nodes)
    return graph.macs + round(sum(added))


@cache
def _figures() -> Mapping[str, Any]:
    figures: Mapping[str, Any] = read_yaml(REFERENCES / f"{_FIGURES}.yaml")
    return figures


def _family(name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    found = _found(name)
    if found is None:
        raise InputError(
            f"unknown reference network {name!r}: expected one of {', '.join(reference_names())}"
            + did_you_mean(name, reference_names())
        )
    return found


def _substitute(value: Any, variables: Mapping[str, Any]) -> Any:
    return variables[value[1:]] if isinstance(value, str) and value.startswith("$") else value


def _expand(row: Mapping[str, Any], width: float) -> list[Block]:
    """The blocks of a row: its width multiplied, repeated with stride 1 after the first."""
    options = {key: value for key, value in row.items() if key not in _ROW_KEYS}
    scale = row.get("scale", "always")
    if "filters" in options and width != 1 and (scale == "always" or (scale == "up" and width > 1)):
        options["filters"] = round_filters(options["filters"] * width)
    if "repeat" not in row:
        return [block_from_dict(options)]
    return [block_from_dict(options), *[block_from_dict({**options, "stride": 1})] * (row["repeat"] - 1)]
