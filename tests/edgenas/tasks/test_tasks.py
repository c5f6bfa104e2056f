from __future__ import annotations

import numpy as np
import pytest

from edgenas.spaces.errors import InputError
from edgenas.tasks import Classification, get_task, register_task
from edgenas.tasks.conformance import TaskConformance


class TestClassification(TaskConformance):
    task = "classification"

    def test_loss_is_the_cross_entropy(self):
        labels, logits = np.array([0, 1]), np.array([[1.0, 2.0], [0.5, -1.0]], np.float32)
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        plain = -(log_p[0, 0] + log_p[1, 1]) / 2
        smooth = -(0.9 * log_p[[0, 1], labels] + 0.1 * log_p.mean(axis=1)).mean()
        task = self.make()
        assert float(task.loss(labels, {"logits": logits})) == pytest.approx(plain, rel=1e-5)
        assert float(task.loss(labels, {"logits": logits}, label_smoothing=0.1)) == pytest.approx(smooth, rel=1e-5)

    def test_not_a_number_counts_as_wrong(self):
        logits = np.array([[1.0, 0.0], [np.nan, 0.0]])
        assert self.make().score(np.array([0, 0]), {"logits": logits}) == 0.5


def test_unknown_task_names_the_known():
    with pytest.raises(InputError, match="'detect': expected one of audio_classification, classification"):
        get_task("detect")


def test_a_name_belongs_to_one_class():
    with pytest.raises(InputError, match="already registered by Classification"):
        register_task("classification")(type("Other", (Classification,), {}))
