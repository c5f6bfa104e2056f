"""Weights of finished trainings as the beginning of another network's."""

import numpy as np
import pytest

from edgenas.export.keras.builder import build_keras
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct
from edgenas.spaces.network import Network, chain
from edgenas.training.initial import weights_by_name
from edgenas.training.transfer import Transfer, overlaid, shares_of


def network(filters: int, kernel: int = 3, name: str = "stem") -> Network:
    return chain("small", (8, 8, 1), {name: ConvBnAct(filters, kernel, 2), "head": ClassifierHead(4)})


def test_the_same_shapes_are_taken_whole() -> None:
    given = weights_by_name(build_keras(network(8), seed=1))
    model = build_keras(network(8), seed=2)
    found = Transfer([given], [1.0])(model)
    assert (set(found.taken), found.sliced, found.missing, found.misfits) == (set(given), (), (), ())
    for name, values in weights_by_name(model).items():
        np.testing.assert_array_equal(values, given[name])


def test_a_wider_network_takes_what_both_have_and_keeps_its_own_rest() -> None:
    given = weights_by_name(build_keras(network(4, 3), seed=1))
    model = build_keras(network(8, 5), seed=2)
    before = weights_by_name(model)
    found = Transfer([given], [1.0])(model)
    after = weights_by_name(model)
    kernel = next(name for name in after if name.startswith("stem") and name.endswith("kernel"))
    assert kernel in found.sliced
    np.testing.assert_array_equal(after[kernel][1:4, 1:4, :, :4], given[kernel])
    np.testing.assert_array_equal(after[kernel][..., 4:], before[kernel][..., 4:])
    np.testing.assert_array_equal(after[kernel][0], before[kernel][0])


def test_a_narrower_network_takes_the_first_channels() -> None:
    np.testing.assert_array_equal(overlaid(np.zeros((2, 2)), np.arange(9).reshape(3, 3), kernel=True), [[0, 1], [3, 4]])


def test_of_other_names_nothing_is_taken_and_that_is_told() -> None:
    given = weights_by_name(build_keras(network(8), seed=1))
    model = build_keras(network(8, name="other"), seed=2)
    found = Transfer([given], [1.0])(model)
    assert all(name.startswith("other") for name in found.missing)
    assert all(name.startswith("stem") for name in found.unused)


@pytest.mark.parametrize("kind", ["uniform_average", "loss_weighted"])
def test_averages_are_of_the_arrays_of_the_shape(kind: str) -> None:
    trainings = [
        weights_by_name(build_keras(network(filters), seed=seed)) for seed, filters in ((1, 8), (2, 8), (3, 4))
    ]
    shares = shares_of(kind, [0.5, 1.0, 0.1])
    assert sum(shares) == pytest.approx(1)
    model = build_keras(network(8), seed=9)
    Transfer(trainings, shares)(model)
    kernel = next(name for name in trainings[0] if name.startswith("stem") and name.endswith("kernel"))
    first, second = shares[0] / (shares[0] + shares[1]), shares[1] / (shares[0] + shares[1])
    expected = first * trainings[0][kernel] + second * trainings[1][kernel]
    np.testing.assert_allclose(weights_by_name(model)[kernel], expected, rtol=1e-5, atol=1e-7)


def test_a_loss_that_is_no_number_leaves_equal_shares() -> None:
    assert shares_of("loss_weighted", [float("nan"), 1.0]) == (0.5, 0.5)
