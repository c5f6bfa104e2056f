"""Anchors as the public configurations have them, and fitted to boxes."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.spaces.errors import InputError
from edgenas.tasks.detection.anchors import AnchorGrid, cluster_sizes, fit_anchors, generate_anchors, size_overlaps

LEVELS = [(20, 20), (10, 10), (5, 5), (3, 3), (3, 3)]


def test_those_of_spaghettinet() -> None:
    """Scales 0.2 to 0.95 on five levels, three on the lowest: 2058 (tf-models' ssd_anchor_generator)."""
    grid = generate_anchors(LEVELS, (3, 6, 6, 6, 6), (320, 320))
    boxes = grid.boxes()
    assert boxes.shape == (2058, 4) == (grid.count, 4)
    assert boxes.dtype == np.float32
    root = np.sqrt(2)
    wanted = [(0.025, 0.025, 0.1, 0.1), (0.025, 0.025, 0.2 / root, 0.2 * root), (0.025, 0.025, 0.2 * root, 0.2 / root)]
    np.testing.assert_allclose(boxes[:3], wanted, rtol=1e-6)
    np.testing.assert_allclose(boxes[3, :2], (0.025, 0.075))  # the next column
    np.testing.assert_allclose(boxes[60, :2], (0.075, 0.025))  # the next row
    np.testing.assert_allclose(boxes[1200], (0.05, 0.05, 0.3875, 0.3875))
    np.testing.assert_allclose(boxes[1205, 2:], np.sqrt(0.3875 * 0.575), rtol=1e-6)
    np.testing.assert_allclose(boxes[-1, 2:], np.sqrt(0.95), rtol=1e-6)


def test_squares_are_square_in_pixels() -> None:
    size = np.array(generate_anchors([(3, 4)], 1, (240, 320)).sizes[0][0])
    assert np.ptp(size * (240, 320)) == pytest.approx(0)
    assert size[0] == pytest.approx(0.2)


@pytest.mark.parametrize("count", range(1, 7))
def test_every_number_of_a_cell(count: int) -> None:
    grid = generate_anchors([(4, 4), (2, 2)], count, (96, 96))
    assert all(len(set(some)) == count for some in grid.sizes)


def test_fitted_anchors_overlap_more_than_generated() -> None:
    rng = np.random.default_rng(0)
    sizes = np.concatenate([rng.normal(mean, 0.01, (40, 2)) for mean in ((0.3, 0.7), (0.3, 0.3), (0.9, 0.6))])
    levels, image_shape = [(10, 10), (5, 5)], (96, 96)
    fitted = fit_anchors(levels, (1, 2), image_shape, sizes)
    generated = generate_anchors(levels, (1, 2), image_shape)

    def mean_best(grid: AnchorGrid) -> float:
        return float(size_overlaps(sizes, np.array([size for some in grid.sizes for size in some])).max(axis=1).mean())

    assert mean_best(fitted) > 0.9 > 0.8 > mean_best(generated)


def test_levels_whose_cells_do_not_suit_the_boxes_keep_the_generated_anchors() -> None:
    sizes = np.random.default_rng(0).uniform(0.15, 0.3, (200, 2))
    levels = [(12, 12), (3, 3), (1, 1)]
    fitted = fit_anchors(levels, (3, 6, 6), (96, 96), sizes)
    generated = generate_anchors(levels, (3, 6, 6), (96, 96))
    assert fitted.sizes[1:] == generated.sizes[1:]
    assert all(0.15 < side < 0.3 for size in fitted.sizes[0] for side in size)


def test_weights_count_as_repeated_sizes() -> None:
    sizes, weights = np.array([(0.1, 0.1), (0.2, 0.2), (0.25, 0.25)]), np.array([1, 3, 1])
    np.testing.assert_allclose(
        cluster_sizes(sizes, 1, weights), cluster_sizes(np.repeat(sizes, weights, axis=0), 1), rtol=1e-12
    )


def test_what_is_written_is_read_back() -> None:
    grid = generate_anchors(LEVELS, 3, (320, 320))
    assert AnchorGrid.from_dict(grid.to_dict()) == grid


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: generate_anchors(LEVELS, (3, 6), (96, 96)), "5 levels"),
        (lambda: generate_anchors(LEVELS, 7, (96, 96)), "at most 6"),
        (lambda: cluster_sizes(np.full((9, 2), 0.2), 3), "1 different sizes"),
        (lambda: AnchorGrid(((2, 2),), ()), "1 levels"),
        (lambda: AnchorGrid(((2, 2),), (((0.0, 1.0),),)), "above 0"),
        (lambda: AnchorGrid.from_dict({"levels": 3}), "expected"),
    ],
)
def test_what_is_wrong_is_said(call, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=words):
        call()
