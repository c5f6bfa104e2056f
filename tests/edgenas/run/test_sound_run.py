"""Sounds from a folder of WAV files to a bundle whose run.py hears what the training heard."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from edgenas.data.sound.generated import CLASSES, RATE, generated_tones
from edgenas.export.bundle.bundle import read_metrics, verify_bundle
from edgenas.export.bundle.sound_preprocessing import SoundPreprocessing
from edgenas.recipe.recipe import Recipe
from edgenas.run.pipeline import run

SPACE = """\
name: small_sounds
task: audio_classification
input_shape: [24, 10, 1]
classes: 5
nodes:
  - {name: stem, block: sound_conv, filters: [8, 16], kernel: 5, bands: 4, stride: 2, causal: true, inputs: image}
  - {name: next, block: bc_residual, filters: 16, causal: true}
head: [{block: classifier}]
"""
RECIPE = """\
name: small
data: {path: ./tones}
task_options: {seconds: 0.5, noise: 0.02, time_mask: 0.1}
device: {name: local-cpu}
training: {epochs: 12, batch_size: 16, learning_rate: 0.01, ema_decay: 0.9}
export: {calibration_images: 40, accuracy_drop: 0.5}
"""


def write(path: Path, sound: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(sound.astype("<i2").tobytes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, space and recipe."""
    path = tmp_path_factory.mktemp("sounds")
    data = generated_tones(0.5, train=100, test=20)
    for part, examples in (("train", data.train), ("test", data.test)):
        for index, (sound, label) in enumerate(zip(examples.sounds, examples.labels, strict=True)):
            write(path / "tones" / part / CLASSES[label] / f"{index}.wav", sound)
    (path / "space.yaml").write_text(SPACE)
    (path / "recipe.yaml").write_text(
        f"{RECIPE}space: {{architecture: '{path / 'space.yaml'}:1'}}\ntask: audio_classification\n"
        f"output: {path / 'runs'}\n"
    )
    return path


def test_from_wav_files_to_a_program_that_names_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGENAS_HOME", str(folder / "home"))
    found = run(Recipe.load(folder / "recipe.yaml"), quiet=True)
    bundle = found.run / "bundle"
    assert verify_bundle(bundle) == []
    metrics = read_metrics(bundle)
    assert (metrics["task"], metrics["metric"], metrics["quantization"]) == ("audio_classification", "top1", "int8")
    assert metrics["metrics"]["tflite"]["top1"] >= 0.6
    assert (bundle / "labels.txt").read_text().split() == sorted(CLASSES)
    assert "Sound classifier: 24x10x1 MFCC of 0.5 s to 5 classes" in (bundle / "README.md").read_text()
    report = (found.run / "report.html").read_text()
    assert "Which class is taken for which" in report
    assert metrics["metrics"]["tflite"]["top1"] == 1 or "data:image/jpeg;base64" in report
    _names(bundle, folder, metrics)
    _streams(bundle, folder)
    _hears_what_the_training_heard(bundle, metrics["preprocessing"])


def _names(bundle: Path, folder: Path, metrics: dict) -> None:
    checked = subprocess.run([sys.executable, bundle / "run.py", "--verify"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    sounds = sorted((folder / "tones" / "test").glob("*/*.wav"))
    done = subprocess.run([sys.executable, bundle / "run.py", *sounds, "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answers = [entry["classes"][0]["label"] for entry in json.loads(done.stdout)]
    right = np.mean([answer == path.parent.name for answer, path in zip(answers, sounds, strict=True)])
    assert right == pytest.approx(metrics["metrics"]["tflite"]["top1"], abs=0.051)
    (folder / "bad.wav").write_bytes(sounds[0].read_bytes()[:-10])
    wrong = subprocess.run([sys.executable, bundle / "run.py", folder / "bad.wav"], capture_output=True, text=True)
    told = [line for line in wrong.stderr.splitlines() if not line.startswith("INFO")]
    assert wrong.returncode == 2
    assert len(told) == 1
    assert "bad.wav: is cut off" in told[0]


def _streams(bundle: Path, folder: Path) -> None:
    sounds = sorted((folder / "tones" / "test").glob("*/*.wav"))[:3]
    for sound in sounds:
        command = [sys.executable, bundle / "run.py", "--stream", sound, "--json"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        whole = subprocess.run([sys.executable, bundle / "run.py", sound, "--json"], capture_output=True, text=True)
        (last,) = json.loads(done.stdout)[-1:]
        (first,) = json.loads(whole.stdout)
        shares = {entry["label"]: entry["probability"] for entry in last["classes"]}
        assert shares[first["classes"][0]["label"]] == pytest.approx(first["classes"][0]["probability"], abs=0.1)


def _hears_what_the_training_heard(bundle: Path, settings: dict) -> None:
    spec = importlib.util.spec_from_file_location("bundle_run", bundle / "run.py")
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    sounds = generated_tones(0.5, train=10, test=5).train.sounds
    wanted = SoundPreprocessing.from_dict(settings).apply(sounds)
    for sound, features in zip(sounds, wanted, strict=True):
        np.testing.assert_array_equal(program.features_of(sound, settings), features)


def test_the_ready_recipe_is_one() -> None:
    recipe = Recipe.load(Path(__file__).parents[3] / "edgenas" / "recipes" / "tones.yaml")
    assert (recipe.data.name, recipe.space.name) == ("generated_tones", "keyword_spotting")


ONE_SHOT = """\
name: one-shot
data: {path: ./tones}
task_options: {seconds: 0.5}
space: {path: one_shot.yaml}
device: {name: local-cpu}
budget: {params: 5000}
search: {algorithm: supernet}
supernet: {max_steps: 8, batch_size: 16, scores: 9, trials: 2, check: 3, calibration_examples: 32, scored_examples: 40}
training: {epochs: 1, batch_size: 16}
export: {calibration_images: 40, accuracy_drop: 1.0}
"""


@pytest.mark.slow
def test_one_shot_search_ships_and_resumes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGENAS_HOME", str(folder / "home"))
    (folder / "one_shot.yaml").write_text(SPACE.replace("filters: 16", "filters: [8, 16]"))
    (folder / "one_shot_recipe.yaml").write_text(f"{ONE_SHOT}output: {folder / 'runs'}\n")
    recipe = Recipe.load(folder / "one_shot_recipe.yaml")
    found = run(recipe, quiet=True)
    assert verify_bundle(found.run / "bundle") == []
    assert (found.run / "bundle" / "stream.tflite").is_file()
    again = run(recipe, quiet=True, resume=True)
    assert again.run == found.run
