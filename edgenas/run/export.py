"""Step 4: what is shipped. Quantizes, verifies on the whole test set, measures on the device, and writes the bundle."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.data.remarks import remarks
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.figure import Figure, kind_of
from edgenas.export.files import write_atomically
from edgenas.run.choose import measure_deployed
from edgenas.run.shipping import accuracy_shortfall, float_equality, quiet_latency, shipped_file
from edgenas.run.train import final_path, load_trained, training_record
from edgenas.spaces.cost import peak_activation_bytes
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.spaces.text import one_line
from edgenas.study.evaluation import derived_seed
from edgenas.study.objectives import within
from edgenas.study.study import Trial

if TYPE_CHECKING:
    from edgenas.data.dataset import Split
    from edgenas.devices.measurement import Measurement
    from edgenas.run.context import RunContext
    from edgenas.training.compress import Quantized

_SEED_PURPOSE = 3


def export(context: RunContext, trial: Trial, network: Network, destination: Path) -> dict[str, Any] | str:
    """Writes the bundle of a trained trial; returns what it found, for the record of the step.

    A text says why the file is not shipped: over the budget, or under the accuracy.
    """
    with context.step("export"):
        return _export(context, trial, network, destination)


def _export(context: RunContext, trial: Trial, network: Network, destination: Path) -> dict[str, Any] | str:
    from edgenas.export.bundle.bundle import BundleContents, DataCard, write_bundle
    from edgenas.export.keras.builder import build_keras
    from edgenas.export.verify import tflite_accuracy
    from edgenas.training import evaluate

    recipe, dataset = context.recipe, context.dataset
    record = training_record(context, trial.number)
    preprocessing = Preprocessing.from_dict(record["preprocessing"])
    model = build_keras(network)
    load_trained(context, trial.number, model)
    training, _ = dataset.split(recipe.data.validation_fraction, recipe.seed)
    try:
        quantized = _quantize(context, trial.number, network, model, training, preprocessing)
    except InputError as error:  # of this network: what is wrong with the recipe was found before the search
        return f"conversion failed: {error}"
    converted = shipped_file(context, network, quantized.model, preprocessing)
    write_atomically(final_path(context, trial.number) / "model.tflite", converted)

    measurement = measure_deployed(context, converted, recipe.budget.limits.get("latency_ms"))
    measured = {
        "latency_ms": measurement.median,
        "size_bytes": len(converted),
        "peak_activation_bytes": peak_activation_bytes(network, context.precision),
        "macs": network.macs,
        "params": network.params,
    }
    if (energy_mj := _energy_mj(context, measurement, network)) is not None:
        measured["energy_mj"] = energy_mj
    over = [
        f"{name} is {measured[name]:.6g}{_told(name, measurement)}, over the budget of {limit:.6g}"
        for name, limit in recipe.budget.limits.items()
        if not within(measured, {name: limit})
    ]
    if over:
        return f"the exported file's {'; '.join(over)}"

    test_images = preprocessing.apply(dataset.test_images)
    equality = float_equality(model, test_images)
    top1_float = evaluate(model, dataset.test_images, dataset.test_labels, preprocessing)
    top1_tflite = tflite_accuracy(converted, test_images, dataset.test_labels, processes=2)
    if short := accuracy_shortfall(context, top1_float, top1_tflite):
        return f"the exported file's {short}"
    quiet = quiet_latency(context, converted)
    device = context.device.name
    write_bundle(
        destination,
        BundleContents(
            model=converted,
            network=network,
            labels=dataset.class_names,
            preprocessing=preprocessing,
            quantization=recipe.export.quantization,
            top1_float=top1_float,
            top1_tflite=top1_tflite,
            test_images=len(dataset.test_labels),
            data=DataCard(dataset.name, dataset.licence, dataset.source, record["train_images"], _note(context)),
            space=context.space.name,
            architecture=trial.architecture,
            latency_ms={device: measurement.statistics() | {"quiet": quiet}},
            energy_mj={} if measurement.energy is None else {device: measurement.energy.energy_mj},
            provenance={device: _provenance(measurement)},
            predicted={device: _predicted(context, trial, network)},
            budget=recipe.budget.limits,
            training=record["settings"] | {"seed": recipe.seed},
            float_equality=equality,
            group_convolution=context.device.group_convolution,
        ),
    )
    facts: dict[str, Any] = {"done": True, "trial": trial.number, "top1_float": top1_float, "top1_tflite": top1_tflite}
    if "quiet_ms" in quiet:
        measured["latency_quiet_ms"] = quiet["quiet_ms"]
    facts["latency_kind"] = measurement.provenance.kind
    facts["energy_kind"] = None if measurement.energy is None else measurement.energy.kind
    context.log.event("exported", **facts, measured=measured)
    context.progress.say(
        f"shipped: top1 {top1_tflite:.4f} ({recipe.export.quantization}) beside {top1_float:.4f} (float) on "
        f"{len(dataset.test_labels)} test images; "
        f"{Figure(measurement.median, 'ms', measurement.provenance.kind, 'median')}, "
        f"{Figure(quiet.get('quiet_ms'), 'ms', kind_of(quiet), 'quiet')} on {device}, {len(converted):,} bytes"
    )
    return facts | {"measured": measured, "conversion": quantized.to_json()}


def _quantize(
    context: RunContext, number: int, network: Network, model: Any, split: Split, preprocessing: Preprocessing
) -> Quantized:
    """The file in the recipe's quantization, fine-tuned first where that needs it, with progress shown."""
    from edgenas.export.quantization import get_recipe
    from edgenas.training.compress import quantize

    recipe = context.recipe
    settings = recipe.export.settings(recipe.training.settings().augmentation)
    with ExitStack() as stack:
        on_step = None
        if get_recipe(recipe.export.quantization).fine_tuning is not None:
            task = stack.enter_context(context.progress.task("fine-tune", settings.fine_tuning.steps(len(split))))

            def on_step(step: int, steps: int) -> None:
                task.update(step)

        quantized = quantize(
            network,
            model,
            recipe.export.quantization,
            split=split,
            preprocessing=preprocessing,
            seed=derived_seed(recipe.seed, _SEED_PURPOSE, number),
            settings=settings,
            on_step=on_step,
        )
    context.log.event("converted", trial=number, **quantized.to_json())
    context.progress.say(f"converted: {quantized.summary()}")
    return quantized


