"""What goes into a bundle: the model, and every figure that is told about it."""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib import metadata
from typing import Any

from edgenas.export.bundle.check import metrics_problems
from edgenas.export.bundle.words import TaskWords
from edgenas.export.tflite.post_processing import ends_in_boxes
from edgenas.export.tflite.reader import model_io
from edgenas.export.verify import Agreement
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network


def label_problem(labels: Sequence[str]) -> str | None:
    """Why the names of classes cannot be in a bundle; None when they can. ``labels.txt`` holds one a line.

    >>> label_problem(["dog", "two words"]) is None
    True
    """
    for label in labels:
        if not label.strip():
            return f"a label must be one line of text, not {label!r}"
        if label.splitlines() != [label] or any(unicodedata.category(character) == "Cc" for character in label):
            return f"a label must be one line of text without control characters, not {label!r}"
        if any(unicodedata.category(character) == "Cs" for character in label):
            return f"a label must be text that UTF-8 can write, not {label!r}"
    return None


#: The form of ``metrics.json``; one without a number is of the first.
METRICS_SCHEMA = 1


@dataclass(frozen=True)
class DataCard:
    """What a model was trained and tested on: for its card."""

    name: str
    licence: str
    source: str
    train_images: int
    note: str = ""


@dataclass(frozen=True)
class BundleContents:
    """Everything that goes into a bundle.

    Raises InputError when the labels do not fit the network, or a figure cannot be (see ``metrics.json``).
    """

    model: bytes
    """The ``.tflite`` file."""
    network: Network
    labels: tuple[str, ...]
    """Names of what is told apart, in the order of the output that does; empty when nothing has one."""
    preprocessing: Any
    """What the task prepares inputs with: an object with ``to_dict()``."""
    quantization: str
    """Name of the recipe that made ``model``."""
    words: TaskWords
    """What the card says of the task, and ``run.py``."""
    metric: str
    """Name of the primary one of the metrics."""
    metrics_float: Mapping[str, float]
    """Of the float Keras model on the test examples, the primary one in [0, 1]."""
    metrics_tflite: Mapping[str, float]
    """Of ``model`` through the interpreter on the same examples."""
    test_examples: int
    data: DataCard
    space: str | None = None
    architecture: str | None = None
    """The architecture's string in that space."""
    latency_ms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Statistics of the shipped file by device: ``min``, ``median``, ...; where it was measured in quiet
    visits too, those are under ``quiet``."""
    energy_mj: Mapping[str, float] = field(default_factory=dict)
    """Energy of one inference by device; how it is known stands in its ``provenance`` under ``energy``."""
    provenance: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Where the latency comes from, by device: ``kind``, ``runtime``, ``runtime_version``, ``threads``, ..."""
    predicted: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By device: ``latency_ms``, ``energy_mj``, and where they come from under ``provenance``."""
    not_predicted: Mapping[str, str] = field(default_factory=dict)
    """Devices without a prediction, and why there is none."""
    budget: Mapping[str, Any] = field(default_factory=dict)
    """Limits by cost; of several devices, those mappings by device."""
    budget_use: Mapping[str, Any] = field(default_factory=dict)
    """How much of each limit is used, and why not more: shares and ``words``, arranged as ``budget``."""
    files: Mapping[str, str] = field(default_factory=dict)
    """With several devices, the name of each one's model file."""
    other_models: Mapping[str, bytes] = field(default_factory=dict)
    """Model files beside ``model`` by name, for devices that take the same network in other operators."""
    further_files: Mapping[str, bytes] = field(default_factory=dict)
    """What the task ships beside the model, by name."""
    board_files: Mapping[str, bytes] = field(default_factory=dict)
    """What boards need beside a model, by name: what a vendor's compiler made, and the settings for it."""
    worst_classes: tuple[tuple[str, float, int], ...] = ()
    """Of classifiers, the classes that ``model`` tells worst: label, share of its test examples, and their number."""
    class_iou: Mapping[str, float] = field(default_factory=dict)
    """Of segmentation models, the intersection over union of each class of ``model``."""
    class_ap: Mapping[str, float] = field(default_factory=dict)
    """Of detectors, the average precision of each class of ``model``."""
    group_ap: Mapping[str, float] = field(default_factory=dict)
    """Of detectors, that of each group that the annotations name."""
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """The same metrics of models that need no search, by what they are."""
    decoding: Mapping[str, Any] = field(default_factory=dict)
    """Of detectors, how their outputs become boxes: ``overlap``, ``score_threshold``, ``most_boxes``, ..."""
    post_processing: Mapping[str, Any] = field(default_factory=dict)
    """By device, what the operators behind the trained part cost there: ``operator``, ``with_ms``, ``without_ms``."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the training (epochs, seed, ...), for the model card."""
    float_equality: Agreement | None = None
    """How close the float model and its own float32 file are, before any quantization."""
    group_convolution: str = "native"
    """How group convolutions stand in the file: ``native`` or ``split``."""
    created_utc: str = ""

    def __post_init__(self) -> None:
        classes = [shape[-1] for shape in self.network.learned.graph.output_shapes]
        if self.labels and len(self.labels) not in classes:
            found = " and ".join(map(str, classes))
            raise InputError(f"bundle: {len(self.labels)} labels for a network of {found} outputs")
        if problem := label_problem(self.labels):
            raise InputError(f"bundle: {problem}")
        if not self.created_utc:
            object.__setattr__(self, "created_utc", datetime.now(timezone.utc).isoformat(timespec="seconds"))
        problems = list(metrics_problems(self.metrics() | {"checksums": {}}))
        if problems:
            raise InputError(f"bundle: {'; '.join(problems)}")

    def _top1(self) -> dict[str, Any]:
        """The figure of classifiers, where programs have always found it."""
        if "top1" not in self.metrics_float:
            return {}
        return {
            "top1": {
                "float": self.metrics_float["top1"],
                "tflite": self.metrics_tflite["top1"],
                "test_images": self.test_examples,
            }
        }

    def _outputs(self) -> dict[str, list[int]]:
        """What the file puts out: the network's outputs, or what an operator behind them makes of them."""
        with contextlib.suppress(InputError):  # a model that is none is named by the check of the bundle
            if ends_in_boxes(self.model):
                return {end.name: list(end.shape[1:]) for end in model_io(self.model).outputs}
        ends = zip(self.network.outputs, self.network.graph.output_shapes, strict=True)
        return {name: list(shape) for name, shape in ends}

    def metrics(self) -> dict[str, Any]:
        """``metrics.json`` without its checksums."""
        return {
            "name": self.network.name,
            "space": self.space,
            "architecture": self.architecture,
            **self._top1(),
            "task": self.words.task,
            "metric": self.metric,
            "metrics": {"float": dict(self.metrics_float), "tflite": dict(self.metrics_tflite)},
            **({"class_iou": dict(self.class_iou)} if self.class_iou else {}),
            **({"class_ap": dict(self.class_ap)} if self.class_ap else {}),
            **({"group_ap": dict(self.group_ap)} if self.group_ap else {}),
            **({"baselines": {name: dict(found) for name, found in self.baselines.items()}} if self.baselines else {}),
            "test_examples": self.test_examples,
            "inputs": {name: list(shape) for name, shape in self.network.inputs},
            "outputs": self._outputs(),
            **({"decoding": dict(self.decoding)} if self.decoding else {}),
            **({"post_processing": dict(self.post_processing)} if self.post_processing else {}),
            "latency_ms": {device: dict(statistics) for device, statistics in self.latency_ms.items()},
            "energy_mj": dict(self.energy_mj),
            "predicted": {device: dict(cost) for device, cost in self.predicted.items()},
            **({"not_predicted": dict(self.not_predicted)} if self.not_predicted else {}),
            "budget": {
                name: dict(limit) if isinstance(limit, Mapping) else limit for name, limit in self.budget.items()
            },
            "budget_use": dict(self.budget_use),
            **({"files": dict(self.files)} if self.files else {}),
            "size_bytes": len(self.model),
            "params": self.network.params,
            "macs": self.network.macs,
            "quantization": self.quantization,
            "float_equality": None if self.float_equality is None else asdict(self.float_equality),
            "group_convolution": self.group_convolution,
            "provenance": {device: dict(origin) for device, origin in self.provenance.items()},
            "preprocessing": self.preprocessing.to_dict(),
            "data": {"name": self.data.name, "licence": self.data.licence, "source": self.data.source},
            "schema": METRICS_SCHEMA,
            "edgenas_version": _version(),
            "created_utc": self.created_utc,
        }


def _version() -> str:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version("edgenas")
    return "unknown"
