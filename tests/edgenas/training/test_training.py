"""Real, tiny trainings: do they learn, repeat, resume, and fail in words?"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edgenas.data import Split, load_dataset
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct, GroupConvInvertedBottleneck, InvertedBottleneck
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import chain
from edgenas.tasks import get_task
from edgenas.training import (
    Augmentation,
    Callback,
    ModelScorer,
    TrainingDivergedError,
    TrainingSettings,
    evaluate,
    train,
)
from edgenas.training.checkpoint import checkpoint_path
from edgenas.training.initial import weights_by_name
from edgenas.training.losses import Distillation, TaskLoss

NETWORK = chain(
    "small",
    (28, 28, 1),
    {
        "stem": ConvBnAct(8, stride=2),
        "one": InvertedBottleneck(16, stride=2, expansion=2),
        "two": GroupConvInvertedBottleneck(16, stride=2, expansion=2, groups=4),
        "head": ClassifierHead(10, dropout=0.1),
    },
)
PLAIN = chain(
    "plain",
    (28, 28, 1),
    {
        "stem": ConvBnAct(8, stride=2),
        "one": InvertedBottleneck(16, stride=2, expansion=2),
        "two": InvertedBottleneck(16, stride=2, expansion=2),
        "head": ClassifierHead(10, dropout=0.1),
    },
)
TASK = get_task("classification")
SETTINGS = TrainingSettings(epochs=3, batch_size=32, learning_rate=1e-2, weight_decay=0.01)


@pytest.fixture(scope="module")
def data():
    train_split, validation = load_dataset("fashion_mnist_subset").split(0.2, seed=0)
    return train_split.subset(640, seed=0), validation.subset(400, seed=0)


@pytest.fixture(scope="module")
def preprocessing(data):
    return Preprocessing.fit(data[0].images)


@pytest.fixture(scope="module")
def run(data, preprocessing):
    """One training, with what it reported."""
    reports = []
    result = train(
        NETWORK,
        data[0],
        SETTINGS,
        seed=1,
        task=TASK,
        preprocessing=preprocessing,
        validation=data[1],
        on_epoch=reports.append,
    )
    return result, reports


def weights(result):
    result = getattr(result, "model", result)
    return np.concatenate([weight.ravel().astype(np.float64) for weight in result.get_weights()])


def test_learns(run, data, preprocessing):
    result, _ = run
    top1 = evaluate(result.model, data[1], task=TASK, preprocessing=preprocessing)["top1"]
    assert top1 > 0.4  # chance is 0.1
    assert result.history[-1]["loss"] < result.history[0]["loss"] - 0.3
    # What is recorded is what the returned model does.
    assert result.history[-1]["top1"] == top1


def test_history_and_progress(run):
    result, reports = run
    assert [record["epoch"] for record in result.history] == [1, 2, 3]
    assert [record["step"] for record in result.history] == [20, 40, 60]
    assert result.steps == 60
    assert [report.epoch for report in reports] == [1, 2, 3]
    assert [report.validation for report in reports] == [record["top1"] for record in result.history]
    assert reports[0].seconds_left > reports[-1].seconds_left == 0
    assert 0 < result.build_seconds < result.seconds


def test_model_is_what_keras_predicts(run, data, preprocessing):
    result, _ = run
    images = data[1].images[:8]
    outputs = ModelScorer(result.model, task=TASK, preprocessing=preprocessing).outputs(data[1].take(np.arange(8)))[
        "output"
    ]
    np.testing.assert_allclose(
        outputs, result.model.predict(preprocessing.apply(images), verbose=0), rtol=1e-4, atol=1e-5
    )


def test_repeats_with_the_same_seed_and_resumes_after_an_interruption(run, data, preprocessing, tmp_path):
    class InterruptedTrainingError(Exception):
        pass

    def interrupt(report):
        if report.epoch == 2:
            raise InterruptedTrainingError

    arguments = {
        "seed": 1,
        "task": TASK,
        "preprocessing": preprocessing,
        "validation": data[1],
        "checkpoint_dir": tmp_path,
    }
    with pytest.raises(InterruptedTrainingError):
        train(NETWORK, data[0], SETTINGS, on_epoch=interrupt, **arguments)
    resumed = train(NETWORK, data[0], SETTINGS, **arguments)
    assert resumed.resumed_epoch == 2
    np.testing.assert_array_equal(weights(resumed), weights(run[0]))
    assert [r["top1"] for r in resumed.history] == [r["top1"] for r in run[0].history]
    # Finished: asking again trains nothing and gives the same network.
    steps = []
    again = train(NETWORK, data[0], SETTINGS, on_epoch=steps.append, **arguments)
    assert not steps
    np.testing.assert_array_equal(weights(again), weights(resumed))


def test_checkpoint_of_another_training_or_damaged(data, preprocessing, tmp_path):
    short = dataclasses.replace(SETTINGS, max_steps=2)
    train(NETWORK, data[0], short, seed=1, task=TASK, preprocessing=preprocessing, checkpoint_dir=tmp_path)
    with pytest.raises(InputError, match=r"checkpoint\.npz: of a training with another"):
        train(NETWORK, data[0], short, seed=2, task=TASK, preprocessing=preprocessing, checkpoint_dir=tmp_path)
    path = checkpoint_path(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"checkpoint\.npz: not a readable"):
        train(NETWORK, data[0], short, seed=1, task=TASK, preprocessing=preprocessing, checkpoint_dir=tmp_path)


def test_average_of_weights(data, preprocessing):
    """The average after the first two steps, from its formula and two trainings without it."""
    settings = dataclasses.replace(
        SETTINGS, optimizer="sgd", learning_rate=1e-3, warmup=0.0, augmentation=Augmentation(shift=0, flip=False)
    )
    settings = dataclasses.replace(settings, final_learning_rate=1e-3)  # constant: one step is a prefix of two
    after = {
        (decay, steps): weights(
            train(
                NETWORK,
                data[0],
                dataclasses.replace(settings, ema_decay=decay, max_steps=steps),
                seed=3,
                task=TASK,
                preprocessing=preprocessing,
            )
        )
        for decay, steps in ((0.0, 1), (0.0, 2), (0.9, 1), (0.9, 2))
    }
    second_decay = 2 / 11
    expected = second_decay * after[0.9, 1] + (1 - second_decay) * after[0.0, 2]
    np.testing.assert_allclose(after[0.9, 2], expected, rtol=1e-4, atol=1e-6)
    assert np.abs(after[0.9, 2] - after[0.0, 2]).max() > 1e-5


def test_seeds_differ(run, data, preprocessing):
    other = train(
        NETWORK, data[0], dataclasses.replace(SETTINGS, max_steps=1), seed=2, task=TASK, preprocessing=preprocessing
    )
    assert weights(other).shape == weights(run[0]).shape
    assert np.abs(weights(other) - weights(run[0])).max() > 1e-2


def test_divergence_is_said_in_words(data, preprocessing):
    wild = dataclasses.replace(SETTINGS, optimizer="sgd", learning_rate=1e30, clip_norm=0.0, warmup=0.0)
    with pytest.raises(TrainingDivergedError, match=r"diverged: .* use a learning_rate below 1e\+30"):
        train(NETWORK, data[0], wild, seed=0, task=TASK, preprocessing=preprocessing)


def test_images_that_do_not_fit_the_network(data, preprocessing):
    with pytest.raises(InputError, match=r"the network takes \(28, 28, 1\), the examples are \(27, 28, 1\)"):
        train(
            NETWORK,
            Split(data[0].images[:, 1:], data[0].labels),
            SETTINGS,
            seed=0,
            task=TASK,
            preprocessing=preprocessing,
        )
    with pytest.raises(InputError, match=r"label 10 found, the network has 1 output of 10 classes"):
        train(
            NETWORK, Split(data[0].images, data[0].labels + 1), SETTINGS, seed=0, task=TASK, preprocessing=preprocessing
        )
    with pytest.raises(InputError, match="no training examples"):
        train(
            NETWORK,
            Split(data[0].images[:0], data[0].labels[:0]),
            SETTINGS,
            seed=0,
            task=TASK,
            preprocessing=preprocessing,
        )


def test_evaluate_refuses_floats(run, data, preprocessing):
    with pytest.raises(InputError, match="found float64"):
        evaluate(run[0].model, Split(data[1].images / 255, data[1].labels), task=TASK, preprocessing=preprocessing)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_returns_a_float32_model(precision, data, preprocessing):
    """What GPUs do; the arithmetic is the same on a CPU, but not every CPU trains group convolutions in float16."""
    settings = dataclasses.replace(SETTINGS, epochs=2, precision=precision)
    result = train(PLAIN, data[0], settings, seed=1, task=TASK, preprocessing=preprocessing)
    assert {layer.compute_dtype for layer in result.model.layers} == {"float32"}
    assert evaluate(result.model, data[1], task=TASK, preprocessing=preprocessing)["top1"] > 0.25


def test_begins_with_given_weights_and_says_which(run, data, preprocessing):
    given = weights_by_name(run[0].model)
    given["elsewhere/kernel"] = np.zeros(3)
    given["head.logits/kernel"] = np.zeros((2, 2))
    short = dataclasses.replace(SETTINGS, max_steps=1, learning_rate=1e-9, ema_decay=0.0)
    found = train(NETWORK, data[0], short, task=TASK, seed=9, preprocessing=preprocessing, initial=given)
    assert found.initial.unused == ("elsewhere/kernel",)
    assert found.initial.misfits == ("head.logits/kernel",)
    assert not found.initial.missing
    trained = weights_by_name(found.model)
    np.testing.assert_allclose(trained["stem.main_conv/kernel"], given["stem.main_conv/kernel"], atol=1e-5)


def test_several_losses_are_weighted_and_recorded(run, data, preprocessing):
    steps = []

    class Count(Callback):
        def after_step(self, step, total):
            steps.append((step, total))

    losses = [TaskLoss(TASK, weight=0.25), Distillation(TASK, run[0].model, weight=lambda progress: 0.5 * progress)]
    short = dataclasses.replace(SETTINGS, max_steps=4)
    how = {"task": TASK, "seed": 1, "preprocessing": preprocessing, "losses": losses}
    found = train(NETWORK, data[0], short, callbacks=[Count()], **how)
    (record,) = found.history
    assert record["loss"] == pytest.approx(record["loss_task"] + record["loss_distillation"], rel=1e-4)
    assert record["loss_distillation"] > 0
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    again = train(NETWORK, data[0], short, **how)
    np.testing.assert_array_equal(weights(again), weights(found))
