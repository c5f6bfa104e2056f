"""Runs two models on the same inputs and sums up how far their layers are apart.

``python -m edgenas.export.quantization.sqnr_worker REFERENCE OTHER INPUTS JOB OUT``: INPUTS is a ``.npy`` file of
float32 inputs of batch 1
(first axis: how many), JOB a JSON file ``{"pairs": [[REFERENCE TENSOR, OTHER TENSOR], ...]}``, OUT receives a JSON file
with one object of sums per pair and one for the models' outputs. A process of its own, because a damaged model may
crash the interpreter. Exit code 2 and one line on standard error when a model or the inputs are wrong.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.runtime import find_runtime
from edgenas.export.verify_worker import quantize
from edgenas.spaces.errors import InputError


class Sums:
    """What is needed of a tensor over all inputs: powers of signal and noise, the largest error, clipped values."""

    def __init__(self) -> None:
        self.count = 0
        self.signal = self.noise = self.largest = 0.0
        self.clipped = 0
        self.low, self.high = float("inf"), float("-inf")

    def add(self, expected: np.ndarray, found: np.ndarray, limits: tuple[float, float] | None) -> None:
        """Adds one input's float values; ``limits`` is what the second model's tensor can hold."""
        difference = found - expected
        self.count += expected.size
        self.signal += float(np.sum(expected**2))
        self.noise += float(np.sum(difference**2))
        self.largest = max(self.largest, float(np.max(np.abs(difference))))
        self.low, self.high = min(self.low, float(expected.min())), max(self.high, float(expected.max()))
        if limits is not None:
            self.clipped += int(np.sum((expected < limits[0]) | (expected > limits[1])))


def load(model: bytes) -> Any:
    """An interpreter that keeps every tensor.

    Without the default delegate, which would keep its intermediate results to itself. Raises InputError.
    """
    runtime = find_runtime()
    module = sys.modules[runtime.interpreter.__module__]
    try:
        interpreter = runtime.interpreter(
            model_content=model,
            num_threads=1,
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(f"the interpreter cannot load the model: {' '.join(str(error).split())}") from error
    if len(interpreter.get_input_details()) != 1:
        raise InputError(f"the model has {len(interpreter.get_input_details())} inputs; only one can be compared")
    return interpreter


def run(reference: Any, other: Any, inputs: np.ndarray, pairs: list[list[int]]) -> dict[str, Any]:
    """Sums of every pair of tensors, and of the first outputs."""
    details = [{tensor["index"]: tensor for tensor in model.get_tensor_details()} for model in (reference, other)]
    ends = [model.get_output_details()[0]["index"] for model in (reference, other)]
    sums = [Sums() for _ in pairs]
    outputs, same_top1 = Sums(), 0
    for values in inputs:
        for model in (reference, other):
            source = model.get_input_details()[0]
            if tuple(source["shape"]) != (1, *values.shape):
                raise InputError(f"a model takes an input of shape {tuple(source['shape'])}, not {(1, *values.shape)}")
            model.set_tensor(source["index"], quantize(values[np.newaxis], source))
            model.invoke()
        for total, (first, second) in zip(sums, pairs, strict=True):
            found = details[1][second]
            total.add(real(reference, details[0][first]), real(other, found), limits_of(found))
        if ends[0] in details[0] and ends[1] in details[1]:
            first_end, second_end = real(reference, details[0][ends[0]]), real(other, details[1][ends[1]])
            if first_end.shape == second_end.shape:
                outputs.add(first_end, second_end, None)
                same_top1 += bool(first_end.argmax() == second_end.argmax())
    return {
        "pairs": [vars(total) for total in sums],
        "outputs": (vars(outputs) | {"same_top1": same_top1 / len(inputs)}) if outputs.count else None,
    }


def real(model: Any, tensor: dict[str, Any]) -> np.ndarray:
    """The float64 values that a tensor stands for, per channel where its scales are."""
    values = model.get_tensor(tensor["index"]).astype(np.float64)
    scales, zero_points = _affine(tensor)
    return values if scales is None else (values - zero_points) * scales


def limits_of(tensor: dict[str, Any]) -> tuple[float, float] | None:
    """The range of real values that a quantized tensor of one scale can hold; None for float."""
    scales, zero_points = _affine(tensor)
    if scales is None or scales.size != 1 or not np.issubdtype(tensor["dtype"], np.integer):
        return None
    limits = np.iinfo(tensor["dtype"])
    scale, zero_point = float(scales.ravel()[0]), float(np.ravel(zero_points)[0])
    # Half a step beyond the ends is still rounded to them.
    return (limits.min - zero_point - 0.5) * scale, (limits.max - zero_point + 0.5) * scale


def _affine(tensor: dict[str, Any]) -> tuple[np.ndarray | None, np.ndarray]:
    parameters = tensor["quantization_parameters"]
    scales, zero_points = np.asarray(parameters["scales"], np.float64), np.asarray(parameters["zero_points"])
    if not scales.size or not np.issubdtype(tensor["dtype"], np.integer):
        return None, zero_points
    if scales.size > 1:
        shape = [1] * len(tensor["shape"])
        shape[parameters["quantized_dimension"]] = scales.size
        scales, zero_points = scales.reshape(shape), zero_points.reshape(shape)
    return scales, zero_points


def main(arguments: list[str]) -> int:
    reference, other, inputs, job, out = map(Path, arguments)
    try:
        models = load(reference.read_bytes()), load(other.read_bytes())
        result = run(*models, np.load(inputs), json.loads(job.read_text())["pairs"])
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    out.write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
