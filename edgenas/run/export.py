"""Step 4: what is shipped. Quantizes, verifies on the whole test set, measures on the device, and writes the bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.export.files import write_atomically
from edgenas.run.budget_use import BudgetUse, budget_uses
from edgenas.run.device_figures import DeviceFigures, measure_on, with_quiet
from edgenas.run.records import BudgetUseRecord, ChooseRecord, ExportRecord, ProfileRecord
from edgenas.run.shipping import accuracy_shortfall, board_files, file_names, float_equality, shipped_files
from edgenas.run.train import final_path, load_trained, training_record
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.spaces.text import one_line
from edgenas.study.cost_names import nested
from edgenas.study.evaluation import derived_seed
from edgenas.study.study import Trial

if TYPE_CHECKING:
    from edgenas.data.examples import Examples
    from edgenas.export.bundle.bundle import BundleContents
    from edgenas.export.quantization.selective.choice import Mixed
    from edgenas.export.verify import Agreement
    from edgenas.run.context import RunContext
    from edgenas.run.found_boxes import BoxFigures
    from edgenas.tasks.mistakes import Mistakes
    from edgenas.training.compress import Quantized

_SEED_PURPOSE = 3


def export(context: RunContext, trial: Trial, network: Network, destination: Path) -> ExportRecord | str:
    """Writes the bundle of a trained trial; returns what it found, for the record of the step.

    A text says why the file is not shipped: over the budget, or under the accuracy.
    """
    with context.step(ExportRecord):
        return _export(context, trial, network, destination)


def _export(context: RunContext, trial: Trial, network: Network, destination: Path) -> ExportRecord | str:
    from edgenas.export.bundle.bundle import write_bundle
    from edgenas.run.post_processing import post_processing_costs

    record = training_record(context, trial.number)
    made = _make(context, trial, network, context.task.read_preprocessing(record["preprocessing"]))
    if isinstance(made, str):
        return made
    tested = _test(context, trial, network, made)
    if isinstance(tested, str):
        return tested
    figures = [with_quiet(context, one) for one in made.figures]
    tails = {one.name: post_processing_costs(context, one, network, made.preprocessing) for one in figures}
    uses = _budget_uses(context, trial, figures) if context.keeps_budget else []
    for words in made.over:
        context.progress.say(f"  {words}; it was asked for by name, so it is written")
    contents = _contents(context, trial, network, made, tested, figures, uses, record)
    tails = {name: found for name, found in tails.items() if found}
    write_bundle(destination, replace(contents, post_processing=tails))
    shipped = _record(context, trial, made, tested, figures)
    context.log.event("exported", **shipped.to_json())
    metric = context.task.metric
    context.progress.say(
        f"shipped: {metric} {tested.tflite_metrics[metric]:.4f} ({context.recipe.export.quantization}) beside "
        f"{tested.float_metrics[metric]:.4f} (float) on {len(context.dataset.test)} test examples; "
        f"{'; '.join(one.words() for one in figures)}, {len(made.converted):,} bytes; saved in {destination}"
    )
    if made.quantized.mixed is not None:
        _write_sensitivity(context, trial, network, made.model, made.quantized.mixed, made.preprocessing)
    return replace(
        shipped,
        budget_use={use.name: BudgetUseRecord.from_json(use.to_json(), use.name) for use in uses},
        conversion=made.quantized.to_json(),
    )


@dataclass(frozen=True)
class _Made:
    """What was made of a trained network: its files by device, measured, and what of them is over a budget."""

    model: Any
    preprocessing: Any
    quantized: Quantized
    files: Mapping[str, bytes]
    converted: bytes
    figures: Sequence[DeviceFigures]
    over: Sequence[str]

    @property
    def names(self) -> dict[str, str]:
        """The name of each device's file."""
        return file_names(self.files)


