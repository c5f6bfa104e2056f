"""Two model files side by side: what they hold, their latency in the same quiet rounds, how far apart they answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.compare.side_by_side import known_anchor_ms, measure_side_by_side
from edgenas.spaces.errors import InputError

#: Random inputs are cheap; more of them change the figures in the second digit only.
RANDOM_INPUTS = 8
#: Inputs of more numbers than these take gigabytes.
_MOST_NUMBERS = 1 << 26
#: By the place of an input: the ends of a range, or values.
Fed = Mapping[int, tuple[float, float] | np.ndarray]


def compare_models(
    first: bytes,
    second: bytes,
    *,
    device: str | None = None,
    threads: int = 1,
    inputs: np.ndarray | None = None,
    seed: int = 0,
    fed: Fed | None = None,
    runner_inputs: tuple[Mapping[str, Any], ...] = (),
) -> dict[str, Any]:
    """The JSON of ``edgenas compare``.

    ``{"a": figures, "b": figures, "latency": {"device", "a", "b", "ratio"} or None, "outputs", "layers": {...}}``, with
    ``outputs`` and ``layers`` as in :meth:`edgenas.export.quantization.sqnr.SqnrReport.to_json`; "a" counts as right.
    What cannot be
    compared (models of different input shapes) is None, with the reason under ``"not_compared"``.

    Args:
        device: measure on this one; None compares without measuring.
        fed: the range of random values, or one input's real values, by the place of an input of the first model.
        runner_inputs: the same for measuring (:attr:`edgenas.devices.MeasureSettings.inputs`).
        inputs: float32 inputs of both, shape (N, ...); None takes random ones within the range of an integer input.

    Raises:
        InputError: a file is no model, or the given inputs do not fit.
        WorkError: the device cannot be used.
    """
    from edgenas.export.tflite.model_figures import model_figures

    document: dict[str, Any] = {"a": model_figures(first), "b": model_figures(second), "latency": None}
    document |= _compare_answers(first, second, inputs, seed, fed)
    if device is not None:
        from edgenas.devices import get_device
        from edgenas.latency.measure.visits import QuietSettings

        settings = QuietSettings(inputs=runner_inputs) if runner_inputs else None
        measured = measure_side_by_side(
            get_device(device),
            {"a": first, "b": second},
            threads=threads,
            seed=seed,
            settings=settings,
            anchor_ms=known_anchor_ms(device) if threads == 1 else None,
        )
        times = [measured[name]["quiet_ms"] for name in ("a", "b") if "quiet_ms" in measured[name]]
        ratio = round(times[1] / times[0], 4) if len(times) == 2 else None
        document["latency"] = {"device": device, "threads": threads, **measured, "ratio": ratio}
    return document


def read_inputs(path: Path) -> np.ndarray:
    """Inputs from a ``.npy`` file, as float32 with the number of inputs as first axis.

    Raises InputError when the file is no array of numbers.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read as a NumPy array ({error})") from None
    if not isinstance(values, np.ndarray) or not np.issubdtype(values.dtype, np.number) or values.ndim < 2:
        raise InputError(f"{path}: expected an array of numbers of shape (N, ...), as the float model takes them")
    if np.iscomplexobj(values) or not len(values) or not np.isfinite(values).all():
        raise InputError(f"{path}: expected at least one input, all of its numbers real and finite")
    return values.astype(np.float32)


def _compare_answers(
    first: bytes, second: bytes, inputs: np.ndarray | None, seed: int, fed: Fed | None
) -> dict[str, Any]:
    from edgenas.export.quantization.layer_matching import why_unrelated
    from edgenas.export.quantization.sqnr import compare_layers
    from edgenas.export.worker import CrashError

    order, reason = _input_order(first, second)
    reason = "; ".join(filter(None, (reason, why_unrelated(first, second)))) or None
    if reason is not None:
        reason = f"not the same network, so not comparable layer by layer: {reason}"
    if reason is None:
        assert order is not None
        try:
            values = _values(first, second, order, seed, fed or {}) if inputs is None else inputs
            report = compare_layers(first, second, values, order).to_json()
            return {"outputs": report.pop("outputs"), "layers": report, "not_compared": None}
        except CrashError as error:
            reason = str(error)
    return {"outputs": None, "layers": None, "not_compared": reason}


def _input_order(first: bytes, second: bytes) -> tuple[list[int] | None, str | None]:
    """Which input of the first model each input of the second is, or why they do not fit."""
    from edgenas.export.tflite.entries import model_entries

    entries = [model_entries(model)[0].inputs for model in (first, second)]
    shapes = [[given.tensor.shape for given in inputs] for inputs in entries]
    names = [[given.name for given in inputs] for inputs in entries]
    order = list(range(len(entries[1])))
    if len(set(names[0])) == len(names[0]) and sorted(names[0]) == sorted(names[1]):
        order = [names[0].index(name) for name in names[1]]
    if len(shapes[0]) != len(shapes[1]) or [shapes[0][place] for place in order] != shapes[1]:
        return None, f"the inputs differ: {shapes[0]} and {shapes[1]}"
    if not shapes[0] or any(side < 1 for shape in shapes[0] for side in shape):
        return None, f"models with inputs of known shapes can be compared, these take {shapes[0]}"
    if sum(math.prod(shape) for shape in shapes[0]) > _MOST_NUMBERS:
        return None, f"the inputs are too large to compare answers: {shapes[0]}"
    return order, None


def _values(first: bytes, second: bytes, order: list[int], seed: int, fed: Fed) -> list[np.ndarray]:
    """What the first model's inputs get: given values, else random ones within the range of an integer input."""
    from edgenas.export.quantization.sqnr import random_values
    from edgenas.export.tflite.reader import model_io

    ends = [model_io(model).inputs for model in (first, second)]
    rng = np.random.default_rng(seed)
    values = []
    for place, tensor in enumerate(ends[0]):
        partner = ends[1][order.index(place)]
        told = fed.get(place)
        if isinstance(told, np.ndarray):
            values.append(told[np.newaxis])
        else:
            quantized = next((end for end in (tensor, partner) if end.is_integer), tensor)
            values.append(random_values(quantized, RANDOM_INPUTS, rng, told))
    count = min(len(array) for array in values)
    return [array[:count] for array in values]
