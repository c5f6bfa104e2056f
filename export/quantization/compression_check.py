"""Whether weights are as sparse and as clustered as they should be: in a model before, in the file after conversion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.export.quantization.compression import CompressionSettings
from edgenas.export.quantization.fake_quantization import is_quantize_aware, kernel_variables
from edgenas.export.tflite.reader import read_operators
from edgenas.spaces.errors import InputError, WorkError

_MAXIMUM_CLUSTERS = 256
_LEAST_WEIGHTS = 256
#: A model with fewer zeros than this share was never pruned.
_LEAST_SPARSITY = 0.02
_COMPRESSED = ("CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True)
class KernelStatistics:
    """``size`` weights of a kernel, the share of zeros, distinct values (the most in one output channel), m of n."""

    size: int
    sparsity: float
    distinct: int
    distinct_per_channel: int
    fewest_zeros_of_four: int

    @classmethod
    def of(cls, kernel: np.ndarray) -> KernelStatistics:
        """Of a kernel in the file's layout: output channels first, input channels last."""
        channels = kernel.reshape(len(kernel), -1)
        inputs = kernel.reshape(-1, kernel.shape[-1])
        whole = inputs[:, : inputs.shape[1] // 4 * 4].reshape(-1, 4)
        return cls(
            kernel.size,
            float(np.mean(kernel == 0)),
            len(np.unique(kernel)),
            max(len(np.unique(channel)) for channel in channels),
            int((whole == 0).sum(axis=1).min()) if whole.size else 4,
        )


def kernel_statistics(model: Any) -> dict[str, KernelStatistics]:
    """Of the kernels of a Keras model, or of one with fake quantization, that are large enough to be compressed."""
    if is_quantize_aware(model):
        kernels = {name: np.asarray(variable) for name, variable in kernel_variables(model).items()}
    else:
        kernels = {
            layer.name: np.asarray(layer.kernel.numpy())
            for layer in model.layers
            if getattr(layer, "kernel", None) is not None and not hasattr(layer, "depthwise_kernel")
        }
    return {
        name: KernelStatistics.of(np.ascontiguousarray(np.moveaxis(kernel, -1, 0)))
        for name, kernel in kernels.items()
        if kernel.size >= _LEAST_WEIGHTS and kernel.shape[-1] > 1
    }


def file_statistics(model: bytes) -> dict[str, KernelStatistics]:
    """Of the kernels of a ``.tflite`` file's convolutions and dense operators, by tensor name, tiny ones left out."""
    from edgenas.export.runtime import find_runtime

    interpreter = find_runtime().interpreter(model_content=model, num_threads=1)
    found = {}
    for operator in read_operators(model):
        kernel = operator.inputs[1] if operator.name in _COMPRESSED and len(operator.inputs) > 1 else None
        if kernel is None or not kernel.is_constant or int(np.prod(kernel.shape)) < _LEAST_WEIGHTS:
            continue
        found[kernel.name] = KernelStatistics.of(interpreter.get_tensor(kernel.index))
    return found


def require_pruned(recipe: str, name: str, kernels: Mapping[str, KernelStatistics]) -> None:
    """Raises InputError when kernels hold next to no zeros."""
    zeros = sum(kernel.sparsity * kernel.size for kernel in kernels.values())
    if not kernels or zeros < _LEAST_SPARSITY * sum(kernel.size for kernel in kernels.values()):
        raise InputError(
            f"quantization {recipe!r} needs a model that was pruned, the kernels of {name!r} hold no zeros: "
            f"`edgenas export` prunes and trains it"
        )


def require_clustered(recipe: str, name: str, kernels: Mapping[str, KernelStatistics]) -> None:
    """Raises InputError when a kernel holds more distinct values than a clustered one can."""
    for layer, kernel in kernels.items():
        if kernel.distinct > min(_MAXIMUM_CLUSTERS, kernel.size - 1):
            raise InputError(
                f"quantization {recipe!r} needs a model that was clustered, {layer!r} of {name!r} holds "
                f"{kernel.distinct} distinct weights: `edgenas export` clusters and trains it"
            )


def check_compressed(model: bytes, settings: CompressionSettings, *, pruned: bool, clustered: bool) -> dict[str, Any]:
    """What is really in the file: ``sparsity`` of all kernels together, most ``distinct`` values in an output channel.

    A channel, because int8 kernels have a scale per channel: the same weight is another integer in another channel.

    Raises WorkError naming the tensors that miss the settings.
    """
    kernels = file_statistics(model)
    problems = []
    for name, kernel in kernels.items():
        if pruned and kernel.sparsity < settings.least_sparsity - 1 / kernel.size:
            problems.append(f"{name} has {kernel.sparsity:.1%} zeros, expected {settings.least_sparsity:.1%}")
        if pruned and settings.sparsity_m_by_n == (2, 4) and kernel.fewest_zeros_of_four < 2:
            problems.append(f"{name} has four neighbours with {kernel.fewest_zeros_of_four} zeros, expected 2")
        if clustered and kernel.distinct_per_channel > settings.clusters:
            problems.append(
                f"{name} has {kernel.distinct_per_channel} distinct weights in a channel, expected at most "
                f"{settings.clusters}"
            )
    if problems:
        raise WorkError(f"the converted file is not compressed as it should be: {'; '.join(problems)}")
    found: dict[str, Any] = {}
    if pruned:
        size = max(1, sum(kernel.size for kernel in kernels.values()))
        found["sparsity"] = sum(kernel.sparsity * kernel.size for kernel in kernels.values()) / size
    if clustered:
        found["distinct"] = max((kernel.distinct_per_channel for kernel in kernels.values()), default=0)
    return found
