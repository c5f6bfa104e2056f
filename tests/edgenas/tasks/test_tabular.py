"""The two tasks on tables: the conformance suite, figures by hand, options, baselines."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.data.tabular import load_table
from edgenas.data.tabular.columns import ColumnChoice
from edgenas.data.task_data import DataRequest
from edgenas.spaces.blocks import Columns, DenseHead, Unit
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network, Node
from edgenas.tasks import get_task
from edgenas.tasks.conformance import TaskConformance
from edgenas.tasks.tabular_classification import TabularClassification

DATA = {reg: load_table(DataRequest("generated_table"), ColumnChoice(""), is_regression=reg) for reg in (False, True)}


class _Tabular(TaskConformance):
    def network(self, dataset, columns=7, units=None):
        nodes = [
            Node("columns", Columns(4, "5+8+4"), ("features",)),
            Node("head", DenseHead(units or self.units(dataset)), ("columns",)),
        ]
        if self.task == "regression":
            nodes.append(Node("unit", Unit(), ("head",)))
        return Network("fits", (("features", (columns,)),), tuple(nodes), (nodes[-1].name,))

    def test_refuses_a_network_of_another_input_or_output(self):
        wider = self.network(self.dataset(), units=self.units(self.dataset()) + 1)
        other = Network(
            "fits",
            (("features", (8,)),),
            (Node("head", DenseHead(self.units(self.dataset())), ("features",)),),
            ("head",),
        )
        for network in (wider, other):
            with pytest.raises(InputError, match=r"network 'fits'.*'generated_table'"):
                self.make().check(self.dataset(), network)


class TestTabularClassification(_Tabular):
    task = "tabular_classification"

    def dataset(self):
        return DATA[False]

    def perfect_outputs(self, dataset):
        return {"logits": 20 * np.eye(2, dtype=np.float32)[dataset.train.targets]}


class TestRegression(_Tabular):
    task = "regression"

    def dataset(self):
        return DATA[True]

    def perfect_outputs(self, dataset):
        targets = dataset.train.targets
        return {"value": (targets["value"].astype(np.float64) - targets["mean"]) / targets["std"]}

    def test_metrics_are_shares_and_perfect_outputs_get_one(self):
        task, targets = self.make(), self.dataset().train.targets
        perfect = task.metrics(targets, self.perfect_outputs(self.dataset()))
        assert perfect["r2"] == perfect["d2_absolute_error"] == pytest.approx(1)
        assert task.metrics(targets, self.wrong_outputs(self.dataset()))["r2"] < 1


def test_figures_of_a_classification_by_hand():
    logits = np.log(np.array([[0.8, 0.2], [0.6, 0.4], [0.9, 0.1], [0.3, 0.7]]))
    found = get_task("tabular_classification").metrics(np.array([0, 0, 1, 1]), {"a": logits})
    assert (found["top1"], found["balanced_accuracy"]) == (0.75, 0.75)
    assert found["log_loss"] == pytest.approx(-np.log([0.8, 0.6, 0.1, 0.7]).mean())
    assert found["d2_log_loss"] == pytest.approx(max(0, 1 - found["log_loss"] / np.log(2)))
    logits[0] = np.nan
    worse = get_task("tabular_classification").metrics(np.array([0, 0, 1, 1]), {"a": logits})
    assert worse["top1"] == 0.5
    assert np.isfinite(worse["log_loss"])
    rare = get_task("tabular_classification").metrics(np.array([0, 0, 0, 2]), {"a": np.eye(3)[[0, 0, 0, 0]]})
    assert (rare["top1"], rare["balanced_accuracy"]) == (0.75, 0.5)


def test_figures_of_a_regression_by_hand_are_in_the_unit_of_the_target():
    targets = {"value": np.array([[10.0], [20], [30]]), "mean": np.full((3, 1), 20.0), "std": np.full((3, 1), 10.0)}
    found = get_task("regression").metrics(targets, {"a": np.array([[-1.0], [0.5], [1]])})
    assert found["rmse"] == pytest.approx(np.sqrt(25 / 3))
    assert found["mae"] == pytest.approx(5 / 3)
    assert found["r2"] == pytest.approx(1 - 25 / 200)
    assert found["d2_absolute_error"] == pytest.approx(1 - 5 / 20)
    far = get_task("regression").metrics(targets, {"a": np.array([[np.nan], [9.0], [-9]])})
    assert (far["r2"], far["d2_absolute_error"]) == (0, 0)
    assert all(np.isfinite(value) for value in far.values())


@pytest.mark.parametrize(
    ("task", "options", "words"),
    [
        ("regression", {"metric": "rmse"}, "r2 orders networks as rmse does"),
        ("tabular_classification", {"metric": "log_loss"}, "d2_log_loss orders networks as log_loss does"),
        ("regression", {"metric": "top1"}, "metric must be one of r2, d2_absolute_error"),
        ("regression", {"target": 3}, "target must be the name of a column"),
        ("regression", {"numeric": "age"}, "numeric must be a list of names"),
        ("regression", {"most_values": 0}, "most_values must be a whole number above 0"),
        ("regression", {"inside": "maybe"}, "inside must be auto, yes or no"),
        ("regression", {"colour": 1}, "has no option 'colour'"),
    ],
)
def test_wrong_options_are_told(task, options, words):
    with pytest.raises(InputError, match=words):
        get_task(task, options)


def test_the_figure_that_decides_is_an_option():
    task = get_task("tabular_classification", {"metric": "balanced_accuracy"})
    assert task.metric == "balanced_accuracy"
    assert TabularClassification.metric == "top1"
    targets = DATA[False].train.targets
    outputs = {"a": np.eye(2)[targets] * np.array([1, 0])}
    assert task.score(targets, outputs) == pytest.approx(0.5)


def test_baselines_are_between_nothing_and_everything():
    for regression in (False, True):
        data = DATA[regression]
        task = get_task("regression" if regression else "tabular_classification")
        constant, linear = task.baselines(data.train, data.test, task.fit(data.train)).values()
        assert constant["r2" if regression else "d2_log_loss"] == pytest.approx(0, abs=0.02)
        assert 0.3 < linear["r2" if regression else "d2_log_loss"] < 0.95


def test_integers_alone_leave_the_ends_outside():
    data, task = DATA[True], get_task("regression").for_devices(False)
    assert task.beginning(data) is None
    assert task.ending(data, None) is None
    assert task.inputs(data) == {"features": (21,)}
    prepared = task.fit(data.train)
    inputs, _ = data.train.batch(slice(0, 3))
    np.testing.assert_array_equal(
        task.file_inputs(inputs, prepared)["features"], task.prepare(inputs, prepared)["features"]
    )
    assert get_task("regression", {"inside": True}).for_devices(False).beginning(data) is not None
