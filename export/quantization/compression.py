"""Weights that compress well: zeros (pruning) and few distinct values (clustering), as projections of arrays.

A network is fine-tuned with them by projecting its kernels back after every step, so that any combination of the two
with quantization-aware training is the same loop: what is projected last is what is shipped.

Pruning by magnitude with a polynomial schedule: Zhu and Gupta, arXiv 1710.01878. ``m`` of ``n``: Mishra et al.,
arXiv 2104.08378. Clusters by k-means with fixed membership, moved by the mean of their members' updates: Han et al.,
arXiv 1510.00149.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import OpGraph

_LLOYD_ITERATIONS = 50
#: Smaller kernels are left alone: nothing to save there, and the first convolution is the most sensitive.
_LEAST_WEIGHTS = 256


@dataclass(frozen=True)
class CompressionSettings:
    """How far weights are compressed. Raises InputError naming the field, what was found and what was expected.

    Attributes:
        sparsity: share of each kernel's weights that become 0, in (0, 1).
        sparsity_m_by_n: instead of ``sparsity``: at least m zeros among each n weights that are neighbours along the
            input channels, such as (2, 4), which some hardware computes twice as fast.
        ramp: share of the fine-tuning in which the sparsity grows to its target; the rest recovers.
        clusters: distinct values per kernel.
    """

    sparsity: float = 0.5
    sparsity_m_by_n: tuple[int, int] | None = None
    ramp: float = 0.6
    clusters: int = 16

    def __post_init__(self) -> None:
        for name in ("sparsity", "ramp"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"compression: {name} must be above 0 and below 1, not {getattr(self, name)!r}")
        if self.sparsity_m_by_n is not None:
            m, n = self.sparsity_m_by_n
            if not 0 < m < n <= 16:
                raise InputError(f"compression: sparsity_m_by_n must be m zeros of n <= 16 weights, not {m} of {n}")
        if not 2 <= self.clusters <= 256:
            raise InputError(f"compression: clusters must be from 2 to 256, not {self.clusters!r}")

    @property
    def least_sparsity(self) -> float:
        """Share of zeros that a pruned kernel must have, within the rounding of small kernels."""
        if self.sparsity_m_by_n is None:
            return self.sparsity
        return self.sparsity_m_by_n[0] / self.sparsity_m_by_n[1]


def compressible_ops(graph: OpGraph) -> tuple[str, ...]:
    """Names of the ops whose kernels are pruned and clustered: convolutions and dense ops that are not tiny.

    Depthwise kernels hold few weights and suffer most, so they are left alone.
    """
    return tuple(
        node.name
        for node in graph.nodes
        if node.op.traits.has_kernel
        and node.op.traits.kernel_axis == -1
        and node.weights is None
        and node.op.weights(*graph.input_shapes(node)) >= _LEAST_WEIGHTS
    )


def scheduled_sparsity(target: float, progress: float, ramp: float) -> float:
    """The sparsity at a moment of the fine-tuning: cubic, fast at first, ``target`` from ``ramp`` on.

    >>> [round(scheduled_sparsity(0.8, progress, 0.5), 3) for progress in (0.0, 0.25, 0.5, 1.0)]
    [0.0, 0.7, 0.8, 0.8]
    """
    return target * (1 - (1 - min(1.0, progress / ramp)) ** 3)


def magnitude_mask(kernel: np.ndarray, sparsity: float) -> np.ndarray:
    """False at the smallest magnitudes, exactly ``round(sparsity * size)`` of them.

    >>> magnitude_mask(np.array([0.1, -3.0, 0.5, -0.2]), 0.5)
    array([False,  True,  True, False])
    """
    mask = np.ones(kernel.size, bool)
    mask[np.argsort(np.abs(kernel).ravel(), kind="stable")[: round(sparsity * kernel.size)]] = False
    return mask.reshape(kernel.shape)


def m_by_n_mask(kernel: np.ndarray, m: int, n: int) -> np.ndarray:
    """False at the m smallest magnitudes of each n neighbours along the input channels (the last axis but one).

    An incomplete group at the end counts its missing weights as zeros.

    >>> m_by_n_mask(np.array([[1.0], [5.0], [-2.0], [3.0], [9.0]]), 2, 4).ravel()
    array([False,  True, False,  True,  True])
    """
    magnitudes = np.moveaxis(np.abs(kernel), -2, -1)
    channels = magnitudes.shape[-1]
    padding = -channels % n
    padded = np.pad(magnitudes, [(0, 0)] * (magnitudes.ndim - 1) + [(0, padding)])
    groups = padded.reshape(*padded.shape[:-1], -1, n)
    rank = np.argsort(np.argsort(groups, axis=-1, kind="stable"), axis=-1)
    if padding:  # the padding is zero already: it takes the first ranks
        missing = np.arange(groups.shape[-2] * n).reshape(-1, n) >= channels
        rank = np.argsort(np.argsort(np.where(missing, -1.0, groups), axis=-1, kind="stable"), axis=-1)
    mask = (rank >= m).reshape(padded.shape)[..., :channels]
    return np.moveaxis(mask, -1, -2)


def cluster_members(kernel: np.ndarray, clusters: int, *, keep_zeros: bool = False) -> np.ndarray:
    """The cluster of every weight, from 0, by one-dimensional k-means started at evenly spaced values.

    With ``keep_zeros`` the weights that are 0 are cluster 0 and stay by themselves.
    """
    values = kernel.ravel().astype(np.float64)
    members = np.zeros(values.size, np.int64)
    chosen = values != 0 if keep_zeros else np.ones(values.size, bool)
    count, first = (clusters - 1, 1) if keep_zeros else (clusters, 0)
    some = values[chosen]
    if some.size:
        members[chosen] = first + _k_means(some, count)
    return members.reshape(kernel.shape)


def cluster_means(kernel: np.ndarray, members: np.ndarray, *, keep_zeros: bool = False) -> np.ndarray:
    """Every weight replaced by the mean of its cluster (of cluster 0 by 0, with ``keep_zeros``), float32."""
    flat = members.ravel()
    counts = np.bincount(flat)
    means = np.bincount(flat, kernel.ravel().astype(np.float64)) / np.maximum(counts, 1)
    if keep_zeros:
        means[0] = 0.0
    return means.astype(np.float32)[members]


def _k_means(values: np.ndarray, clusters: int) -> np.ndarray:
    centres = np.linspace(values.min(), values.max(), clusters)
    members = np.zeros(values.size, np.int64)
    for _ in range(_LLOYD_ITERATIONS):
        # In one dimension the nearest centre follows from the midpoints between the sorted centres.
        found = np.searchsorted((centres[1:] + centres[:-1]) / 2, values)
        if np.array_equal(found, members):
            break
        members = found
        counts = np.bincount(members, minlength=clusters)
        sums = np.bincount(members, values, minlength=clusters)
        centres = np.sort(np.where(counts, sums / np.maximum(counts, 1), centres))
    return np.searchsorted((centres[1:] + centres[:-1]) / 2, values)


class Compression:
    """Keeps kernels pruned and clustered while they are trained: call :meth:`project` after every step.

    Args:
        kernels: variables with ``numpy()`` and ``assign()``, such as those of Keras layers.
        settings: how far.
        pruned: whether to prune.
        clustered: whether to cluster; together with ``pruned`` only once the sparsity is reached, and zeros stay.
    """

    def __init__(
        self, kernels: Sequence[object], settings: CompressionSettings, *, pruned: bool, clustered: bool
    ) -> None:
        self._kernels = list(kernels)
        self._settings = settings
        self._pruned = pruned
        self._clustered = clustered
        self._masks: list[np.ndarray] = []
        self._is_settled = False
        self._members: list[np.ndarray] | None = None

    def project(self, progress: float) -> None:
        """Prunes and clusters the kernels as far as they should be at ``progress`` in [0, 1] of the training."""
        values = [np.asarray(kernel.numpy()) for kernel in self._kernels]  # type: ignore[attr-defined]
        if self._pruned:
            if not self._is_settled:
                self._masks = [self._mask(value, progress) for value in values]
                self._is_settled = progress >= self._settings.ramp
            values = [value * mask for value, mask in zip(values, self._masks, strict=True)]
        if self._clustered and (self._is_settled or not self._pruned):
            if self._members is None:
                self._members = [
                    cluster_members(value, self._settings.clusters, keep_zeros=self._pruned) for value in values
                ]
            values = [
                cluster_means(value, members, keep_zeros=self._pruned)
                for value, members in zip(values, self._members, strict=True)
            ]
        for kernel, value in zip(self._kernels, values, strict=True):
            kernel.assign(value.astype(np.float32))  # type: ignore[attr-defined]

    def _mask(self, kernel: np.ndarray, progress: float) -> np.ndarray:
        settings = self._settings
        if settings.sparsity_m_by_n is not None:
            return m_by_n_mask(kernel, *settings.sparsity_m_by_n)
        return magnitude_mask(kernel, scheduled_sparsity(settings.sparsity, progress, settings.ramp))
