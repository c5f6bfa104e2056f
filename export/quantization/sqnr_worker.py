"""Runs two models on the same inputs and sums up how far their layers are apart.

``python -m edgenas.export.quantization.sqnr_worker REFERENCE OTHER INPUTS JOB OUT``: INPUTS is a ``.npz`` file with
one array per input of
REFERENCE, named by its place (first axis: how many, then the input's whole shape). JOB is a JSON file ``{"pairs":
[[REFERENCE TENSOR, OTHER TENSOR], ...], "order": [PLACE, ...]}``: which of these inputs each input of OTHER gets, and
without pairs only outputs are compared. OUT receives a JSON file with one object of sums per pair and one for the
models' outputs. A process of its own, because a damaged model may
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

#: Axes with more places than this are positions, not channels.
_MOST_CHANNELS = 4096
_JOIN: dict[str, Any] = {
    **{"noise": np.add, "count": np.add, "largest": np.maximum},
    **{"low": np.minimum, "high": np.maximum},
}


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


class OutputSums(Sums):
    """Sums of an output, and the same for each place along each of its axes but the batch's."""

    def __init__(self) -> None:
        super().__init__()
        self.axes: dict[int, dict[str, np.ndarray]] = {}

    def add(self, expected: np.ndarray, found: np.ndarray, limits: tuple[float, float] | None) -> None:
        super().add(expected, found, limits)
        for axis in range(1, expected.ndim):
            if not 2 <= expected.shape[axis] <= _MOST_CHANNELS:
                continue
            rows = [np.moveaxis(values, axis, 0).reshape(expected.shape[axis], -1) for values in (expected, found)]
            errors = rows[1] - rows[0]
            new = {
                "noise": (errors**2).sum(axis=1),
                "count": np.full(len(errors), errors.shape[1], np.float64),
                "largest": np.abs(errors).max(axis=1),
                **{f"low{place}": row.min(axis=1) for place, row in enumerate(rows)},
                **{f"high{place}": row.max(axis=1) for place, row in enumerate(rows)},
            }
            old = self.axes.get(axis)
            self.axes[axis] = new if old is None else {key: _JOIN[key.rstrip("01")](old[key], new[key]) for key in new}

    def to_json(self) -> dict[str, Any]:
        axes = {axis: {key: row.tolist() for key, row in rows.items()} for axis, rows in self.axes.items()}
        return vars(self) | {"axes": axes}


def load(model: bytes, *, keep_all: bool) -> Any:
    """An interpreter; with ``keep_all`` one that keeps every tensor.

    That one is without the default delegate, which would keep its intermediate results to itself. Raises InputError.
    """
    runtime = find_runtime()
    module = sys.modules[runtime.interpreter.__module__]
    options: dict[str, Any] = {}
    if keep_all:
        options["experimental_preserve_all_tensors"] = True
        options["experimental_op_resolver_type"] = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = runtime.interpreter(model_content=model, num_threads=1, **options)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(f"the interpreter cannot load the model: {' '.join(str(error).split())}") from error
    return interpreter


def run(
    reference: Any, other: Any, inputs: list[np.ndarray], pairs: list[list[int]], order: list[int]
) -> dict[str, Any]:
    """Sums of every pair of tensors, and of the outputs."""
    details = [{tensor["index"]: tensor for tensor in model.get_tensor_details()} for model in (reference, other)]
    places = list(range(len(inputs))), order
    sums = [Sums() for _ in pairs]
    outputs = [OutputSums() for _ in reference.get_output_details()]
    same_top1 = 0
    for number in range(len(inputs[0])):
        for model, own_places in zip((reference, other), places, strict=True):
            _feed(model, [inputs[place][number] for place in own_places])
            model.invoke()
        for total, (first, second) in zip(sums, pairs, strict=True):
            found = details[1][second]
            total.add(real(reference, details[0][first]), real(other, found), limits_of(found))
        # After the run: some operators say only then how large their outputs are.
        ends = zip(reference.get_output_details(), other.get_output_details(), strict=False)
        for place, (first_end, second_end) in enumerate(ends):
            expected, answer = real(reference, first_end), real(other, second_end)
            if expected.size == answer.size > 0:
                outputs[place].add(expected, answer.reshape(expected.shape), None)
                same_top1 += place == 0 and bool(expected.argmax() == answer.argmax())
    compared = [total.to_json() | {"output": place} for place, total in enumerate(outputs) if total.count]
    return {
        "pairs": [vars(total) for total in sums],
        "outputs": compared,
        "same_top1": same_top1 / len(inputs[0]),
    }


def _feed(model: Any, values: list[np.ndarray]) -> None:
    sources = model.get_input_details()
    if len(sources) != len(values):
        raise InputError(f"a model takes {len(sources)} inputs, not {len(values)}")
    for source, value in zip(sources, values, strict=True):
        taken = tuple(int(side) for side in source["shape"])
        if taken != value.shape:
            raise InputError(f"a model takes an input of shape {taken}, not {value.shape}")
        model.set_tensor(source["index"], quantize(value, source))


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
    work = json.loads(job.read_text())
    try:
        keep_all = bool(work["pairs"])
        models = [load(path.read_bytes(), keep_all=keep_all) for path in (reference, other)]
        with np.load(inputs) as arrays:
            values = [arrays[str(place)] for place in range(len(arrays.files))]
        result = run(models[0], models[1], values, work["pairs"], work["order"])
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    out.write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
