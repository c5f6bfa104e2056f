"""From a trained network to what is fine-tuned and converted: folded, with fake quantization, pruned, clustered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.export.keras.builder import build_graph
from edgenas.export.keras.folding import fold_batch_norms, layer_weights
from edgenas.export.keras.weighted_sums import fix_weighted_sums
from edgenas.export.quantization.compression import Compression, CompressionSettings, compressible_ops
from edgenas.export.quantization.fake_quantization import (
    activation_ranges,
    is_quantize_aware,
    kernel_variables,
    quantize_aware,
    settle_kernel_ranges,
)
from edgenas.export.quantization.fine_tunable import not_quantize_aware
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network


@dataclass(frozen=True)
class FineTuning:
    """What a network is trained for before it is converted."""

    pruned: bool = False
    clustered: bool = False
    quantize_aware: bool = False


@dataclass(frozen=True)
class Prepared:
    """A network on its way to conversion: train ``model``, call :meth:`project` after each step, :meth:`finish`."""

    model: Any
    compression: Compression | None = None

    def project(self, progress: float) -> None:
        """Takes the kernels back to where they may be at ``progress`` in (0, 1]."""
        if self.compression is not None:
            self.compression.project(progress)

    def finish(self) -> Any:
        """The model as it can be converted: weights at their targets, ranges those of the weights."""
        self.project(1.0)
        if is_quantize_aware(self.model):
            settle_kernel_ranges(self.model)
        return self.model


def prepare(
    network: Network,
    model: Any,
    fine_tuning: FineTuning,
    *,
    calibration: np.ndarray | None = None,
    settings: CompressionSettings | None = None,
) -> Prepared:
    """Rebuilds a trained network for a fine-tuning; ``model`` stays as it is. Outputs are equal but for rounding.

    Args:
        network: what ``model`` was built from.
        model: trained Keras model, layers named as the network's ops.
        fine_tuning: what for.
        calibration: preprocessed training images, float32 NHWC, on which the ranges of activations start; needed for
            quantization-aware training.
        settings: how far weights are compressed.

    Raises:
        InputError: no calibration images where they are needed, or the extra ``edgenas[qat]`` is not installed.
    """
    graph, weights = fold_batch_norms(network.graph, layer_weights(model))
    if fine_tuning.quantize_aware:
        if calibration is None or not len(calibration):
            raise InputError("quantization-aware training needs calibration images: expected some training images")
        graph, weights = fix_weighted_sums(graph, weights)
        if problem := not_quantize_aware(graph):
            raise InputError(
                f"network {network.name!r}: quantization-aware training cannot round what {problem} computes inside; "
                "take a quantization after training, such as int8"
            )
        ranges = activation_ranges(graph, weights, calibration)
        # The converter puts the name in front of every tensor of the file, so it is short.
        prepared = quantize_aware(graph, weights, ranges, "qat")
        kernels = kernel_variables(prepared)
    else:
        prepared = build_graph(graph, network.name, weights=weights)
        kernels = {layer.name: layer.kernel for layer in prepared.layers if getattr(layer, "kernel", None) is not None}
    if not (fine_tuning.pruned or fine_tuning.clustered):
        return Prepared(prepared)
    chosen = [kernels[name] for name in compressible_ops(graph)]
    if not chosen:
        raise InputError(f"network {network.name!r} has no kernel large enough to prune or cluster")
    compression = Compression(
        chosen, settings or CompressionSettings(), pruned=fine_tuning.pruned, clustered=fine_tuning.clustered
    )
    return Prepared(prepared, compression)
