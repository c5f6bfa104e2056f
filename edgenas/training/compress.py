"""From a trained network to the file of any quantization recipe, with the fine-tuning that the recipe wants."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.data.examples import Examples
from edgenas.export.quantization.compression import CompressionSettings
from edgenas.export.quantization.selective.settings import MixedSettings
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.tasks.ends import bound
from edgenas.tasks.task import Task
from edgenas.training.fine_tune import FineTuningSettings, fine_tune
from edgenas.training.mixed import mix_trained

if TYPE_CHECKING:
    from edgenas.export.quantization.selective.choice import Mixed

CALIBRATIONS = ("stratified", "random", "first")


@dataclass(frozen=True)
class QuantizationSettings:
    """Settings of calibration, fine-tuning and compression. Raises InputError naming the field.

    Attributes:
        calibration: which training images set the ranges of activations: ``stratified`` (every class has its share),
            ``random``, or ``first`` (those that come first in the training set).
        calibration_images: how many.
        equalize: try cross-layer equalisation before int8 conversion; it is kept where it lowers the error.
        fine_tuning: of recipes that train.
        compression: of recipes that prune or cluster.
        mixed: of the recipe ``mixed``: its limit, and what it keeps.
    """

    calibration: str = "stratified"
    calibration_images: int = 500
    equalize: bool = False
    fine_tuning: FineTuningSettings = field(default_factory=FineTuningSettings)
    compression: CompressionSettings = field(default_factory=CompressionSettings)
    mixed: MixedSettings = field(default_factory=MixedSettings)

    def __post_init__(self) -> None:
        if self.calibration not in CALIBRATIONS:
            raise InputError(f"calibration must be one of {', '.join(CALIBRATIONS)}, not {self.calibration!r}")
        if not self.calibration_images >= 1:
            raise InputError(f"calibration_images must be at least 1, not {self.calibration_images!r}")


@dataclass(frozen=True)
class Quantized:
    """What :func:`quantize` made.

    Attributes:
        model: the ``.tflite`` file.
        conversion_seconds: of the conversion alone, checks included.
        training_seconds: of the fine-tuning; 0 for recipes without.
        notes: what is worth telling: ``sparsity`` and ``distinct`` values of kernels as found in the file,
            ``equalization``, ``degenerate`` tensors, ``mixed`` choices.
        mixed: of the recipe ``mixed``: what it tried.
    """

    model: bytes
    conversion_seconds: float
    training_seconds: float
    notes: Mapping[str, Any]
    mixed: Mixed | None = None

    def to_json(self) -> dict[str, Any]:
        """Seconds and notes."""
        return {
            "conversion_seconds": round(self.conversion_seconds, 2),
            "training_seconds": round(self.training_seconds, 2),
            **self.notes,
        }

    def summary(self) -> str:
        """One line for people."""
        parts = [f"{len(self.model):,} bytes in {self.conversion_seconds:.1f} s"]
        if self.training_seconds:
            parts.append(f"after {self.training_seconds:.0f} s of fine-tuning")
        if "sparsity" in self.notes:
            parts.append(f"{self.notes['sparsity']:.0%} of the kernels' weights are 0")
        if "distinct" in self.notes:
            parts.append(f"at most {self.notes['distinct']} distinct weights in an output channel")
        if equalization := self.notes.get("equalization"):
            state = "kept" if equalization["applied"] else "not kept"
            parts.append(f"cross-layer equalisation tried on {equalization['pairs']} pairs and {state}")
        parts += [f"note: {item}" for item in self.notes.get("degenerate", ())]
        if self.mixed is not None:
            parts.append(self.mixed.words())
        return ", ".join(parts)


def calibration_inputs(
    examples: Examples, settings: QuantizationSettings, *, task: Task, preprocessing: Any, seed: int
) -> dict[str, np.ndarray]:
    """What ranges are set on: the prepared inputs of some training examples, by name."""
    count = min(settings.calibration_images, len(examples))
    rows = task.calibration_rows(examples, settings.calibration, count, seed)
    return task.prepare(examples.batch(rows)[0], preprocessing)


def calibration_for(
    network: Network, examples: Examples, settings: QuantizationSettings, *, task: Task, preprocessing: Any, seed: int
) -> Any:
    """:func:`calibration_inputs` in the order of a network's inputs: one array, or a list of them."""
    named = calibration_inputs(examples, settings, task=task, preprocessing=preprocessing, seed=seed)
    ordered = bound(named, [name for name, _ in network.inputs])
    return ordered[0] if len(ordered) == 1 else ordered


