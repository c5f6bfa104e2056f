"""What every task must keep: a test class for ours and for anybody's.

Use it with pytest::

    class TestMyTask(TaskConformance):
        task = "my_task"

Subclasses whose labels are not class indices override :meth:`dataset` and :meth:`perfect_outputs`.
"""

from __future__ import annotations

import numpy as np

from edgenas.data.augmentation import Augmentation
from edgenas.data.dataset import Dataset
from edgenas.data.examples import leaves
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
        """A network that fits the data set, as it is deployed."""
        blocks = {"stem": ConvBnAct(8), "head": ClassifierHead(self.units(dataset))}
        return chain("fits", dataset.image_shape, blocks)

    def units(self, dataset: Dataset) -> int:
        """Units of the output, where there is one vector."""
        ((units,),) = self.make().outputs(dataset).values()
        return units

    def perfect_outputs(self, dataset: Dataset) -> dict[str, np.ndarray]:
        """float32 outputs of a network that knows the training targets, by name."""
        return {"logits": 20 * np.eye(dataset.classes, dtype=np.float32)[dataset.labels]}

    def wrong_outputs(self, dataset: Dataset) -> dict[str, np.ndarray]:
        """The same, each for another example."""
        return {name: np.roll(values, 1, axis=0) for name, values in self.perfect_outputs(dataset).items()}

    def test_is_registered_and_names_its_metric(self) -> None:
        task = self.make()
        assert task.kind == self.task in task_names()
        assert task.metric.isidentifier()

    def test_accepts_a_network_that_fits(self) -> None:
        self.make().check(self.dataset(), self.network(self.dataset()))

    def test_refuses_a_network_of_another_input_or_output(self) -> None:
        dataset = self.dataset()
        units = self.units(dataset)
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

    def test_class_probabilities_agree_with_the_targets(self) -> None:
        task, dataset = self.make(), self.dataset()
        found = task.class_probabilities(self.perfect_outputs(dataset))
        if found is None:
            return
        targets = np.asarray(dataset.train.targets)
        assert found.shape == (len(targets), len(task.labels(dataset)) or found.shape[1])
        assert np.allclose(found.sum(axis=1), 1)
        assert (found.argmax(axis=1) == targets).all()

    def test_metrics_are_shares_and_perfect_outputs_get_one(self) -> None:
        task, dataset = self.make(), self.dataset()
        targets = dataset.train.targets
        perfect = task.metrics(targets, self.perfect_outputs(dataset))
        assert task.metric in perfect
        assert task.score(targets, self.perfect_outputs(dataset)) == perfect[task.metric] == 1
        worse = task.metrics(targets, self.wrong_outputs(dataset))
        assert task.metric not in task.smaller_is_better
        for name in perfect:
            assert np.isfinite([perfect[name], worse[name]]).all()
            if name in task.smaller_is_better:
                assert 0 <= perfect[name] < worse[name]
            else:
                assert all(0 <= found[name] <= 1 for found in (perfect, worse))
        assert worse[task.metric] < 1

    def test_metrics_of_nothing_are_refused(self) -> None:
        dataset = self.dataset()
        nothing = dataset.train.take(np.arange(0))
        outputs = {name: values[:0] for name, values in self.perfect_outputs(dataset).items()}
        try:
            self.make().metrics(nothing.targets, outputs)
        except InputError:
            return
        raise AssertionError("the metrics of no examples were accepted")

    def test_loss_prefers_right_outputs(self) -> None:
        task, dataset = self.make(), self.dataset()
        targets = dataset.train.targets
        for label_smoothing in (0.0, 0.1):
            right = float(task.loss(targets, self.perfect_outputs(dataset), label_smoothing=label_smoothing))
            wrong = float(task.loss(targets, self.wrong_outputs(dataset), label_smoothing=label_smoothing))
            assert np.isfinite(right)
            assert right < wrong

    def test_what_is_prepared_fits_the_network_and_is_read_back(self) -> None:
        task, dataset = self.make(), self.dataset()
        preprocessing = task.fit(dataset.train)
        inputs, _ = dataset.train.batch(slice(0, 2))
        prepared = task.prepare(inputs, preprocessing)
        task.check_examples(dataset.train, self.network(dataset).learned, preprocessing)
        again = task.read_preprocessing(preprocessing.to_dict())
        for name, values in task.prepare(inputs, again).items():
            np.testing.assert_array_equal(values, prepared[name])
        tensors = task.prepare_tensors(inputs, preprocessing)
        for name, values in {} if tensors is None else tensors.items():
            np.testing.assert_allclose(np.asarray(values), prepared[name], rtol=1e-5, atol=1e-6)

    def test_augmentation_repeats_with_its_generator(self) -> None:
        task, dataset = self.make(), self.dataset()
        batch = dataset.train.batch(slice(0, 4))
        one, two = (task.augment(*batch, Augmentation(), np.random.default_rng(3)) for _ in range(2))
        for first, second in zip(leaves(one), leaves(two), strict=True):
            np.testing.assert_array_equal(first, second)
