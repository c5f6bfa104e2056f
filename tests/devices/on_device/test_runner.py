"""The runner file: what it may use, and its small parts. It runs alone on boards."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgenas.devices.kinds.client import RUNNER_FILES
from edgenas.devices.on_device import runner, sampling
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.blocks import ConvBnAct

FILE = Path(runner.__file__)


@pytest.mark.parametrize("file", RUNNER_FILES, ids=lambda file: file.name)
def test_is_python_3_7_and_needs_only_numpy(file: Path) -> None:
    tree = ast.parse(file.read_text(), feature_version=(3, 7))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported - {"numpy"} <= set(sys.stdlib_module_names)


def test_measures_files_named_on_its_command_line(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.tflite", tmp_path / "bad.tflite"
    good.write_bytes(write_tflite(ConvBnAct(filters=8).lower((8, 8, 3)), "int8"))
    bad.write_bytes(b"no")
    done = subprocess.run([sys.executable, str(FILE), str(bad), str(good)], capture_output=True, timeout=60, check=True)
    facts, refused, measured = map(json.loads, done.stdout.splitlines())
    assert facts["facts"]["threads"] == 1
    assert refused["id"] == str(bad)
    assert refused["error"]
    assert measured["id"] == str(good)
    assert min(measured["samples_ms"]) > 0


def test_half_width_covers_the_median() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        median, half_width = sampling.median_half_width(list(rng.exponential(size=101)))
        hits += abs(median - np.log(2)) <= 2 * half_width
    assert hits >= 0.95 * 400


def test_half_width_of_equal_samples_is_zero() -> None:
    assert sampling.median_half_width([2.0] * 30) == (2.0, 0.0)


@pytest.mark.parametrize("count", [3, 10, 1000])
def test_thinned_samples_keep_both_ends(count: int) -> None:
    samples = [float(value) for value in np.random.default_rng(count).permutation(count)]
    kept = sampling.thin(samples, 5)
    assert len(kept) == min(count, 5)
    assert min(kept) == 0
    assert max(kept) == count - 1


def test_sampling_stops_when_the_median_is_certain() -> None:
    class Steady:
        def invoke(self) -> None:
            for _ in range(2000):
                pass

    settings = dict(runner.DEFAULTS, warmup_seconds=0.001, max_seconds=20.0, max_runs=100_000, confidence=0.5)
    samples, _, batch = sampling.measure(Steady(), settings)
    assert runner.DEFAULTS["min_runs"] <= len(samples) < 5000
    assert batch >= 1


def test_pinning_to_an_impossible_cpu_is_told() -> None:
    code = "from edgenas.devices.on_device import runner; print(runner.pin([4096], 1))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "None"
