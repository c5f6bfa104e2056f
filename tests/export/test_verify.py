"""Verification through the interpreter: in processes of their own, with clear errors."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgenas.export import runtime, verify
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.verify import Agreement, agreement, tflite_logits, tflite_outputs
from edgenas.export.verify_worker import dequantize, quantize
from edgenas.spaces.errors import InputError, WorkError


def test_processes_share_the_images_without_mixing_them_up(trained, int8_model: bytes) -> None:
    inputs = trained.test_inputs[:31]
    alone = tflite_logits(int8_model, inputs, processes=1)
    assert np.array_equal(tflite_logits(int8_model, inputs, processes=4), alone)
    assert np.array_equal(tflite_logits(int8_model, inputs[:1], processes=4), alone[:1])


def test_agreement_of_logits() -> None:
    logits = np.array([[1.0, 2.0], [3.0, 3.0], [0.0, -1.0]])
    assert agreement(logits, logits[:, ::-1]) == Agreement(1.0, pytest.approx(1 / 3))
    with pytest.raises(InputError, match="different shapes"):
        agreement(logits, logits[:2])


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"not a model at all" * 9])
def test_a_damaged_model_is_refused(int8_model: bytes, damage) -> None:
    with pytest.raises(InputError, match="the interpreter cannot load the model"):
        tflite_logits(damage(int8_model), np.zeros((2, 20, 20, 1), np.float32))


def test_images_that_do_not_fit_are_refused(int8_model: bytes) -> None:
    with pytest.raises(InputError, match=r"\(1, 20, 20, 1\), not one image of shape \(20, 20, 3\)"):
        tflite_logits(int8_model, np.zeros((2, 20, 20, 3), np.float32))
    with pytest.raises(InputError, match="N > 0"):
        tflite_logits(int8_model, np.zeros((0, 20, 20, 1), np.float32))
    with pytest.raises(InputError, match="takes 1 inputs, 2 were given"):
        tflite_outputs(int8_model, [np.zeros((2, 20, 20, 1), np.float32)] * 2)
    with pytest.raises(InputError, match=r"equally many examples of every input, at least one; found \[2, 3\]"):
        tflite_outputs(int8_model, [np.zeros((count, 20, 20, 1), np.float32) for count in (2, 3)])


def test_a_crash_of_the_interpreter_is_an_error_here(monkeypatch) -> None:
    def crashing(folder: Path, start: int, stop: int) -> tuple[subprocess.Popen[str], int]:
        code = "import os, sys; print('last words', file=sys.stderr, flush=True); os.abort()"
        return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True), start

    monkeypatch.setattr(verify, "_start_worker", crashing)
    with pytest.raises(WorkError, match=rf"crashed with {signal.SIGABRT.name} \(last words\)"):
        tflite_logits(b"", np.zeros((2, 4, 4, 1), np.float32))


def test_workers_do_not_import_tensorflow() -> None:
    code = "import sys; import edgenas.export.verify_worker; import edgenas.export.runtime as r; "
    code += "r.find_runtime(); print('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16])
def test_quantization_round_trip(dtype: type) -> None:
    tensor = {"dtype": dtype, "quantization": (0.02, 3)}
    values = np.linspace(-0.05, 2.3, 50, dtype=np.float32)
    limits = np.iinfo(dtype)
    stored = quantize(values, tensor)
    assert stored.dtype == dtype
    inside = (stored > limits.min) & (stored < limits.max)
    assert inside.sum() > 40
    np.testing.assert_allclose(dequantize(stored, tensor)[inside], values[inside], atol=0.0101)
    assert quantize(np.float32([1e9, -1e9]), tensor).tolist() == [limits.max, limits.min]


def test_the_first_runtime_that_imports_is_taken(monkeypatch) -> None:
    assert runtime.find_runtime().name == "ai-edge-litert"
    assert runtime.find_runtime().version != "unknown"
    monkeypatch.setattr(runtime, "RUNTIMES", (("nothing", "no_such_runtime"), *runtime.RUNTIMES))
    assert runtime.find_runtime().name == "ai-edge-litert"
    monkeypatch.setattr(runtime, "RUNTIMES", (("nothing", "no_such_runtime"),))
    with pytest.raises(InputError, match=r"pip install ai-edge-litert.*no_such_runtime"):
        runtime.find_runtime()


def test_preprocessing_normalises_what_it_was_fitted_on() -> None:
    images = np.random.default_rng(0).integers(0, 200, (20, 6, 5, 3)).astype(np.uint8)
    images[..., 2] = 7
    fitted = Preprocessing.fit(images)
    inputs = fitted.apply(images)
    assert inputs.dtype == np.float32
    np.testing.assert_allclose(inputs.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(inputs.std(axis=(0, 1, 2)), [1, 1, 0], atol=1e-4)
    np.testing.assert_allclose(inputs, (images / 255 - fitted.mean) / fitted.std, atol=1e-5)
    assert Preprocessing.from_dict(fitted.to_dict()) == fitted


def test_wrong_preprocessing_is_refused() -> None:
    for mean, std in (((), ()), ((0.5,), (0.1, 0.1)), ((0.5,), (0.0,)), ((np.nan,), (1.0,))):
        with pytest.raises(InputError, match="preprocessing"):
            Preprocessing(mean, std)
    with pytest.raises(InputError, match="uint8"):
        Preprocessing((0.5,), (0.5,)).apply(np.zeros((1, 2, 2, 1)))
    with pytest.raises(InputError, match="3 channels"):
        Preprocessing((0.5,) * 3, (0.5,) * 3).apply(np.zeros((1, 2, 2, 1), np.uint8))
    for data in ({}, {"mean": 3, "std": [1]}, {"mean": ["x"], "std": [1]}):
        with pytest.raises(InputError, match="mean and std"):
            Preprocessing.from_dict(data)