def _make(context: RunContext, trial: Trial, network: Network, preprocessing: Any) -> _Made | str:
    """Quantizes the trained network and measures its files; a text says what is wrong with them."""
    from edgenas.export.keras.builder import build_keras

    model = build_keras(network)
    load_trained(context, trial.number, model)
    parts = context.dataset.split(context.recipe.data.validation_fraction, context.recipe.seed)
    try:
        quantized = _quantize(context, trial.number, network, model, parts, preprocessing)
    except InputError as error:  # of this network: what is wrong with the recipe was found before the search
        return f"conversion failed: {error}"
    files = shipped_files(context, network, quantized.model, preprocessing)
    converted = files[context.first.name]
    if context.keeps_budget:
        write_atomically(final_path(context, trial.number) / "model.tflite", converted)
    figures = [measure_on(context, device, files[device.name], network) for device in context.devices]
    several = len(figures) > 1
    over = [f"{(several and f'{one.name}: ') or ''}{words}" for one in figures for words in one.over()]
    if over and context.keeps_budget:
        return f"the exported file's {'; '.join(over)}"
    return _Made(model, preprocessing, quantized, files, converted, figures, over)


@dataclass(frozen=True)
class _Tested:
    """Metrics on the whole test set, of the float model and of the worst file, and how the latter errs."""

    equality: Agreement
    float_metrics: Mapping[str, float]
    tflite_metrics: Mapping[str, float]
    mistakes: Mistakes | None
    class_iou: Mapping[str, float]
    boxes: BoxFigures
    baselines: Mapping[str, Mapping[str, float]]


def _test(context: RunContext, trial: Trial, network: Network, made: _Made) -> _Tested | str:
    """Verifies the files; a text says what they are short of."""
    from edgenas.run.answers import save_answers
    from edgenas.run.found_boxes import save_boxes
    from edgenas.run.masks import save_masks
    from edgenas.run.mistakes import save_mistakes
    from edgenas.tasks.files import file_outputs, in_memory
    from edgenas.training import evaluate

    test, preprocessing = context.dataset.test, made.preprocessing
    task = context.task.for_network(network, preprocessing)
    equality = float_equality(context, network, made.model, preprocessing)
    float_metrics = evaluate(made.model, test, task=task, preprocessing=preprocessing, outputs=network.outputs)
    of_files = []
    for content in dict.fromkeys(made.files.values()):
        outputs = file_outputs(content, test, task=task, network=network, preprocessing=preprocessing)
        of_files.append((task.metrics(in_memory(test.targets), outputs), content, outputs))
    tflite_metrics, worst, answers = min(of_files, key=lambda one: one[0][task.metric])
    if short := accuracy_shortfall(context, float_metrics[task.metric], tflite_metrics[task.metric]):
        return f"the exported file's {short}"
    mistakes = save_mistakes(context, trial.number, worst, answers)
    ious = save_masks(context, trial.number, worst, answers)
    boxes = save_boxes(context, task, trial.number, worst, answers)
    baselines = save_answers(context, trial.number, worst, answers, tflite_metrics, preprocessing)
    return _Tested(equality, float_metrics, tflite_metrics, mistakes, ious, boxes, baselines)


def _contents(
    context: RunContext,
    trial: Trial,
    network: Network,
    made: _Made,
    tested: _Tested,
    figures: Sequence[DeviceFigures],
    uses: Sequence[BudgetUse],
    record: Mapping[str, Any],
) -> BundleContents:
    """All that goes into the bundle."""
    from edgenas.export.bundle.bundle import BundleContents, DataCard
    from edgenas.run.mistakes import worst_classes

    recipe, task, dataset, names = context.recipe, context.task, context.dataset, made.names
    several = len(figures) > 1
    space, architecture = context.origin(trial)
    return BundleContents(
        model=made.converted,
        network=network,
        labels=context.labels,
        preprocessing=task.bundle_preprocessing(network, made.preprocessing),
        quantization=recipe.export.quantization,
        words=task.words(dataset, network, made.preprocessing),
        metric=task.metric,
        metrics_float=tested.float_metrics,
        metrics_tflite=tested.tflite_metrics,
        test_examples=len(dataset.test),
        data=DataCard(dataset.name, dataset.licence, dataset.source, record["train_images"], _note(context)),
        space=space,
        architecture=architecture,
        latency_ms={one.name: one.statistics for one in figures},
        energy_mj={one.name: one.measurement.energy.energy_mj for one in figures if one.measurement.energy is not None},
        provenance={one.name: one.provenance for one in figures},
        predicted={one.name: one.predicted for one in figures if one.predicted},
        not_predicted={one.name: one.device.lacks for one in figures if not one.predicted},
        budget={one.name: one.device.budget for one in figures} if several else context.first.budget,
        budget_use=nested({use.name: use.to_json() for use in uses}),
        worst_classes=worst_classes(context, tested.mistakes),
        class_iou=tested.class_iou,
        baselines=tested.baselines,
        decoding=task.decoding(),
        class_ap=tested.boxes.classes,
        group_ap=tested.boxes.groups,
        training=record["settings"] | {"seed": recipe.seed},
        float_equality=tested.equality,
        group_convolution=context.first.device.group_convolution,
        files=names if several else {},
        board_files=board_files(context, made.files),
        further_files=task.further_files(network, made.model),
        other_models={names[device]: file for device, file in made.files.items() if names[device] != "model.tflite"},
    )


