"""Masks and clusters as arrays, and what is found of them in models and files."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.export.quantization import convert
from edgenas.export.quantization.compression import (
    Compression,
    CompressionSettings,
    cluster_means,
    cluster_members,
    compressible_ops,
    m_by_n_mask,
    magnitude_mask,
    scheduled_sparsity,
)
from edgenas.export.quantization.compression_check import KernelStatistics, check_compressed, file_statistics
from edgenas.export.quantization.preparation import FineTuning, prepare
from edgenas.spaces.errors import InputError, WorkError


class Variable:
    """As a layer's: a value that can be replaced."""

    def __init__(self, value: np.ndarray) -> None:
        self.value = value

    def numpy(self) -> np.ndarray:
        return self.value

    def assign(self, value: np.ndarray) -> None:
        self.value = value


@given(st.integers(1, 300), st.floats(0.01, 0.99), st.integers(0, 99))
def test_exactly_the_smallest_magnitudes_go(size: int, sparsity: float, seed: int) -> None:
    kernel = np.random.default_rng(seed).normal(size=size)
    mask = magnitude_mask(kernel, sparsity)
    assert (~mask).sum() == round(sparsity * size)
    if mask.any() and not mask.all():
        assert np.abs(kernel[~mask]).max() <= np.abs(kernel[mask]).min()


@given(st.integers(1, 20), st.integers(1, 6), st.sampled_from([(2, 4), (1, 4), (1, 2), (3, 4)]), st.integers(0, 99))
def test_every_group_along_the_input_channels_has_its_zeros(channels, filters, pattern, seed) -> None:
    m, n = pattern
    kernel = np.random.default_rng(seed).normal(size=(3, 3, channels, filters))
    pruned = np.moveaxis(kernel * m_by_n_mask(kernel, m, n), -2, -1)
    whole = pruned[..., : channels // n * n].reshape(-1, n)
    assert ((whole == 0).sum(axis=1) == m).all()
    rest = pruned[..., channels // n * n :]
    assert ((rest != 0).sum(axis=-1) <= n - m).all()


def test_zeros_that_are_there_already_are_not_counted_twice() -> None:
    kernel = np.array([0.0, 0.0, 3.0, 1.0])[:, None]
    assert m_by_n_mask(kernel, 2, 4).ravel().tolist() == [False, False, True, True]


def test_the_schedule_starts_at_none_rises_and_stays() -> None:
    values = [scheduled_sparsity(0.7, progress, 0.6) for progress in np.linspace(0, 1, 11)]
    assert values[0] == 0
    assert values == sorted(values)
    assert values[6:] == pytest.approx([0.7] * 5)


@given(st.integers(2, 40), st.integers(0, 99), st.booleans())
def test_clusters_are_few_and_close(clusters: int, seed: int, keep_zeros: bool) -> None:
    kernel = np.random.default_rng(seed).normal(size=(8, 40)).astype(np.float32)
    if keep_zeros:
        kernel[:, ::2] = 0
    members = cluster_members(kernel, clusters, keep_zeros=keep_zeros)
    clustered = cluster_means(kernel, members, keep_zeros=keep_zeros)
    assert len(np.unique(clustered)) <= clusters
    if keep_zeros:
        assert (clustered[:, ::2] == 0).all()
    # No worse than cutting the range into equal steps.
    step = np.ptp(kernel) / max(1, clusters - 2)
    assert np.mean((clustered - kernel) ** 2) <= step**2


def test_projection_prunes_gradually_then_clusters_and_keeps_zeros() -> None:
    variable = Variable(np.random.default_rng(0).normal(size=(1, 1, 32, 32)).astype(np.float32))
    compression = Compression([variable], CompressionSettings(clusters=8), pruned=True, clustered=True)
    compression.project(0.2)
    assert 0.1 < np.mean(variable.value == 0) < 0.5
    assert len(np.unique(variable.value)) > 100
    compression.project(0.9)
    variable.value = variable.value + np.random.default_rng(1).normal(size=variable.value.shape).astype(np.float32)
    compression.project(1.0)
    assert np.mean(variable.value == 0) == pytest.approx(0.5)
    assert len(np.unique(variable.value)) <= 8


def test_wrong_settings_are_named() -> None:
    for values, words in (
        ({"sparsity": 1.0}, "sparsity"),
        ({"clusters": 1}, "clusters"),
        ({"sparsity_m_by_n": (4, 4)}, "sparsity_m_by_n"),
    ):
        with pytest.raises(InputError, match=words):
            CompressionSettings(**values)


def test_a_file_holds_the_zeros_and_the_clusters_that_were_asked_for(trained) -> None:
    settings = CompressionSettings(sparsity_m_by_n=(2, 4), clusters=8)
    both = FineTuning(pruned=True, clustered=True)
    model = prepare(trained.network, trained.model, both, settings=settings).finish()
    float_file = convert(model, quantization="pruned+clustered")
    int8_file = convert(model, quantization="pruned+clustered+int8", calibration=trained.train_inputs[:20])
    for file in (float_file, int8_file):
        found = check_compressed(file, settings, pruned=True, clustered=True)
        assert 0.5 <= found["sparsity"] < 0.7
        assert found["distinct"] <= 8
    kernels = file_statistics(float_file)
    assert len(kernels) == len(compressible_ops(trained.network.graph)) > 2
    assert max(kernel.distinct for kernel in kernels.values()) <= 8  # of the whole tensor: no batch norm is left over
    with pytest.raises(WorkError, match=r"has \d+ distinct weights in a channel, expected at most 4"):
        check_compressed(float_file, CompressionSettings(clusters=4), pruned=False, clustered=True)
    with pytest.raises(WorkError, match=r"zeros, expected 90\.0%"):
        check_compressed(float_file, CompressionSettings(sparsity=0.9), pruned=True, clustered=False)


def test_statistics_read_the_layout_of_the_file() -> None:
    kernel = np.array([[0, 0, 1, 2], [0, 3, 3, 3]], np.int8)
    assert KernelStatistics.of(kernel) == KernelStatistics(8, 3 / 8, 4, 3, 1)
