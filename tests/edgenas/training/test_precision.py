"""Precisions that a machine has, the scale of the loss, and devices that share a batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgenas.export._tensorflow import tensorflow
from edgenas.run.preflight_training import check_trainings
from edgenas.spaces.errors import InputError
from edgenas.training import precision
from edgenas.training.precision import LossScale, compute_policy, precision_problem
from edgenas.training.replicas import training_devices

SHARED = Path(__file__).with_name("on_two_devices.py")


def test_a_precision_that_the_machine_only_emulates_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    capabilities: list[tuple[int, int]] = []
    monkeypatch.setattr(precision, "_capabilities", lambda: capabilities)
    monkeypatch.setattr(precision, "_CPU_FACTS", tmp_path / "cpuinfo")
    assert precision_problem("auto") is None
    assert precision_problem("float32") is None
    assert "needs a GPU, and TensorFlow sees none" in (precision_problem("mixed_float16") or "")
    (tmp_path / "cpuinfo").write_text("processor: 0\nflags : fpu avx2\n")
    assert "this CPU has no bfloat16 arithmetic" in (precision_problem("mixed_bfloat16") or "")
    (tmp_path / "cpuinfo").write_text("processor: 0\nflags : fpu avx512_bf16\n")
    assert precision_problem("mixed_bfloat16") is None
    capabilities += [(9, 0), (7, 5)]
    assert precision_problem("mixed_float16") is None
    assert "compute capability 8.0, found 7.5" in (precision_problem("mixed_bfloat16") or "")
    assert compute_policy("auto") == "float32"
    capabilities.pop()
    assert compute_policy("auto") == "mixed_bfloat16"
    assert compute_policy("mixed_float16") == "mixed_float16"


def test_the_loss_scale_falls_at_once_and_grows_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_GROWTH_STEPS", 3.0)
    tf, scale = tensorflow(), LossScale()
    found = []
    for finite in (True, False, True, True, True, True):
        scale.update(tf.constant(finite))
        found.append(float(scale.value))
    assert found == [2.0**15, 2.0**14, 2.0**14, 2.0**14, 2.0**15, 2.0**15]


def test_gpus_that_are_not_there_are_told() -> None:
    assert training_devices(None, 64) == training_devices(1, 64) == ()
    with pytest.raises(InputError, match=r"training\.gpus: 3 are wanted, TensorFlow sees 0"):
        training_devices(3, 64)


def test_two_devices_bring_what_one_does() -> None:
    """In a process of its own: logical devices are told before TensorFlow begins."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    ended = subprocess.run([sys.executable, str(SHARED)], capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["devices"] == 2
    assert found["trained"] < 1e-5, "six steps are the same but for rounding"
    assert found["shared"] < 1e-5


def test_a_recipe_is_told_before_anything_runs(make_recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_capabilities", list)
    with pytest.raises(InputError, match=r"^training\.precision: mixed_float16 needs a GPU"):
        check_trainings(make_recipe("training: {precision: mixed_float16}\n"))
    with pytest.raises(InputError, match=r"^search\.training\.gpus: 2 are wanted, TensorFlow sees 0"):
        check_trainings(make_recipe("search: {training: {gpus: 2}}\n"))
    earlier = make_recipe("training: {mixed_precision: off}\n")
    assert (earlier.training.precision, earlier.training.gpus, earlier.search.training.gpus) == ("float32", None, 1)
