"""The file that is shipped and what is told of it: lowered for its device, described inside, measured in two ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.export.files import file_name
from edgenas.spaces.errors import WorkError

if TYPE_CHECKING:
    from edgenas.export.verify import Agreement
    from edgenas.run.context import RunContext
    from edgenas.run.device import RunDevice
    from edgenas.spaces.network import Network

#: Examples on which the float model is compared with its own float32 file.
EQUALITY_EXAMPLES = 64
#: Two implementations of the same float network round apart by less than this share of the largest output.
EQUALITY_TOLERANCE = 1e-3


def shipped_files(context: RunContext, network: Network, converted: bytes, preprocessing: Any) -> dict[str, bytes]:
    """The shipped file by device: the same one, where they all take the same."""
    return {device.name: shipped_file(context, device, network, converted, preprocessing) for device in context.devices}


def file_names(files: Mapping[str, bytes]) -> dict[str, str]:
    """The name in the bundle of each device's file: ``model.tflite``, or ``model-DEVICE.tflite`` where that differs.

    >>> file_names({"a": b"1", "b": b"2", "c": b"1"})
    {'a': 'model.tflite', 'b': 'model-b.tflite', 'c': 'model.tflite'}
    """
    names: dict[bytes, str] = {}
    for device, content in files.items():
        names.setdefault(content, f"model-{file_name(device)}.tflite" if names else "model.tflite")
    return {device: names[content] for device, content in files.items()}


def board_files(context: RunContext, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What the boards need beside their models, by its name in the bundle."""
    found: dict[str, bytes] = {}
    for device in context.devices:
        for ending, content in device.device.board_files(files[device.name]).items():
            stem = "model" if len(context.devices) == 1 else f"model-{file_name(device.name)}"
            found[f"{stem}{ending}"] = content
    return found


def shipped_file(
    context: RunContext, device: RunDevice, network: Network, converted: bytes, preprocessing: Any
) -> bytes:
    """A converted model as the device takes it, with what runs when deployed only, metadata and labels inside.

    Group convolutions are taken apart where the device has no operator for them. The metadata are the
    task's: their schema knows images of 1 or 3 channels only.
    """
    from edgenas.export.finishing import finished
    from edgenas.export.tflite.group_split import split_group_convolutions
    from edgenas.export.tflite.metadata import with_metadata
    from edgenas.run.post_processing import with_tail

    model = finished(converted, network, context.task.constants(preprocessing))
    if device.device.group_convolution == "split":
        model = split_group_convolutions(model)
    model = with_tail(context, device, model, network, preprocessing)
    described = context.task.metadata(context.dataset, preprocessing)
    if described is None:
        return model
    return with_metadata(
        model,
        name=network.name,
        description=f"{described.what} trained on {context.dataset.name}, {context.recipe.export.quantization}",
        version="1",
        licence=f"data: {context.dataset.licence}",
        labels=described.labels,
        preprocessing=described.preprocessing,
    )


def quiet_latency(context: RunContext, device: RunDevice, model: bytes) -> dict[str, Any]:
    """The quiet latency of the shipped file, at the clock of the run's table, if any: what its prediction is of.

    ``{"quiet_ms", "fastest_ms", "spread", "quiet_visits", "visits", "kind"}``; ``{"error"}`` when the device does not
    answer any more, which spoils nothing that was measured before.
    """
    from edgenas.compare.side_by_side import known_anchor_ms, measure_side_by_side

    table = device.known_table
    try:
        found = measure_side_by_side(
            device.device,
            {"shipped": model},
            threads=device.threads,
            seed=context.recipe.seed,
            anchor_ms=known_anchor_ms(device.name) if table is None else table.anchor_ms,
            settings=None if table is None else table.visit_settings(),
        )["shipped"]
    except WorkError as error:
        found = {"error": str(error)}
    context.log.event("measured_quietly", device=device.name, **found)
    return found


def accuracy_shortfall(context: RunContext, score_float: float, score_tflite: float) -> str | None:
    """Why a file is not accurate enough to be shipped, in words; None when it is. Scores are of the primary metric."""
    export, metric = context.recipe.export, context.task.metric
    if score_float - score_tflite > export.accuracy_drop + 1e-9:
        return (
            f"{metric} is {score_tflite:.4f}, more than export.accuracy_drop ({export.accuracy_drop:g}) below the "
            f"float model's {score_float:.4f}"
        )
    if export.min_top1 is not None and score_tflite < export.min_top1:
        return f"{metric} is {score_tflite:.4f}, under export.min_top1 ({export.min_top1:g})"
    return None


def float_equality(context: RunContext, network: Network, model: Any, preprocessing: Any) -> Agreement:
    """How close the float model and its own float32 file are, on the same test examples.

    Raises WorkError when they differ by more than rounding: then the conversion itself is wrong, whatever the
    quantization.
    """
    from edgenas.export.quantization import convert
    from edgenas.export.verify import agreement, tflite_outputs
    from edgenas.tasks.files import network_inputs

    examples = context.dataset.test.take(np.arange(min(EQUALITY_EXAMPLES, len(context.dataset.test))))
    inputs = [np.asarray(values[:]) for values in network_inputs(context.task, examples, network, preprocessing)]
    answer = model(inputs[0] if len(inputs) == 1 else inputs)
    expected = [np.asarray(output) for output in (answer if isinstance(answer, (list, tuple)) else [answer])]
    found = tflite_outputs(convert(model, quantization="float32"), inputs)
    worst: Agreement | None = None
    for one, other in zip(expected, found, strict=True):
        same = agreement(one, other)
        if not same.max_abs_difference <= EQUALITY_TOLERANCE * max(1.0, float(np.abs(one).max())):
            raise WorkError(
                f"the float model and its float32 TFLite file differ by {same.max_abs_difference:.3g} on the same "
                "examples; the conversion is wrong and nothing is shipped. The trained weights are kept"
            )
        if worst is None or same.max_abs_difference > worst.max_abs_difference:
            worst = same
    assert worst is not None
    return worst
