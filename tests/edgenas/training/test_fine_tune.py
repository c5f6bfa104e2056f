"""Fine-tuning keeps a network near its teacher while it is rounded, pruned or clustered."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.data.dataset import Split
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.quantization.compression import CompressionSettings
from edgenas.export.quantization.preparation import FineTuning, prepare
from edgenas.export.tflite.reader import check_integer
from edgenas.export.verify import tflite_logits
from edgenas.recipe.quantization import ExportRecipe, FineTuningRecipe
from edgenas.recipe.recipe import Recipe, recipe_template
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct, FusedInvertedBottleneck
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import chain
from edgenas.tasks import get_task
from edgenas.training import NO_AUGMENTATION, TrainingSettings, evaluate, train
from edgenas.training.compress import QuantizationSettings, calibration_inputs, quantize
from edgenas.training.fine_tune import FineTuningSettings, fine_tune
from edgenas.training.train import TrainingDivergedError

TASK = get_task("classification")
NETWORK = chain(
    "corners",
    (8, 8, 1),
    {"stem": ConvBnAct(8, 3, 2), "more": FusedInvertedBottleneck(16, 3, 1, 4), "head": ClassifierHead(4)},
)
TUNING = FineTuningSettings(epochs=2, batch_size=32, learning_rate=2e-3, augmentation=NO_AUGMENTATION)


def corners(count: int, seed: int) -> Split:
    """Noise with one brighter corner; the class is which."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(4, size=count)
    images = generator.integers(0, 150, (count, 8, 8, 1)).astype(np.int64)
    for index, label in enumerate(labels):
        row, column = 4 * (label // 2), 4 * (label % 2)
        images[index, row : row + 4, column : column + 4] += 40
    return Split(images.astype(np.uint8), labels)


def top1_of_file(model: bytes, test: Split, preprocessing: Preprocessing) -> float:
    logits = tflite_logits(model, preprocessing.apply(test.images), processes=1)
    return TASK.score(test.targets, {"logits": logits})


@pytest.fixture(scope="module")
def trained():
    split = corners(640, 0)
    preprocessing = Preprocessing.fit(split.images)
    settings = TrainingSettings(epochs=4, batch_size=32, learning_rate=1e-2, augmentation=NO_AUGMENTATION)
    return train(NETWORK, split, settings, task=TASK, seed=0, preprocessing=preprocessing).model, split, preprocessing


def test_pruned_int8_ends_sparse_and_accurate(trained) -> None:
    model, split, preprocessing = trained
    test = corners(300, 1)
    before = [weights.copy() for weights in model.get_weights()]
    settings = QuantizationSettings(
        calibration_images=100, fine_tuning=TUNING, compression=CompressionSettings(sparsity=0.7)
    )
    seen: list[tuple[int, int]] = []
    made = quantize(
        NETWORK,
        model,
        "pruned+int8",
        examples=split,
        task=TASK,
        preprocessing=preprocessing,
        seed=0,
        settings=settings,
        on_step=lambda step, steps: seen.append((step, steps)),
    )
    assert made.notes["sparsity"] == pytest.approx(0.7, abs=0.02)
    assert made.training_seconds > 0
    assert seen[-1] == (40, 40)
    assert "70% of the kernels' weights are 0" in made.summary()
    assert check_integer(made.model) == []
    top1 = evaluate(model, test, task=TASK, preprocessing=preprocessing)["top1"]
    assert top1 > 0.8
    tuned = top1_of_file(made.model, test, preprocessing)
    assert tuned > top1 - 0.05
    one_shot = prepare(NETWORK, model, FineTuning(pruned=True), settings=settings.compression).finish()
    assert tuned >= evaluate(one_shot, test, task=TASK, preprocessing=preprocessing)["top1"]
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_quantization_aware_training_end_to_end(trained) -> None:
    pytest.importorskip("tensorflow_model_optimization")
    model, split, preprocessing = trained
    test = corners(300, 1)
    settings = QuantizationSettings(calibration_images=100, fine_tuning=TUNING)
    made = quantize(
        NETWORK, model, "int8-qat", examples=split, task=TASK, preprocessing=preprocessing, seed=0, settings=settings
    )
    assert check_integer(made.model) == []
    top1 = evaluate(model, test, task=TASK, preprocessing=preprocessing)["top1"]
    assert top1_of_file(made.model, test, preprocessing) > top1 - 0.03


def test_equalisation_is_measured_and_told(trained) -> None:
    model, split, preprocessing = trained
    settings = QuantizationSettings(calibration_images=50, equalize=True)
    made = quantize(
        NETWORK, model, "int8", examples=split, task=TASK, preprocessing=preprocessing, seed=0, settings=settings
    )
    found = made.notes["equalization"]
    assert found["pairs"] == 2  # stem to expansion to projection; then comes a mean
    assert found["applied"] == (found["error_with"] < found["error_without"])
    assert "cross-layer equalisation tried on 2 pairs" in made.summary()
    assert made.to_json()["degenerate"] == []


def test_equal_seeds_give_equal_weights(trained) -> None:
    model, split, preprocessing = trained
    results = []
    for seed in (1, 1, 2):
        prepared = prepare(NETWORK, model, FineTuning(clustered=True))
        settings = FineTuningSettings(epochs=1, max_steps=3, batch_size=32)
        fine_tune(
            prepared.model,
            model,
            split,
            settings,
            task=TASK,
            seed=seed,
            preprocessing=preprocessing,
            project=prepared.project,
        )
        results.append(prepared.finish().get_layer("more.expand_conv").kernel.numpy())
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])
    assert len(np.unique(results[0])) <= 16


