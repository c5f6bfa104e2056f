"""Everything that the pictures of a report need, as plain data without a picture in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgenas.export.figure import common_kind
from edgenas.report.budgets import BudgetRow
from edgenas.report.finalists import Finalists
from edgenas.report.learning import Learned
from edgenas.report.supernet import SupernetData
from edgenas.report.text import metric_title
from edgenas.spaces import Network

#: Where in a run folder the output of ``edgenas validate --json`` is looked for.
VALIDATION = "validation.json"
#: What ``edgenas export RUN --compare`` writes into the run folder.
QUANTIZATIONS = "quantizations.json"
SENSITIVITY = "sensitivity.json"

Rows = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TrialPoint:
    """One trial of the search. Costs are predictions of the latency table unless said otherwise."""

    number: int
    architecture: str
    state: str
    """``complete``, ``failed``, or whatever else the study calls it."""
    score: float | None = None
    """The primary metric in [0, 1] on validation examples after the short training."""
    latency_ms: float | None = None
    reward: float | None = None
    feasible: bool | None = None
    """Whether the predicted cost is within the budget; None when there is no prediction."""
    seconds: float | None = None
    error: str | None = None
    energy_mj: float | None = None


@dataclass(frozen=True)
class ShippedModel:
    """The model of the bundle, as its ``metrics.json`` tells."""

    quantization: str
    score_float: float | None = None
    score_tflite: float | None = None
    test_images: int | None = None
    size_bytes: int | None = None
    params: int | None = None
    macs: int | None = None
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    """On the device of the report: ``min``, ``p10``, ``median``, ``mean``, ``p90``, ``runs``."""
    predicted_ms: float | None = None
    predicted_note: str = ""
    """What of the file that prediction knows nothing of, or what it holds beside the network; empty where neither."""
    energy_mj: float | None = None
    """Of one inference on the device of the report, above idle."""
    energy_kind: str = ""
    """How that energy is known: ``measured``, ``modelled`` or ``simulated``."""
    energy_meter: str = ""
    latency_kind: str = "unknown"
    """How ``latency_ms`` is known: ``measured``, ``simulated`` or ``modelled``."""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """Digests of the bundle's files, by name."""


@dataclass(frozen=True)
class LatencyPair:
    """A whole network that was predicted, and then measured (or simulated: ``kind`` says which)."""

    label: str
    predicted_ms: float
    measured_ms: float
    role: str
    """``calibration``, ``validation``, ``trial`` or ``shipped model``."""
    kind: str = "unknown"
    """How ``measured_ms`` is known."""


