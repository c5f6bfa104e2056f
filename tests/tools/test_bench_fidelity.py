"""The parts of the fidelity benchmark that no training is needed for."""

from __future__ import annotations

import argparse
import importlib.util
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

_PATH = Path(__file__).parents[2] / "tools" / "bench_fidelity.py"


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(_PATH.parent)
        yield _loaded()


def _loaded():
    spec = importlib.util.spec_from_file_location("bench_fidelity", _PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_packed_jpegs_are_read(bench, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 4), ("test", 2)):
        files = []
        for index in range(count):
            buffer = io.BytesIO()
            Image.new("RGB", (28, 28), (40 * index, 0, 200)).save(buffer, "JPEG")
            files.append(np.frombuffer(buffer.getvalue(), np.uint8))
        arrays[f"{part}_jpeg"] = np.concatenate(files)
        arrays[f"{part}_len"] = np.array([len(file) for file in files])
        arrays[f"y_{part}"] = generator.permutation(count) % 2
    np.savez(tmp_path / "packed.npz", **arrays)
    dataset = bench.load_set("packed", tmp_path)
    assert dataset.images.shape == (4, 28, 28, 3)
    assert np.abs(dataset.images[3].astype(int).mean(axis=(0, 1)) - (120, 0, 200)).max() < 4
    assert dataset.classes == 2


def test_networks_are_near_the_budget_and_every_other_one_has_groups(bench) -> None:
    dataset = bench.load_set("fashion_mnist", None)
    options = argparse.Namespace(space="tiny_edge", macs=2e6, networks=4)
    networks = bench.choose_networks(dataset, options, 1)
    assert len({architecture for architecture, _ in networks}) == 4
    assert all(1.5e6 <= network.macs <= 2e6 for _, network in networks)
    assert [bench.has_group_convolution(network) for _, network in networks] == [True, False, True, False]
    assert [name for name, _ in bench.choose_networks(dataset, options, 1)] == [name for name, _ in networks]


def test_means_and_extremes_by_recipe(bench) -> None:
    row = {"set": "a", "recipe": "int8", "float_top1": 0.9, "tflite_top1": 0.9, "size_bytes": 10}
    row |= {"conversion_seconds": 9, "training_seconds": 0, "conversion_cpu_seconds": 2.0, "plain_cpu_seconds": 4.0}
    rows = [row | {"difference_points": points} for points in (-0.3, 0.1)]
    (line,) = bench.summary(rows)
    assert line["networks"] == 2
    assert line["mean_points"] == pytest.approx(-0.1)
    assert (line["lowest_points"], line["highest_points"], line["conversion_ratio"]) == (-0.3, 0.1, 0.5)
    (trained,) = bench.summary([rows[0] | {"plain_cpu_seconds": None}])
    assert trained["conversion_ratio"] is None
    lost, ratio = bench.claims([line])
    assert (lost["value"], lost["goal"], lost["met"]) == (pytest.approx(0.1), 0.5, True)
    assert (ratio["value"], ratio["met"]) == (0.5, True)
    (lost,) = bench.claims([trained | {"mean_points": -0.6}])
    assert not lost["met"]


def test_later_seeds_keep_their_work_apart(bench) -> None:
    assert str(bench.Case("a", 2, 0, "")) == "a-2"
    assert str(bench.Case("a", 2, 1, "seed-1")) == "seed-1/a-2"
