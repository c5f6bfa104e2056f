"""The bundle of a small classifier."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from edgenas.export.bundle.bundle import BundleContents, DataCard, write_bundle
from edgenas.export.bundle.words import classifier_words
from edgenas.export.verify import tflite_logits
from edgenas.tasks import get_task
from tests.export.bundle.classifier import LABELS, ORIGIN


def top1(logits: np.ndarray, labels: np.ndarray) -> float:
    return get_task("classification").score(labels, {"logits": logits})


@pytest.fixture(scope="module")
def contents(trained, int8_model: bytes) -> BundleContents:
    logits = tflite_logits(int8_model, trained.test_inputs)
    return BundleContents(
        model=int8_model,
        network=trained.network,
        labels=LABELS,
        preprocessing=trained.preprocessing,
        quantization="int8",
        words=classifier_words((20, 20, 1), LABELS, trained.preprocessing, "gratings"),
        metric="top1",
        metrics_float={"top1": top1(np.asarray(trained.model(trained.test_inputs)), trained.test_labels)},
        metrics_tflite={"top1": top1(logits, trained.test_labels)},
        test_examples=len(trained.test_labels),
        data=DataCard("gratings", "CC0", "drawn by this test", 1500),
        latency_ms={"local-cpu": {"min": 0.1, "median": 0.12, "p90": 0.2}},
        provenance={"local-cpu": ORIGIN},
        predicted={"local-cpu": {"latency_ms": 0.11, "energy_mj": None, "provenance": ORIGIN}},
        budget={"latency_ms": 0.3},
        training={"epochs": 3},
    )


@pytest.fixture(scope="module")
def written(contents: BundleContents, tmp_path_factory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("shipped") / "bundle", contents)


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "bundle"))
