"""From the file of what was trained to the one that is shipped: with what runs in deployed networks only.

A converter makes a file of the trained part (:attr:`edgenas.spaces.network.Network.learned`), in any quantization. What
comes before and after it has no weights that are trained, so it is written directly and joined on.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from edgenas.export.quantization.activation_ranges import Quantization
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.join import joined
from edgenas.export.tflite.model_writer import Constants
from edgenas.export.tflite.reader import TfliteTensor, model_io
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.network import Network, Node, op_name
from edgenas.spaces.tensor import TensorSpec

_PRECISIONS = {"INT8": "int8", "FLOAT32": "float32"}


def finished(model: bytes, network: Network, constants: Mapping[str, tuple[np.ndarray, ...]] | None = None) -> bytes:
    """A converted file of ``network.learned`` with the rest of the network around it; the same bytes where none is.

    ``constants`` are those of the rest, by the kind of block. Raises InputError when an end of the file has a type
    that the rest cannot take or give.
    """
    if network.learned is network:
        return model
    before, after = _rest(network)
    if before:
        (source,) = model_io(model).inputs
        graph = _graph(network, before, network.inputs[0][1], network.inputs[0][0])
        kind, scale = _type(source, network, before[-1])
        model = joined(
            write_tflite(graph, kind, begins_with=scale, constants=_named(graph, network, before, constants)), model
        )
    if after:
        (output,) = model_io(model).outputs
        graph = ending_graph(network)
        kind, scale = _type(output, network, after[0])
        model = joined(
            model, write_tflite(graph, kind, given=scale, constants=_named(graph, network, after, constants))
        )
    return model


def ending_graph(network: Network) -> OpGraph:
    """The ops behind what is trained, on what it puts out. Raises InputError for networks of several outputs."""
    (spec,) = network.learned.graph.output_shapes if len(network.outputs) == 1 else (None,)
    if spec is None:
        raise InputError(f"network {network.name!r}: {len(network.outputs)} outputs, expected one to finish")
    return _graph(network, _rest(network)[1], spec, "logits")


def _rest(network: Network) -> tuple[list[Node], list[Node]]:
    """The nodes that are no part of what is trained: those before it, and those behind it."""
    names = {name for name, _ in network.inputs}
    before: list[Node] = []
    after: list[Node] = []
    for node in network.nodes:
        if node.block.only_deployed:
            begins = all(source in names for source in node.inputs)
            (before if begins else after).append(node)
            names |= {node.name} if begins else set()
    return before, after


def _graph(network: Network, nodes: list[Node], spec: TensorSpec, source: str) -> OpGraph:
    """The ops of nodes that follow each other."""
    builder = GraphBuilder(spec, input_names=(source,))
    (end,) = builder.inputs
    for node in nodes:
        end = builder.include(network.blocks_lowered[node.name], (end,), partial(op_name, node.name))
    return builder.build(end)


def _named(graph: OpGraph, network: Network, nodes: list[Node], constants: Constants | None) -> Constants:
    """Constants by the name of an op's node, from those by the kind of block."""
    kinds = {node.name: node.block.kind for node in nodes}
    of_node = {node.name: (constants or {}).get(kinds[node.name.rpartition(".")[0]]) for node in graph.nodes}
    return {name: values for name, values in of_node.items() if values is not None}


def _type(end: TfliteTensor, network: Network, node: Node) -> tuple[str, Quantization | None]:
    """(precision, scale) of what is joined to an end of a file."""
    if end.dtype not in _PRECISIONS:
        raise InputError(
            f"network {network.name!r}: its file has {end.dtype} where {node.block.kind!r} is joined on, which takes "
            f"{' or '.join(_PRECISIONS)}; choose another quantization, such as int8"
        )
    if end.dtype != "INT8":
        return "float32", None
    return "int8", Quantization(np.array(end.scale, np.float32)[:1], int(end.zero_point[0]))
