"""Two model files side by side: what they hold, their latency in the same quiet rounds, how far apart they answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgenas.compare.side_by_side import known_anchor_ms, measure_side_by_side
from edgenas.spaces.errors import InputError, WorkError

#: Random inputs are cheap; more of them change the figures in the second digit only.
RANDOM_INPUTS = 8


def compare_models(
    first: bytes,
    second: bytes,
    *,
    device: str | None = None,
    threads: int = 1,
    inputs: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """The JSON of ``edgenas compare``.

    ``{"a": figures, "b": figures, "latency": {"device", "a", "b", "ratio"} or None, "outputs", "layers": {...}}``, with
    ``outputs`` and ``layers`` as in :meth:`edgenas.export.quantization.sqnr.SqnrReport.to_json`; "a" counts as right.
    What cannot be
    compared (models of different input shapes) is None, with the reason under ``"not_compared"``.

    Args:
        device: measure on this one; None compares without measuring.
        inputs: float32 inputs of both, shape (N, ...); None takes random ones within the range of an integer input.

    Raises:
        InputError: a file is no model, or the given inputs do not fit.
        WorkError: the device cannot be used.
    """
    from edgenas.export.tflite.model_figures import model_figures

    document: dict[str, Any] = {"a": model_figures(first), "b": model_figures(second), "latency": None}
    document |= _compare_answers(first, second, inputs, seed)
    if device is not None:
        from edgenas.devices import get_device

        measured = measure_side_by_side(
            get_device(device),
            {"a": first, "b": second},
            threads=threads,
            seed=seed,
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


def _compare_answers(first: bytes, second: bytes, inputs: np.ndarray | None, seed: int) -> dict[str, Any]:
    from edgenas.export.quantization.sqnr import compare_layers, random_inputs
    from edgenas.export.tflite.reader import model_io

    ends = [model_io(model).inputs for model in (first, second)]
    shapes = [[end.shape for end in model_inputs] for model_inputs in ends]
    reason = None
    if shapes[0] != shapes[1]:
        reason = f"the inputs differ: {shapes[0]} and {shapes[1]}"
    elif len(shapes[0]) != 1 or any(side < 1 for side in shapes[0][0]):
        reason = f"models of one input of a known shape can be compared, these take {shapes[0]}"
    if reason is None:
        if inputs is None:
            integer = next((model for model, (end,) in zip((first, second), ends, strict=True) if end.is_integer), None)
            inputs = random_inputs(first if integer is None else integer, count=RANDOM_INPUTS, seed=seed)
        try:
            report = compare_layers(first, second, inputs).to_json()
            return {"outputs": report.pop("outputs"), "layers": report, "not_compared": None}
        except WorkError as error:
            reason = str(error)
    return {"outputs": None, "layers": None, "not_compared": reason}