def quantize(
    network: Network,
    model: Any,
    quantization: str,
    *,
    examples: Examples,
    task: Task,
    preprocessing: Any,
    seed: int,
    settings: QuantizationSettings | None = None,
    on_step: Callable[[int, int], None] | None = None,
    held_out: Examples | None = None,
) -> Quantized:
    """The file of a trained network in one of the registered recipes.

    Args:
        network: what ``model`` was built from.
        model: trained Keras model; stays as it is.
        quantization: name of the recipe.
        examples: for training: calibration and fine-tuning take from them.
        task: what is learned.
        preprocessing: of the examples.
        seed: of the choice and order of examples.
        settings: how; the defaults when left out.
        on_step: called with (steps done, steps) during a fine-tuning, or (layers done, layers) of mixed precision.
        held_out: examples that ``mixed`` judges layers on; those for training when left out.

    Raises:
        InputError: unknown recipe, or an extra is not installed.
        WorkError: training or conversion failed, or the file is not what the recipe promises.
    """
    from edgenas.export.quantization import convert, get_recipe
    from edgenas.export.quantization.degenerate import require_quantizable
    from edgenas.export.quantization.mixed import MIXED
    from edgenas.export.quantization.preparation import prepare

    settings = settings or QuantizationSettings()
    network = network.learned
    task = task.for_network(network, preprocessing)
    recipe = get_recipe(quantization)
    calibration = calibration_for(network, examples, settings, task=task, preprocessing=preprocessing, seed=seed)
    if len(network.inputs) > 1 and (settings.equalize or (recipe.fine_tuning and recipe.fine_tuning.quantize_aware)):
        raise InputError(
            f"quantization {quantization!r}{' with equalize' * settings.equalize} takes networks of one input, "
            f"{network.name!r} has {len(network.inputs)}; choose int8"
        )
    notes: dict[str, Any] = {}
    training_seconds = 0.0
    compression = recipe.fine_tuning
    if compression is not None:
        prepared = prepare(network, model, compression, calibration=calibration, settings=settings.compression)
        training_seconds = fine_tune(
            prepared.model,
            model,
            examples,
            settings.fine_tuning,
            task=task,
            seed=seed,
            preprocessing=preprocessing,
            outputs=network.outputs,
            project=prepared.project,
            on_step=on_step,
        )
        model = prepared.finish()
    start = time.monotonic()
    if recipe.integer_only:
        notes["degenerate"] = [str(item) for item in require_quantizable(model, calibration)]
    if quantization == MIXED:
        mixed = mix_trained(
            network,
            model,
            calibration,
            examples if held_out is None else held_out,
            task=task,
            preprocessing=preprocessing,
            seed=seed,
            settings=settings.mixed,
            on_layer=on_step,
        )
        return Quantized(mixed.choice.model, time.monotonic() - start, 0.0, {"mixed": mixed.to_json()}, mixed)
    if settings.equalize and recipe.needs_calibration and compression is None:
        from edgenas.export.quantization.equalization import equalized_conversion

        converted, notes["equalization"] = equalized_conversion(network, model, quantization, calibration)
    else:
        converted = convert(model, quantization=quantization, calibration=calibration)
    seconds = time.monotonic() - start
    if compression is not None and (compression.pruned or compression.clustered):
        from edgenas.export.quantization.compression_check import check_compressed

        notes |= check_compressed(
            converted, settings.compression, pruned=compression.pruned, clustered=compression.clustered
        )
    return Quantized(converted, seconds, training_seconds, notes)
