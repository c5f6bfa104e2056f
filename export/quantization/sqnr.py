"""Layer by layer, how much of a float model's signal is left after quantization, and which layer loses it.

The signal-to-quantization-noise ratio of a tensor is ``10 log10(sum(float^2) / sum((quantized - float)^2))`` in
decibels, over all elements and inputs: 20 dB is an error of a tenth of the signal, 40 dB of a hundredth. Both models
run whole on the same inputs, so the noise of a layer includes what came from the layers before; ``drop_db`` is what it
added.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgenas.export.quantization.channels import PoorChannels, poor_channels
from edgenas.export.quantization.layer_matching import MatchedLayer, match_layers
from edgenas.export.temporary import temporary_folder
from edgenas.export.tflite.reader import TfliteTensor, model_io
from edgenas.export.worker import CrashError, check_worker, worker_environment
from edgenas.spaces.errors import InputError, WorkError

#: Equal tensors have no noise; JSON has no infinity.
HIGHEST_DB = 200.0
#: Below this, an error is more than a tenth of the signal, which usually costs accuracy.
POOR_DB = 20.0
#: Of a tensor's elements, so many beyond its range show in the result.
_CLIPPED_SHARE = 0.001
#: The rounding of a tensor's own grid explains its noise when it allows no more than this above it.
_GRID_MARGIN_DB = 3.0
#: What 8 bits leave of a tensor without outliers, less a few dB.
_GOOD_GRID_DB = 30.0
#: A layer that adds less than this passes on what reaches it: as much noise again of its own would be 3 dB.
_OWN_DB = 3.0

#: Large models on a slow machine take minutes; one that never ends is damaged.
_TIMEOUT_SECONDS = 900.0
_WORKER = ("-m", "edgenas.export.quantization.sqnr_worker")


@dataclass(frozen=True)
class LayerError:
    """One layer's output: ``sqnr_db`` as it is, and what explains it.

    ``grid_db`` is the ratio that rounding to the tensor's own integers alone would leave (None for a float tensor);
    ``drop_db`` how much lower ``sqnr_db`` is than that of the worst of the layers it reads (0 dB and more;
    0 for the input);
    ``clipped`` the share of elements beyond what the tensor can hold; ``max_error`` the largest error, in real units.
    """

    index: int
    operator: str
    tensor: str
    shape: tuple[int, ...]
    dtype: str
    sqnr_db: float
    drop_db: float
    grid_db: float | None
    clipped: float
    max_error: float
    rms: float

    @property
    def added(self) -> float:
        """The power of the noise that this layer adds, as a share of its signal's; 1 when that is all noise."""
        return min(1.0, 10 ** (-self.sqnr_db / 10)) * (1 - 10 ** (-self.drop_db / 10))

    def reason(self) -> str:
        """In words, where the noise comes from and what helps."""
        if self.clipped > _CLIPPED_SHARE:
            return (
                f"{self.clipped:.1%} of its values lie beyond the range that the calibration saw: calibrate with more, "
                "or more typical, images"
            )
        if self.grid_db is not None and self.grid_db < self.sqnr_db + _GRID_MARGIN_DB:
            if self.grid_db >= _GOOD_GRID_DB:
                return "that is the rounding of its output to integers, as good as it gets"
            return (
                "a few large values stretch its range, so the steps are coarse for the rest: an activation with a "
                "bound (relu6), quantization-aware training, or int16x8 helps"
            )
        if self.drop_db < _OWN_DB:
            return "the noise comes from the layers before it"
        return (
            "its weights lose more than its output: filters of very different size share a scale where the recipe is "
            "not per channel, or the sum cancels; quantization-aware training or int16x8 helps"
        )


