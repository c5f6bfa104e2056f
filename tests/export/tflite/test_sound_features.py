"""Features inside a file, beside those that training and run.py compute."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.data.sound.generated import generated_tones
from edgenas.export.bundle.sound_preprocessing import SoundPreprocessing
from edgenas.export.finishing import finished
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.export.tflite.reader import check_integer, model_io, read_operators
from edgenas.export.verify import tflite_outputs
from edgenas.spaces import SearchSpace
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import chain
from edgenas.tasks import get_task

DATA = generated_tones(0.25, train=20, test=5)


def task_and_block(**options):
    task = get_task("audio_classification", {"inside": True, "seconds": 0.25, **options})
    return task, task.beginning(DATA), task.fit(DATA.train)


@pytest.mark.parametrize("features", ["mfcc", "log_mel"])
def test_the_file_computes_what_training_and_run_py_compute(features):
    task, block, preprocessing = task_and_block(features=features)
    network = chain("features", (2000,), {"begin": block})
    constants = {"begin.features": task.constants(preprocessing)["sound_features"]}
    model = write_tflite(network.graph, "float32", constants=constants)
    inputs = {"sound": DATA.train.sounds}
    wanted = task.prepare(inputs, preprocessing)["features"]
    (found,) = tflite_outputs(model, [task.file_inputs(inputs, preprocessing)["sound"]], processes=1)
    assert found.shape == wanted.shape == (20, *preprocessing.shape)
    np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_an_int8_network_behind_them_answers_as_on_given_features():
    task, block, preprocessing = task_and_block()
    space = SearchSpace.load("keyword_spotting", input_shape=preprocessing.shape, classes=5)
    whole = space.beginning_with(block, task.inputs(DATA)["sound"])
    row = space.sample(np.random.default_rng(1), 1)[0]
    network = whole.decode(row)
    assert network.learned == space.decode(row)
    assert network.macs > network.learned.macs
    assert network.params == network.learned.params
    task.check(DATA, network)
    inner = write_tflite(network.learned.graph, "int8")
    model = finished(inner, network, task.constants(preprocessing))
    inputs = {"sound": DATA.train.sounds[:8]}
    (expected,) = tflite_outputs(inner, [task.prepare(inputs, preprocessing)["features"]], processes=1)
    (found,) = tflite_outputs(model, [task.file_inputs(inputs, preprocessing)["sound"]], processes=1)
    step = model_io(model).outputs[0].scale[0]
    assert np.abs(found - expected).max() <= 3 * step
    assert check_integer(model, real_ends=True) == []
    names = {operator.name for operator in read_operators(model)}
    assert {"CONV_2D", "SQRT", "LOG", "QUANTIZE"} <= names


def test_devices_without_real_numbers_are_refused():
    task, _, _ = task_and_block()
    assert task.for_devices(True) is task
    with pytest.raises(InputError, match=r"task_options\.inside: a device .* integers alone"):
        task.for_devices(False)


def test_settings_travel():
    _, _, preprocessing = task_and_block()
    assert SoundPreprocessing.from_dict(preprocessing.to_dict()).inside


def test_the_self_test_of_a_file_of_samples_is_that_of_run_py(tmp_path):
    from edgenas.export.bundle import run_sounds, running
    from edgenas.export.bundle.check import run_self_test

    task, block, preprocessing = task_and_block()
    network = chain("features", (2000,), {"begin": block})
    constants = {"begin.features": task.constants(preprocessing)["sound_features"]}
    path = tmp_path / "model.tflite"
    path.write_bytes(write_tflite(network.graph, "float32", constants=constants))
    found = run_self_test(path.read_bytes(), {"task": task.kind, "preprocessing": preprocessing.to_dict()})
    answer = run_sounds.logits_of(running.load_model(path), running.test_values((2000,), True))
    np.testing.assert_allclose(answer.ravel(), found["logits"], atol=found["tolerance"])
    assert np.abs(found["logits"]).max() > 0.1