def test_divergence_is_told_with_a_fix(trained) -> None:
    model, split, preprocessing = trained
    prepared = prepare(NETWORK, model, FineTuning())
    settings = FineTuningSettings(learning_rate=1e30, max_steps=20)
    with pytest.raises(
        TrainingDivergedError,
        match=r"not finite at step \d+ of 20 \(epoch 1 of \d+\); use a learning_rate below 1e\+30",
    ):
        fine_tune(prepared.model, model, split, settings, task=TASK, seed=0, preprocessing=preprocessing)


def test_calibration_images_are_chosen_as_asked() -> None:
    labels = np.repeat(np.arange(4), [70, 10, 10, 10])
    images = np.repeat(np.arange(100, dtype=np.uint8), 64).reshape(100, 8, 8, 1)
    split, same = Split(images, labels.astype(np.int64)), Preprocessing((0.0,), (1 / 255,))

    def chosen(how: str, seed: int = 0) -> list[int]:
        settings = QuantizationSettings(calibration=how, calibration_images=20)
        return [
            round(float(image[0, 0, 0]))
            for image in calibration_inputs(split, settings, task=TASK, preprocessing=same, seed=seed)["image"]
        ]

    assert chosen("first") == list(range(20))
    assert np.bincount(labels[chosen("stratified")]).tolist() == [14, 2, 2, 2]
    assert chosen("random") == chosen("random")
    assert chosen("random") != chosen("random", 1)
    with pytest.raises(InputError, match="calibration must be one of stratified, random, first, not 'best'"):
        QuantizationSettings(calibration="best")


def test_a_recipe_says_how(tmp_path) -> None:
    export = ExportRecipe(quantization="pruned", fine_tuning=FineTuningRecipe(sparsity_m_by_n="2:4", epochs=7))
    settings = export.settings(NO_AUGMENTATION)
    assert settings.compression.sparsity_m_by_n == (2, 4)
    assert (settings.fine_tuning.epochs, settings.fine_tuning.augmentation) == (7, NO_AUGMENTATION)
    text = recipe_template()
    assert Recipe.parse(text).export == ExportRecipe()
    for line, words in (("clusters: 1000", "clusters must be from 2 to 256"), ("sparsity_m_by_n: '24'", "like '2:4'")):
        key = line.split(":")[0]
        changed = "\n".join(f"    {line}" if row.strip().startswith(f"{key}:") else row for row in text.splitlines())
        with pytest.raises(InputError, match=words):
            Recipe.parse(changed)
