"""The Keras model and the ``.tflite`` file of a network that streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgenas.export.streaming.network import streaming
from edgenas.spaces.network import Network
from edgenas.spaces.ops import (
    Gru,
    Lstm,
)


def streaming_keras(network: Network, model: Any) -> Any:
    """The Keras model of :func:`streaming` with the weights of the whole network's ``model``. Raises as that."""
    from edgenas.export.keras.builder import build_graph

    found = streaming(network)
    weights: dict[str, list[np.ndarray]] = {}
    for node in network.learned.graph.nodes:
        own = (
            model.get_layer(node.name).get_weights()
            if node.op.params(*network.learned.graph.input_shapes(node))
            else []
        )
        if isinstance(node.op, Gru):
            held, kernel, recurrent, bias = own
            weights |= {f"{node.name}.inputs": [kernel, bias], f"{node.name}.state": [recurrent, held]}
        elif isinstance(node.op, Lstm):
            kernel, recurrent, bias = own
            weights |= {f"{node.name}.inputs": [kernel, bias], f"{node.name}.state": [recurrent]}
        elif own:
            weights[node.name] = own
    return build_graph(found.graph, f"{network.name}_streaming", weights=weights)


def streaming_file(network: Network, model: Any) -> bytes:
    """A float32 ``.tflite`` file of :func:`streaming`, with the weights of the whole network's ``model``.

    Its inputs and outputs are in the order of the graph's. Raises as :func:`streaming`.
    """
    from edgenas.export.quantization import convert
    from edgenas.export.tflite.model_rewriting import rewrite

    names = [name for name, _ in streaming(network).graph.inputs]
    return rewrite(
        convert(streaming_keras(network, model), quantization="float32"), lambda file: _order_inputs(file, names)
    )


def _order_inputs(file: Any, names: Sequence[str]) -> None:
    """The inputs of the only graph in the order of these names, which the signature has."""
    (signature,) = file.signatureDefs
    tensors = {bytes(entry.name).decode(): int(entry.tensorIndex) for entry in signature.inputs}
    file.subgraphs[0].inputs = np.array([tensors[name] for name in names], np.int32)
