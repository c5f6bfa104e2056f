"""What tasks on the rows of tables have in common: the columns, and the raw numbers that the shipped file takes.

A network learns from features: numbers standardised, texts as one-hot. The shipped file begins with what makes them, so
it takes the numbers as they stand in the table, and for a text its place among the known ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgenas.data.tabular import TableExamples, load_table
from edgenas.data.tabular.columns import ColumnChoice
from edgenas.data.tabular.remarks import remarks
from edgenas.data.task_data import DataRequest, ExampleSet
from edgenas.export.bundle.table_preprocessing import TablePreprocessing, fitted
from edgenas.export.bundle.table_words import table_words
from edgenas.export.bundle.words import TaskWords
from edgenas.spaces.block import Block
from edgenas.spaces.blocks import Columns
from edgenas.spaces.network import Network
from edgenas.spaces.tensor import Shape
from edgenas.tasks.task import Task

Names = Sequence[str]
AUTO = "auto"


@dataclass(frozen=True)
class TabularTask(Task):
    """Base of tasks whose only input is ``features``: a row of a table.

    Attributes:
        target: the column to be predicted.
        numeric: columns of numbers, where that is not to be detected.
        categorical: columns of texts, or of numbers that are names.
        ignore: columns to be left out.
        split: the column that says ``train`` or ``test`` of each row.
        most_values: how many values of a categorical column are told apart, the most frequent ones.
        inside: whether the shipped file standardises itself: ``yes``, ``no``, or ``auto``: unless a device of the
            recipe computes on integers alone.
    """

    target: str = ""
    numeric: Names = ()
    categorical: Names = ()
    ignore: Names = ()
    split: str = ""
    most_values: int = 64
    inside: Any = AUTO

    example: ClassVar[str] = "row"
    is_regression: ClassVar[bool] = False
    input_hint: ClassVar[str] = "set the inputs of the space to one vector, such as the space mlp takes"

    def __post_init__(self) -> None:
        for name in ("target", "split"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be the name of a column, not {getattr(self, name)!r}")
        for name in ("numeric", "categorical", "ignore"):
            given = getattr(self, name)
            if not isinstance(given, (list, tuple)) or not all(isinstance(column, str) for column in given):
                raise ValueError(f"{name} must be a list of names of columns, not {given!r}")
            object.__setattr__(self, name, tuple(given))
        if isinstance(self.most_values, bool) or not isinstance(self.most_values, int) or self.most_values < 1:
            raise ValueError(f"most_values must be a whole number above 0, not {self.most_values!r}")
        inside = (
            {True: "yes", False: "no"}.get(self.inside, self.inside) if isinstance(self.inside, bool) else self.inside
        )
        if inside not in (AUTO, "yes", "no"):
            raise ValueError(f"inside must be auto, yes or no, not {self.inside!r}")
        object.__setattr__(self, "inside", inside)

    def for_devices(self, take_reals: bool) -> TabularTask:
        if self.inside != AUTO:
            return self
        return dataclasses.replace(self, inside="yes" if take_reals else "no")

    @property
    def is_inside(self) -> bool:
        """Whether the shipped file takes raw numbers and answers in the target's unit."""
        return bool(self.inside != "no")

    def load(self, request: DataRequest) -> ExampleSet:
        choice = ColumnChoice(
            self.target, tuple(self.numeric), tuple(self.categorical), tuple(self.ignore), self.split, self.most_values
        )
        return load_table(request, choice, is_regression=self.is_regression)

    def remarks(self, data: ExampleSet, validation_fraction: float, seed: int) -> tuple[str, ...]:  # type: ignore[override]
        return remarks(data)

    def space_arguments(self, data: ExampleSet) -> Mapping[str, Any]:  # type: ignore[override]
        columns = _columns(data)
        ((units,),) = self.outputs(data).values()
        return {"input_shape": columns.lower((columns.op.columns,)).output_shapes[0], "classes": units}

    def beginning(self, data: ExampleSet) -> Block | None:  # type: ignore[override]
        """From the raw numbers to features."""
        return _columns(data) if self.is_inside else None

    def inputs(self, data: ExampleSet) -> Mapping[str, Shape]:  # type: ignore[override]
        op = _columns(data).op
        return {"features": (op.columns,) if self.is_inside else op.output((op.columns,))}

    def fit(self, examples: TableExamples) -> TablePreprocessing:  # type: ignore[override]
        """Mean, deviation and median of the numeric columns; of a regression, the unit of the target."""
        columns = fitted(examples.names, examples.values, examples.rows)
        if not self.is_regression:
            return TablePreprocessing(columns, inside=self.is_inside)
        mean, std = (float(examples.targets[name][0, 0]) for name in ("mean", "std"))
        return TablePreprocessing(columns, (examples.target, mean, std), self.is_inside)

    def read_preprocessing(self, data: Mapping[str, Any]) -> TablePreprocessing:
        return TablePreprocessing.from_dict(data)

    def prepare(self, inputs: Mapping[str, np.ndarray], preprocessing: TablePreprocessing) -> dict[str, np.ndarray]:
        return {"features": preprocessing.features(inputs["features"])}

    def file_inputs(self, inputs: Mapping[str, np.ndarray], preprocessing: TablePreprocessing) -> dict[str, np.ndarray]:
        if not preprocessing.inside:
            return self.prepare(inputs, preprocessing)
        return {"features": preprocessing.filled(inputs["features"])}

    def constants(self, preprocessing: TablePreprocessing) -> Mapping[str, tuple[np.ndarray, ...]]:
        return preprocessing.constants

    def words(self, data: ExampleSet, network: Network, preprocessing: Any) -> TaskWords:  # type: ignore[override]
        return table_words(self.kind, data.facts["target"], self.labels(data), preprocessing, data.name)


def _columns(data: ExampleSet) -> Columns:
    assert isinstance(data.train, TableExamples)
    counts = [len(values) + 1 for values in data.train.values if values]
    return Columns(len(data.train.names) - len(counts), "+".join(map(str, counts)))