@dataclass(frozen=True)
class QuantizationTable:
    """A heading, column names, and the cells of each row, all as text."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class SensitivityTables:
    """What layers lose in int8, what keeping some of them finer costs, and what follows, in sentences."""

    layers: QuantizationTable
    choices: QuantizationTable
    words: tuple[str, ...]


@dataclass(frozen=True)
class WrongPicture:
    """A test example that the exported file takes for another class; classes are places in the labels."""

    index: int
    true: int
    predicted: int
    confidence: float
    """The probability that the file gives the wrong class."""
    picture: str = ""
    """A ``data:`` URL of a PNG or JPEG; empty where an example is no picture."""


@dataclass(frozen=True)
class ClassMistakes:
    """What the exported file gets wrong on the test examples."""

    quantization: str
    examples: int
    labels: tuple[str, ...]
    confusion: Mapping[tuple[int, int], int]
    """How often a class (first) is taken for another (second); ``len(labels)`` is an answer for no class."""
    wrong: tuple[WrongPicture, ...] = ()


@dataclass(frozen=True)
class ClassPixels:
    """Figures of one class of pixels, None where the test part has none of it; ``colour`` as CSS has it."""

    label: str
    iou: float | None
    right: float | None
    share: float
    colour: str


@dataclass(frozen=True)
class DrawnPicture:
    """A test picture as it is, with the truth over it, and with what was predicted, each as a data URL.

    ``score`` says how far the two agree, from 0 to 1.
    """

    index: int
    score: float
    picture: str
    truth: str
    predicted: str


@dataclass(frozen=True)
class MaskEvidence:
    """What the exported file makes of the test pictures of a segmentation."""

    quantization: str
    examples: int
    classes: tuple[ClassPixels, ...]
    pictures: tuple[DrawnPicture, ...] = ()


@dataclass(frozen=True)
class AnswerEvidence:
    """What the exported file answers to the test rows of a table: figures by model, itself first; of a regression
    (true, predicted) values of some rows.
    """

    quantization: str
    examples: int
    target: str
    figures: Mapping[str, Mapping[str, float]]
    smaller_is_better: frozenset[str]
    values: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class BoxRow:
    """Figures of the boxes of a class or group, None where the test part has none; ``colour`` as CSS has it."""

    name: str
    ap: float | None
    ap50: float | None
    recall: float | None
    boxes: int
    images: int = 0
    colour: str = ""


@dataclass(frozen=True)
class BoxEvidence:
    """What the exported file finds in the test pictures of a detection; boxes of ``shown_score`` or more are drawn."""

    quantization: str
    examples: int
    shown_score: float
    classes: tuple[BoxRow, ...]
    groups: tuple[BoxRow, ...] = ()
    pictures: tuple[DrawnPicture, ...] = ()


@dataclass(frozen=True)
class ReportData:
    """One run, read from its folder. What the run does not have yet is None or empty, and named in ``missing``."""

    name: str
    run_path: str
    device: str = ""
    precision: str = "int8"
    space: str = ""
    metric: str = ""
    """Name of the task's primary metric, such as ``top1``."""
    example: str = "image"
    """What an example of the task is called."""
    errors: frozenset[str] = frozenset()
    """The task's metrics of which less is better."""
    dataset: str = ""
    budget_ms: float | None = None
    """What the median of the shipped model must not exceed."""
    limit_ms: float | None = None
    """What a prediction must not exceed so that the median of the shipped model keeps the budget."""
    budget_mj: float | None = None
    """What the energy of one inference of the shipped model must not exceed, in mJ."""
    limit_mj: float | None = None
    """What a predicted energy must not exceed so that the model keeps the budget."""
    best_trial: int | None = None
    trials: tuple[TrialPoint, ...] = ()
    network: Network | None = None
    architecture: str = ""
    node_latency_ms: Mapping[str, float] = field(default_factory=dict)
    """Predicted from the table, by node name."""
    fixed_latency_ms: float = 0.0
    """What the prediction adds for the network as a whole, beyond its nodes."""
    latency_statistic: str = "latency"
    """What the table's numbers are, such as ``quiet latency``."""
    compared_statistic: str = "median"
    """Which statistic the prediction stands for: a key of ``ShippedModel.latency_ms``."""
    device_kind: str = "unknown"
    """How the device's answers are known about the untrained networks, one of which was chosen."""
    latency_origin: str = "from a latency table"
    """What predictions come from: ``from a table measured on local-cpu``."""
    energy_origin: str = ""
    """What predicted energies come from: ``from energies modelled for edgetpu-sim``; empty when there are none."""
    is_fixed: bool = False
    """Whether one network was given and trained, instead of searched for."""
    judged: str = "after short training"
    """How the trials' figures came about."""
    score_origin: str = "on the validation split after short training"
    """What the accuracies of trials were found on."""
    table_error: str = ""
    """How wrong the table was on whole networks, in words."""
    pairs: tuple[LatencyPair, ...] = ()
    shipped: ShippedModel | None = None
    supernet: SupernetData | None = None
    """The supernet that the trials come from, of the algorithms that train one."""
    quantizations: QuantizationTable | None = None
    """The chosen network in several quantizations, side by side."""
    sensitivity: SensitivityTables | None = None
    """Which of its layers cost accuracy in int8."""
    mistakes: ClassMistakes | None = None
    """Which class the shipped file takes for which; None for tasks without classes, and before there is a file."""
    answers: AnswerEvidence | None = None
    """What the shipped file answers to the test rows, of tables."""
    masks: MaskEvidence | None = None
    """What the shipped file makes of test pictures, of segmentation."""
    boxes: BoxEvidence | None = None
    """What the shipped file finds in test pictures, of detection."""
    files: Rows = ()
    """The run's files that a reader may want: what each is, and its path in the run folder."""
    bundles: Mapping[int, str] = field(default_factory=dict)
    """Bundles by trial: their folders in the run folder."""
    final_validation_score: float | None = None
    validation_images: int | None = None
    training_history: Mapping[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    """(epoch, value) of the final training, by name of the figure (``training loss``, ``validation top1``)."""
    rejected: Mapping[int, str] = field(default_factory=dict)
    """Trials that were better, but not shipped, and why."""
    budgets: tuple[BudgetRow, ...] = ()
    """What is shipped for each of several budgets, the smallest first; the rest of the report is of the largest."""
    learned: Learned | None = None
    """What candidates took from each other, where the recipe says so."""
    finalists: Finalists | None = None
    """The candidates between which a longer training decided."""
    search_overhead: str = ""
    """What the search cost besides training, in words."""
    search_seconds: float | None = None
    step_seconds: Mapping[str, float] = field(default_factory=dict)
    settings: Rows = ()
    table_facts: Rows = ()
    measurement_facts: Rows = ()
    """Where the latencies come from: the table's header, and the measurement of the shipped model."""
    versions: Rows = ()
    recipe_text: str = ""
    missing: tuple[str, ...] = ()
    budget_use: tuple[str, ...] = ()
    """How much of each budget the shipped model uses and why not more, one sentence each."""
    others: tuple[ReportData, ...] = ()
    """The same run as its other devices see it: their costs, limits, tables and measurements."""

    @property
    def metric_title(self) -> str:
        """The primary metric as people write it."""
        return metric_title(self.metric or "score")

    @property
    def is_share(self) -> bool:
        """Whether the primary metric is a share of the examples, so that their number gives its interval."""
        return self.metric == "top1"

    @property
    def best(self) -> TrialPoint | None:
        """The chosen trial."""
        return next((trial for trial in self.trials if trial.number == self.best_trial), None)

    @property
    def pairs_kind(self) -> str:
        """How the latencies beside the predictions are known, all of them together."""
        return common_kind(pair.kind for pair in self.pairs)

    @property
    def failed(self) -> tuple[TrialPoint, ...]:
        """Trials that ended in an error."""
        return tuple(trial for trial in self.trials if trial.error)
