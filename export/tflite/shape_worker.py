"""Shapes of all tensors of a model for given input shapes: ``python -m edgenas.export.tflite.shape_worker MODEL SHAPES
OUT``.

SHAPES is a JSON file ``{INPUT TENSOR: [SIDES]}``, OUT receives ``{TENSOR: [SIDES]}``. A process of its own, because a
damaged model may crash the interpreter. Exit code 2 and one line on standard error when the model or the shapes are
wrong.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.runtime import find_runtime
from edgenas.spaces.errors import InputError


def load(model: bytes, shapes: dict[int, list[int]]) -> Any:
    """An interpreter whose inputs have these shapes. Raises InputError."""
    runtime = find_runtime()
    module = sys.modules[runtime.interpreter.__module__]
    try:
        interpreter = runtime.interpreter(
            model_content=model,
            num_threads=1,
            experimental_op_resolver_type=module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        for index, shape in shapes.items():
            interpreter.resize_tensor_input(index, shape)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise InputError(" ".join(str(error).split())) from error
    return interpreter


def shapes_of(interpreter: Any) -> dict[int, list[int]]:
    """Shapes of all tensors as they are now."""
    return {tensor["index"]: [int(side) for side in tensor["shape"]] for tensor in interpreter.get_tensor_details()}


def main(arguments: list[str]) -> int:
    model, job, out = map(Path, arguments)
    shapes = {int(index): shape for index, shape in json.loads(job.read_text()).items()}
    try:
        interpreter = load(model.read_bytes(), shapes)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    _write(out, shapes_of(interpreter))
    # Some shapes are known only when the model has run; where it does not run, those from before stand.
    try:
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
        interpreter.invoke()
    except (RuntimeError, ValueError, TypeError, MemoryError):
        return 0
    _write(out, shapes_of(interpreter))
    return 0


def _write(out: Path, shapes: dict[int, list[int]]) -> None:
    part = out.with_suffix(".part")
    part.write_text(json.dumps(shapes))
    os.replace(part, out)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