def _note(context: RunContext) -> str:
    """What the model card says about the data besides their name and number."""
    recipe = context.recipe
    return "; ".join(map(one_line, remarks(context.dataset, recipe.data.validation_fraction, recipe.seed)))


def _energy_mj(context: RunContext, measurement: Measurement, network: Network) -> float | None:
    """What the energy budget is held against: measured or modelled with the file, else the table's prediction."""
    if measurement.energy_mj is not None:
        return measurement.energy_mj
    return context.predictor.predict(network).energy_mj


def _told(name: str, measurement: Measurement) -> str:
    """How a cost that is held against its budget is known; nothing for what was counted."""
    kinds = {
        "latency_ms": measurement.provenance.kind,
        "energy_mj": "predicted" if measurement.energy is None else measurement.energy.kind,
    }
    return f" ({kinds[name]})" if name in kinds else ""


def _provenance(measurement: Measurement) -> dict[str, Any]:
    energy = None if measurement.energy is None else measurement.energy.to_json()
    return measurement.provenance.to_json() | {"energy": energy}


def _predicted(context: RunContext, trial: Trial, network: Network) -> dict[str, Any]:
    prediction = context.predictor.predict(network)
    return {
        "kind": "predicted",
        "latency_ms": prediction.latency_ms,
        "energy_mj": prediction.energy_mj,
        "provenance": context.table.provenance.to_json() | {"statistic": context.table.statistic},
        "energy_provenance": prediction.energy_provenance,
    }