@dataclass(frozen=True)
class SqnrReport:
    """All matched layers in running order, and how far the models' outputs are apart.

    ``outputs`` is None when the outputs have different shapes, else ``{"sqnr_db", "max_abs_difference",
    "rms_difference", "same_top1"}`` of the first, with the share of inputs whose largest output is the same, and all
    under ``"all"``. ``channels`` are parts of outputs that are lost although the whole is fine.
    """

    layers: tuple[LayerError, ...]
    outputs: dict[str, Any] | None
    inputs: int
    channels: tuple[PoorChannels, ...] = ()

    @property
    def worst(self) -> LayerError | None:
        """The layer with the lowest ratio."""
        return min(self.layers, key=lambda layer: layer.sqnr_db, default=None)

    @property
    def costliest(self) -> LayerError | None:
        """The layer that adds most noise, as a share of its signal, to what reaches it."""
        return max(self.layers, key=lambda layer: layer.added, default=None)

    def explain(self) -> str:
        """The worst layer by name, what its figure means, and the layer to look at first."""
        return " ".join([self._explain_layers(), *(channels.describe() for channels in self.channels)])

    def _explain_layers(self) -> str:
        worst, costliest = self.worst, self.costliest
        if worst is None or costliest is None:
            return "no layer of one model matches a layer of the other"
        if worst.sqnr_db >= HIGHEST_DB:
            return "all matched layers are exactly equal"
        share = 10 ** (-worst.sqnr_db / 20)
        poor = worst.sqnr_db < POOR_DB
        verdict = "more than a tenth, which usually costs accuracy" if poor else "below a tenth, which seldom matters"
        if self.channels and not poor:
            verdict = "below a tenth of the whole, but parts of the output are lost"
        text = (
            f"worst layer: {short_name(worst.tensor)} ({worst.operator}), {worst.sqnr_db:.1f} dB: its error is "
            f"{share:.1%} of its signal ({verdict}); {worst.reason()}."
        )
        if costliest.index != worst.index:
            text += (
                f" The layer that adds most is {short_name(costliest.tensor)} ({costliest.operator}): "
                f"{costliest.sqnr_db:.1f} dB, {costliest.drop_db:.1f} dB below what it reads."
            )
        return text

    def to_json(self) -> dict[str, Any]:
        """``{"layers": [...], "worst", "costliest", "outputs", "inputs", "meaning"}``."""
        worst, costliest = self.worst, self.costliest
        return {
            "layers": [asdict(layer) | {"shape": list(layer.shape)} for layer in self.layers],
            "worst": worst and worst.tensor,
            "costliest": costliest and costliest.tensor,
            "outputs": self.outputs,
            "inputs": self.inputs,
            "meaning": self.explain(),
        }


def compare_layers(
    reference: bytes, other: bytes, inputs: np.ndarray | Sequence[np.ndarray], order: Sequence[int] | None = None
) -> SqnrReport:
    """Runs two models on the same inputs and compares every layer that both have.

    Where the runtime cannot keep what is between the layers (some custom operators), only outputs are compared.

    Args:
        reference: ``.tflite`` file that counts as right, such as the float32 one.
        other: such as the int8 one of the same network.
        inputs: real numbers as the reference's float inputs; quantized here for integer inputs. For each input of the
            reference an array of shape (N, its whole shape); one array (N, shape without batch) for a single input.
        order: which of the reference's inputs each input of ``other`` gets; None: the same order.

    Raises:
        InputError: a file is no model, the interpreter refuses it, or the inputs do not fit.
        WorkError: the interpreter crashed, or there is no room for temporary files.
    """
    ends = model_io(reference).inputs
    values = [_batched(inputs, ends)] if isinstance(inputs, np.ndarray) else list(inputs)
    if not values or not len(values[0]):
        raise InputError("comparing layers needs at least one input")
    order = list(range(len(values))) if order is None else list(order)
    matched = match_layers(reference, other)
    pairs = [[layer.reference.index, layer.other.index] for layer in matched]
    try:
        result = _run_both(reference, other, values, pairs, order)
    except (InputError, WorkError):
        if not pairs:
            raise
        matched = ()
        result = _run_both(reference, other, values, [], order)
    return _report(matched, result, len(values[0]), other)


def _run_both(
    reference: bytes, other: bytes, inputs: list[np.ndarray], pairs: list[list[int]], order: list[int]
) -> dict[str, Any]:
    """What the worker sums up."""
    with temporary_folder("layers") as folder:
        (folder / "reference.tflite").write_bytes(reference)
        (folder / "other.tflite").write_bytes(other)
        np.savez(folder / "inputs.npz", **{str(place): values for place, values in enumerate(inputs)})  # type: ignore[arg-type]
        (folder / "job.json").write_text(json.dumps({"pairs": pairs, "order": order}))
        files = ("reference.tflite", "other.tflite", "inputs.npz", "job.json", "out.json")
        command = [sys.executable, *_WORKER, *(str(folder / file) for file in files)]
        try:
            process = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                env=worker_environment(),
                check=False,
                timeout=_TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise CrashError(f"the models did not run within {_TIMEOUT_SECONDS:g} s") from None
        check_worker(process.returncode, process.stderr)
        found: dict[str, Any] = json.loads((folder / "out.json").read_text())
        return found


def _batched(values: np.ndarray, ends: Sequence[TfliteTensor]) -> np.ndarray:
    """Examples without a batch as whole inputs of the only input. Raises InputError when they do not fit."""
    if len(ends) != 1:
        raise InputError(f"the model has {len(ends)} inputs: one array is not enough")
    shape = ends[0].shape
    batch = shape[0] if shape else 1
    if values.shape[1:] == shape:
        return values
    if values.shape[1:] != shape[1:] or batch < 1 or len(values) % batch:
        raise InputError(f"the model takes an input of shape {shape}, not {len(values)} of shape {values.shape[1:]}")
    return values.reshape(-1, *shape)


