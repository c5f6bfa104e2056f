"""From the file of what was trained to the one that is shipped: with what runs in deployed networks only.

A converter makes a file of the trained part (:attr:`edgenas.spaces.network.Network.learned`), in any quantization. What
follows it has no weights, so it is written directly and joined on.
"""

from __future__ import annotations

import numpy as np

from edgenas.export.quantization.activation_ranges import Quantization
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.join import joined
from edgenas.export.tflite.reader import model_io
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder, OpGraph
from edgenas.spaces.network import Network

_PRECISIONS = {"INT8": "int8", "FLOAT32": "float32"}


def finished(model: bytes, network: Network) -> bytes:
    """A converted file of ``network.learned`` with the rest of the network behind it; the same bytes where none is.

    Raises InputError when the file's output has a type that the rest cannot take.
    """
    if network.learned is network:
        return model
    (output,) = model_io(model).outputs
    if output.dtype not in _PRECISIONS:
        raise InputError(
            f"network {network.name!r}: its file puts out {output.dtype}, but {network.nodes[-1].block.kind!r} takes "
            f"{' or '.join(_PRECISIONS)}; choose another quantization, such as int8"
        )
    given = None
    if output.dtype == "INT8":
        given = Quantization(np.array(output.scale, np.float32)[:1], int(output.zero_point[0]))
    return joined(model, write_tflite(ending_graph(network), _PRECISIONS[output.dtype], given=given))


def ending_graph(network: Network) -> OpGraph:
    """The ops that are no part of what is trained, on what is.

    Raises InputError for networks of several outputs.
    """
    (spec,) = network.learned.graph.output_shapes if len(network.outputs) == 1 else (None,)
    if spec is None:
        raise InputError(f"network {network.name!r}: {len(network.outputs)} outputs, expected one to finish")
    builder = GraphBuilder(spec, input_names=("logits",))
    (end,) = builder.inputs
    for node in network.nodes:
        if not node.block.only_deployed:
            continue
        lowered = network.blocks_lowered[node.name]
        names = {lowered.inputs[0][0]: end}
        for op_node in lowered.nodes:
            sources = (names[source] for source in op_node.inputs)
            names[op_node.name] = builder.add(f"{node.name}.{op_node.name}", op_node.op, *sources)
        end = names[lowered.outputs[0]]
    return builder.build(end)
