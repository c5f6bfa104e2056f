"""What every task gets its data as: a training part, a test part, and what the records of a run say about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgenas.data.dataset import stratified_holdout
from edgenas.data.examples import Examples
from edgenas.spaces.errors import InputError


@dataclass(frozen=True)
class DataRequest:
    """What a recipe says about its data; each task reads of it what it knows.

    Attributes:
        spec: a name or a path.
        directory: folder of data sets by name.
        image_size: (height, width) to resize images to.
        channels: 1 or 3, to convert images to.
        seed: of the test part of data that have none.
    """

    spec: str
    directory: str | Path | None = None
    image_size: tuple[int, int] | None = None
    channels: int | None = None
    seed: int = 0


class TaskData(Protocol):
    """The data of one task. :class:`edgenas.data.Dataset` (labelled images) and :class:`ExampleSet` are such."""

    @property
    def name(self) -> str: ...

    @property
    def licence(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    @property
    def train(self) -> Examples:
        """All training examples, those included that candidates are compared on."""
        ...

    @property
    def test(self) -> Examples:
        """For the final figure only, never for choosing between networks."""
        ...

    def split(self, validation_fraction: float, seed: int) -> tuple[Examples, Examples]:
        """(train, validation) out of the training part, the same for the same seed."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """What a record of a run keeps."""
        ...


@dataclass(frozen=True)
class ExampleSet:
    """Data of any task. Raises InputError when a part is empty.

    Attributes:
        name: never claims more than was loaded.
        train: for training and validation.
        test: for the end.
        licence: of the data.
        source: where they came from.
        notes: what was done on reading, and what is unusual: one sentence each.
        strata: a whole number for each training example; the validation part has its share of every number.
        facts: what the task wants to remember, such as names of classes.
    """

    name: str
    train: Examples
    test: Examples
    licence: str = "not stated"
    source: str = "not stated"
    notes: tuple[str, ...] = ()
    strata: np.ndarray | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part, examples in (("training", self.train), ("test", self.test)):
            if not len(examples):
                raise InputError(f"data set {self.name!r} ({self.source}): no {part} examples; expected at least one")
        if self.strata is not None and len(self.strata) != len(self.train):
            raise InputError(
                f"data set {self.name!r}: {len(self.strata)} strata for {len(self.train)} training examples"
            )

    def split(self, validation_fraction: float, seed: int) -> tuple[Examples, Examples]:
        if not 0 < validation_fraction < 1:
            raise InputError(f"validation_fraction must be between 0 and 1, not {validation_fraction!r}")
        strata = np.zeros(len(self.train), np.int64) if self.strata is None else self.strata
        held_out = stratified_holdout(strata, validation_fraction, np.random.default_rng(seed))
        if not held_out.any():
            raise InputError(f"data set {self.name!r} ({self.source}): too few examples for a validation part")
        return self.train.take(~held_out), self.train.take(held_out)

    def describe(self) -> Mapping[str, Any]:
        return {
            "name": self.name,
            "train_examples": len(self.train),
            "test_examples": len(self.test),
            "licence": self.licence,
            "source": self.source,
            "notes": list(self.notes),
        }
