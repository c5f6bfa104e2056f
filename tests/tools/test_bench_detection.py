"""What the detection bench compares: widths, energies at equal precision, and boxes of two decoders."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edgenas.spaces.detection import anchor_levels
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.tasks.detection.detections import Found

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])


def test_networks_of_any_width() -> None:
    from detection_bench.ground import ssdlite

    half, whole = (ssdlite(width, (96, 96, 3), 3) for width in (0.5, 1.0))
    assert half.macs < 0.4 * whole.macs
    assert half.graph.output_shapes == whole.graph.output_shapes


def test_the_space_has_levels_from_an_eighth_on() -> None:
    from detection_bench.ground import SMALL_SPACE

    space = SearchSpace.load(SMALL_SPACE, input_shape=(96, 96, 3), classes=3)
    networks = [space.decode(row) for row in space.sample(np.random.default_rng(0), 4)]
    assert {tuple(level[:2] for level in anchor_levels(network)) for network in networks} == {
        ((12, 12), (6, 6), (3, 3))
    }


def test_energy_at_equal_precision() -> None:
    from detection_bench.compared import energy_at

    others = [
        {"metrics": {"tflite": {"map": score}}, "energy_mj": {"d": energy}}
        for score, energy in ((0.4, 4.0), (0.2, 1.0))
    ]
    assert energy_at(0.3, others, "d") == pytest.approx(2.0)
    assert energy_at(0.5, others, "d") == pytest.approx(4.0)
    assert energy_at(0.1, others, "d") == pytest.approx(1.0)


def test_boxes_of_two_decoders() -> None:
    from detection_bench.compared import compared

    boxes = np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]])
    mine = Found(boxes, np.array([0, 1]), np.array([0.9, 0.8]))
    other = Found(boxes[::-1] + 1e-5, np.array([1, 0]), np.array([0.8, 0.9]))
    assert compared(mine, other) == (0, pytest.approx(1e-5))
    assert compared(mine, mine.above(0.85)) == (1, 0.0)
    assert compared(mine, Found(boxes, np.array([1, 1]), mine.scores))[0] == 2
