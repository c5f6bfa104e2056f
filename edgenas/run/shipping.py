"""The file that is shipped and what is told of it: lowered for its device, described inside, measured in two ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.run.device import file_name
from edgenas.spaces.errors import WorkError

if TYPE_CHECKING:
    from edgenas.export.bundle.preprocessing import Preprocessing
    from edgenas.export.verify import Agreement
    from edgenas.run.context import RunContext
    from edgenas.run.device import RunDevice
    from edgenas.spaces.network import Network

#: Images on which the float model is compared with its own float32 file.
EQUALITY_IMAGES = 64
#: Two implementations of the same float network round apart by less than this share of the largest logit.
EQUALITY_TOLERANCE = 1e-3


def shipped_files(
    context: RunContext, network: Network, converted: bytes, preprocessing: Preprocessing
) -> dict[str, bytes]:
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


def shipped_file(
    context: RunContext, device: RunDevice, network: Network, converted: bytes, preprocessing: Preprocessing
) -> bytes:
    """A converted model as the device takes it, with metadata and labels inside.

    Group convolutions are taken apart where the device has no operator for them. Models of other than 1 or 3 channels
    have no metadata: its schema knows no such images.
    """
    from edgenas.export.tflite.group_split import split_group_convolutions
    from edgenas.export.tflite.metadata import with_metadata

    model = converted
    if device.device.group_convolution == "split":
        model = split_group_convolutions(model)
    if context.dataset.image_shape[-1] not in (1, 3):
        return model
    return with_metadata(
        model,
        name=network.name,
        description=f"Image classifier trained on {context.dataset.name}, {context.recipe.export.quantization}",
        version="1",
        licence=f"data: {context.dataset.licence}",
        labels=context.dataset.class_names,
        preprocessing=preprocessing,
    )


def quiet_latency(context: RunContext, device: RunDevice, model: bytes) -> dict[str, Any]:
    """The quiet latency of the shipped file, at the clock of the run's table: what its prediction is of.

    ``{"quiet_ms", "fastest_ms", "spread", "quiet_visits", "visits", "kind"}``; ``{"error"}`` when the device does not
    answer any more, which spoils nothing that was measured before.
    """
    from edgenas.compare.side_by_side import measure_side_by_side

    try:
        found = measure_side_by_side(
            device.device,
            {"shipped": model},
            threads=device.threads,
            seed=context.recipe.seed,
            anchor_ms=device.table.anchor_ms,
            settings=device.table.visit_settings(),
        )["shipped"]
    except WorkError as error:
        found = {"error": str(error)}
    context.log.event("measured_quietly", device=device.name, **found)
    return found


def accuracy_shortfall(context: RunContext, top1_float: float, top1_tflite: float) -> str | None:
    """Why a file is not accurate enough to be shipped, in words; None when it is."""
    export = context.recipe.export
    if top1_float - top1_tflite > export.accuracy_drop + 1e-9:
        return (
            f"top1 is {top1_tflite:.4f}, more than export.accuracy_drop ({export.accuracy_drop:g}) below the float "
            f"model's {top1_float:.4f}"
        )
    if export.min_top1 is not None and top1_tflite < export.min_top1:
        return f"top1 is {top1_tflite:.4f}, under export.min_top1 ({export.min_top1:g})"
    return None


def float_equality(model: Any, images: np.ndarray) -> Agreement:
    """How close the float model and its own float32 file are, on the same preprocessed images.

    Raises WorkError when they differ by more than rounding: then the conversion itself is wrong, whatever the
    quantization.
    """
    from edgenas.export.quantization import convert
    from edgenas.export.verify import agreement, tflite_logits

    expected = np.asarray(model(images[:EQUALITY_IMAGES]))
    found = agreement(expected, tflite_logits(convert(model, quantization="float32"), images[:EQUALITY_IMAGES]))
    if not found.max_abs_difference <= EQUALITY_TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise WorkError(
            f"the float model and its float32 TFLite file differ by {found.max_abs_difference:.3g} on the same images; "
            "the conversion is wrong and nothing is shipped. The trained weights are kept"
        )
    return found