def _record(
    context: RunContext, trial: Trial, made: _Made, tested: _Tested, figures: Sequence[DeviceFigures]
) -> ExportRecord:
    """What the run keeps of it."""
    first = figures[0].record
    return ExportRecord(
        done=True,
        trial=trial.number,
        metric=context.task.metric,
        metrics={"float": tested.float_metrics, "tflite": tested.tflite_metrics},
        top1_float=tested.float_metrics.get("top1"),
        top1_tflite=tested.tflite_metrics.get("top1"),
        latency_kind=first.latency_kind,
        energy_kind=first.energy_kind,
        devices={one.name: replace(one.record, file=made.names[one.name]) for one in figures},
        measured=first.measured,
    )


def _write_sensitivity(
    context: RunContext, trial: Trial, network: Network, model: Any, mixed: Mixed, preprocessing: Any
) -> None:
    """What the layers lose in int8 and what each choice costs, for the report."""
    from edgenas.compare.sensitivity import write_sensitivity
    from edgenas.export.quantization import convert

    reference = convert(model, quantization="float32")
    write_sensitivity(context, trial.number, trial.architecture, network, [mixed], reference, preprocessing)


def _budget_uses(context: RunContext, trial: Trial, figures: Sequence[DeviceFigures]) -> list[BudgetUse]:
    """How much of each budget the file uses, beside what the search has seen."""
    found: dict[str, tuple[float, str]] = {}
    for one in figures:
        for cost in one.device.budget:
            name = context.recipe.cost_name(cost, one.name)
            if name not in found or found[name][0] < one.costs[cost]:
                found[name] = (one.costs[cost], one.kinds.get(cost, "counted"))
    with closing(context.open_study()) as study:
        trials = study.trials
    return budget_uses(
        trial,
        trials,
        limits=context.recipe.limits,
        searched_limits=context.limits,
        found=found,
        ranges=context.folder.read(ProfileRecord).budget,
        rejected=list(context.folder.read(ChooseRecord).rejected),
        only=context.recipe.is_fixed,
    )


def _quantize(
    context: RunContext,
    number: int,
    network: Network,
    model: Any,
    parts: tuple[Examples, Examples],
    preprocessing: Any,
) -> Quantized:
    """The file in the recipe's quantization, fine-tuned first where that needs it, with progress shown.

    ``parts`` are the examples for training and for validation.
    """
    from edgenas.export.quantization import get_recipe
    from edgenas.export.quantization.mixed import MIXED
    from edgenas.training.compress import quantize

    recipe, (examples, held_out) = context.recipe, parts
    settings = recipe.export.settings(recipe.training.settings().augmentation)
    name = recipe.export.quantization
    with ExitStack() as stack:
        on_step = None
        if name == MIXED or get_recipe(name).fine_tuning is not None:
            title = "layers" if name == MIXED else "fine-tune"
            on_step = stack.enter_context(context.progress.task(title, 1)).update_of
        quantized = quantize(
            network,
            model,
            name,
            examples=examples,
            task=context.task,
            preprocessing=preprocessing,
            seed=derived_seed(recipe.seed, _SEED_PURPOSE, number),
            settings=settings,
            on_step=on_step,
            held_out=held_out,
        )
    context.log.event("converted", trial=number, **quantized.to_json())
    context.progress.say(f"converted: {quantized.summary()}")
    return quantized


def _note(context: RunContext) -> str:
    """What the model card says about the data besides their name and number."""
    recipe = context.recipe
    return "; ".join(map(one_line, context.task.remarks(context.dataset, recipe.data.validation_fraction, recipe.seed)))
