"""What every task must keep: a test class for ours and for anybody's.

Use it with pytest::

    class TestMyTask(TaskConformance):
        task = "my_task"

Subclasses whose labels are not class indices override :meth:`dataset` and :meth:`perfect_outputs`.
"""

from __future__ import annotations

import numpy as np

from edgenas.data.dataset import Dataset
from edgenas.spaces.blocks import ClassifierHead, ConvBnAct
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, chain
from edgenas.tasks import Task, get_task, task_names


class TaskConformance:
    """Plain asserts; ``task`` is the registered name."""

    task: str = ""

    def make(self) -> Task:
        return get_task(self.task)

    def dataset(self) -> Dataset:
        """A small data set of the task."""
        images, labels = np.zeros((12, 8, 8, 1), np.uint8), np.arange(12) % 3
        return Dataset("made", images, labels, images, labels, ("a", "b", "c"), "none", "made here")

    def network(self, dataset: Dataset) -> Network:
        """A network that fits the data set."""
        blocks = {"stem": ConvBnAct(8), "head": ClassifierHead(self.make().output_shape(dataset)[-1])}
        return chain("fits", dataset.image_shape, blocks)

    def perfect_outputs(self, dataset: Dataset) -> np.ndarray:
        """float32 outputs of a network that knows the training labels."""
        return 20 * np.eye(dataset.classes, dtype=np.float32)[dataset.labels]

    def test_is_registered_and_names_its_metric(self) -> None:
        task = self.make()
        assert task.kind == self.task in task_names()
        assert task.metric.isidentifier()

    def test_accepts_a_network_that_fits(self) -> None:
        self.make().check(self.dataset(), self.network(self.dataset()))

    def test_refuses_a_network_of_another_input_or_output(self) -> None:
        dataset = self.dataset()
        units = self.make().output_shape(dataset)[-1]
        height, width, channels = dataset.image_shape
        larger = chain("larger", (height + 1, width, channels), {"head": ClassifierHead(units)})
        wider = chain("wider", dataset.image_shape, {"stem": ConvBnAct(8), "head": ClassifierHead(units + 1)})
        for network in (larger, wider):
            try:
                self.make().check(dataset, network)
            except InputError as error:
                assert dataset.name in str(error)  # noqa: PT017  (must run without pytest)
                assert network.name in str(error)  # noqa: PT017
            else:
                raise AssertionError(f"{network.name} was accepted")

    def test_score_is_a_share_and_perfect_outputs_get_one(self) -> None:
        task, dataset = self.make(), self.dataset()
        perfect = self.perfect_outputs(dataset)
        assert task.score(dataset.labels, perfect) == 1
        worse = task.score(dataset.labels, np.roll(perfect, 1, axis=0))
        assert 0 <= worse < 1

    def test_score_of_nothing_is_refused(self) -> None:
        dataset = self.dataset()
        try:
            self.make().score(dataset.labels[:0], self.perfect_outputs(dataset)[:0])
        except InputError:
            return
        raise AssertionError("the score of no images was accepted")

    def test_loss_prefers_right_outputs(self) -> None:
        task, dataset = self.make(), self.dataset()
        perfect = self.perfect_outputs(dataset)
        for label_smoothing in (0.0, 0.1):
            right = float(task.loss(dataset.labels, perfect, label_smoothing=label_smoothing))
            wrong = float(task.loss(dataset.labels, np.roll(perfect, 1, axis=0), label_smoothing=label_smoothing))
            assert np.isfinite(right)
            assert right < wrong
