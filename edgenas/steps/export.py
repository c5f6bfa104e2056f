"""Step 4: what is shipped. Quantizes, verifies on the whole test set, measures on the device, and writes the bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgenas.objectives import within
from edgenas.steps.choose import measure_quietly, reject
from edgenas.steps.train import final_path, training_record, weights_path
from edgenas.study import Trial
from export.files import write_atomically
from export.preprocessing import Preprocessing
from spaces.cost import peak_activation_bytes
from spaces.network import Network

if TYPE_CHECKING:
    from edgenas.steps.context import RunContext


def export(context: RunContext, trial: Trial, network: Network) -> bool:
    """Ships a trained trial. False when the exported file is over the budget: then it is rejected, not shipped."""
    done = context.folder.step("export")
    if (
        done.get("done")
        and done.get("trial") == trial.number
        and (context.folder.bundle_path / "metrics.json").is_file()
    ):
        return True
    with context.step("export"):
        return _export(context, trial, network)


def _export(context: RunContext, trial: Trial, network: Network) -> bool:
    from edgenas.training import evaluate
    from export.bundle import BundleContents, DataCard, write_bundle
    from export.keras_builder import build_keras
    from export.quantization import convert
    from export.verify import tflite_accuracy

    recipe, dataset = context.recipe, context.dataset
    record = training_record(context, trial.number)
    preprocessing = Preprocessing.from_dict(record["preprocessing"])
    model = build_keras(network)
    model.load_weights(weights_path(context, trial.number))
    training, _ = dataset.split(recipe.data.validation_fraction, recipe.seed)
    calibration = preprocessing.apply(training.subset(recipe.export.calibration_images, recipe.seed).images)
    converted = convert(model, quantization=recipe.export.quantization, calibration=calibration)
    write_atomically(final_path(context, trial.number) / "model.tflite", converted)

    measurement = measure_quietly(context, converted, recipe.budget.limits.get("latency_ms"))
    measured = {
        "latency_ms": measurement.median,
        "size_bytes": len(converted),
        "peak_activation_bytes": peak_activation_bytes(network, context.precision),
        "macs": network.macs,
        "params": network.params,
    }
    over = [
        f"{name} is {measured[name]:.6g}, over the budget of {limit:.6g}"
        for name, limit in recipe.budget.limits.items()
        if not within(measured, {name: limit})
    ]
    if over:
        reject(context, trial.number, f"the exported file's {'; '.join(over)}")
        return False

    top1_float = evaluate(model, dataset.test_images, dataset.test_labels, preprocessing)
    top1_tflite = tflite_accuracy(converted, preprocessing.apply(dataset.test_images), dataset.test_labels)
    device = context.device.name
    write_bundle(
        context.folder.bundle_path,
        BundleContents(
            model=converted,
            network=network,
            labels=dataset.class_names,
            preprocessing=preprocessing,
            quantization=recipe.export.quantization,
            top1_float=top1_float,
            top1_tflite=top1_tflite,
            test_images=len(dataset.test_labels),
            data=DataCard(dataset.name, dataset.licence, dataset.source, record["train_images"]),
            space=context.space.name,
            architecture=trial.architecture,
            latency_ms={device: measurement.statistics()},
            energy_mj={} if measurement.energy_mj is None else {device: measurement.energy_mj},
            provenance={device: measurement.provenance.to_json()},
            predicted={device: _predicted(context, trial, network)},
            budget=recipe.budget.limits,
            training=record["settings"] | {"seed": recipe.seed},
        ),
    )
    facts = {"done": True, "trial": trial.number, "top1_float": top1_float, "top1_tflite": top1_tflite}
    context.folder.record("export", facts | {"measured": measured})
    context.log.event("exported", **facts, measured=measured)
    context.progress.say(
        f"shipped: top1 {top1_tflite:.4f} ({recipe.export.quantization}) beside {top1_float:.4f} (float) on "
        f"{len(dataset.test_labels)} test images; median {measurement.median:.4g} ms on {device}, "
        f"{len(converted):,} bytes"
    )
    return True


def _predicted(context: RunContext, trial: Trial, network: Network) -> dict[str, Any]:
    prediction = context.predictor.predict(network)
    return {
        "latency_ms": prediction.latency_ms,
        "energy_mj": prediction.energy_mj,
        "provenance": context.table.provenance.to_json() | {"statistic": context.table.statistic},
    }