def random_inputs(model: bytes, *, count: int, seed: int = 0) -> np.ndarray:
    """Random float32 inputs: standard normal for a float input; for an integer one normal as well, with four
    standard deviations from the middle to the ends of its range, so that few layers see more than in calibration.

    ``count`` batches, shape (examples, ...). Raises InputError when the model has not exactly one input of a known
    shape.
    """
    ends = model_io(model).inputs
    if len(ends) != 1 or any(side < 1 for side in ends[0].shape):
        raise InputError(f"expected a model of one input of a known shape, found {[end.shape for end in ends]}")
    values = random_values(ends[0], count, np.random.default_rng(seed))
    return values.reshape(-1, *ends[0].shape[1:])


def random_values(
    tensor: TfliteTensor, count: int, rng: np.random.Generator, ends: tuple[float, float] | None = None
) -> np.ndarray:
    """Random real values of an input, shape (count, its whole shape); ``ends``: evenly spread between these instead.

    Whole numbers without a scale are indices or flags: 0 and 1.
    """
    shape = (count, *tensor.shape)
    is_index = (tensor.is_integer or tensor.dtype == "BOOL") and not any(scale > 0 for scale in tensor.scale)
    if is_index:
        low, high = (0, 1) if ends is None else map(int, ends)
        return rng.integers(low, high, size=shape, endpoint=True).astype(np.float64)
    if ends is not None:
        return rng.uniform(*ends, size=shape).astype(np.float32)
    bottom, top = _input_range(tensor)
    values = rng.normal(size=shape)
    if bottom is not None and top is not None:
        values = np.clip((bottom + top) / 2 + values * (top - bottom) / 8, bottom, top)
    return values.astype(np.float32)


def short_name(tensor: str) -> str:
    """The first of the names that the converter joins for what it fused."""
    return tensor.split(";")[0]


def _input_range(tensor: TfliteTensor) -> tuple[float | None, float | None]:
    limits = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767)}.get(tensor.dtype)
    if limits is None:
        return None, None
    scale = tensor.scale[0] if tensor.scale else 1.0
    zero_point = tensor.zero_point[0] if tensor.zero_point else 0
    return (limits[0] - zero_point) * scale, (limits[1] - zero_point) * scale


def _report(matched: tuple[MatchedLayer, ...], result: dict[str, Any], count: int, other: bytes) -> SqnrReport:
    layers: list[LayerError] = []
    for index, (layer, sums) in enumerate(zip(matched, result["pairs"], strict=True)):
        ratio = decibels(sums["signal"], sums["noise"])
        before = min((layers[place].sqnr_db for place in layer.sources if place < index), default=ratio)
        power = sums["signal"] / sums["count"]
        scale = layer.other.scale[0] if layer.other.is_integer and len(layer.other.scale) == 1 else None
        layers.append(
            LayerError(
                index=index,
                operator=layer.operator,
                tensor=layer.other.name,
                shape=layer.other.shape,
                dtype=layer.other.dtype,
                sqnr_db=ratio,
                drop_db=max(0.0, before - ratio),
                grid_db=None if scale is None else decibels(power, scale**2 / 12),
                clipped=sums["clipped"] / sums["count"],
                max_error=sums["largest"],
                rms=math.sqrt(power),
            )
        )
    outputs, channels = _outputs(result, other)
    return SqnrReport(tuple(layers), outputs, count, channels)


def _outputs(result: dict[str, Any], other: bytes) -> tuple[dict[str, Any] | None, tuple[PoorChannels, ...]]:
    """Figures of the first output that was compared, of each in ``"all"``, and channels that are worse than it."""
    found = [
        {
            "output": sums["output"],
            "sqnr_db": decibels(sums["signal"], sums["noise"]),
            "max_abs_difference": sums["largest"],
            "rms_difference": math.sqrt(sums["noise"] / sums["count"]),
        }
        for sums in result["outputs"]
    ]
    if not found:
        return None, ()
    poor = tuple(
        channels
        for sums in result["outputs"]
        if (channels := poor_channels(sums["output"], sums["axes"], other)) is not None
    )
    first = {key: value for key, value in found[0].items() if key != "output"}
    told = [channels.to_json() for channels in poor]
    return first | {"same_top1": result["same_top1"], "all": found, "poor_channels": told}, poor


def decibels(signal: float, noise: float) -> float:
    """``10 log10(signal / noise)``, within +-:data:`HIGHEST_DB`.

    >>> decibels(100.0, 1.0)
    20.0
    """
    if not noise > 0:
        return HIGHEST_DB
    if not signal > 0:
        return -HIGHEST_DB
    return max(-HIGHEST_DB, min(HIGHEST_DB, 10 * math.log10(signal / noise)))
