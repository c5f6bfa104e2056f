"""What inputs are fed by ``benchmark_model``: files of values, one per input, made here.

The program draws values of its own from whole numbers only, so those of a range are drawn here, too
(flags: ``benchmark_tflite_model.cc`` of TensorFlow Lite and LiteRT).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.devices.device import MeasurementError
from edgenas.export.input_values import NUMPY_TYPES
from edgenas.export.tflite.entries import model_entries
from edgenas.spaces.errors import InputError

#: What separates names and flags.
_TELLABLE = re.compile(r"[^\s,'\"]+")


def input_flags(
    content: bytes, inputs: Sequence[Mapping[str, Any]], seed: int, folder: Path, prefix: str
) -> tuple[str, ...]:
    """Writes the values of a model's inputs into ``folder``, for flags that name the files by their names alone.

    ``inputs`` is as :attr:`edgenas.devices.MeasureSettings.inputs`. No flags where it says nothing of this model.
    Raises MeasurementError where the program cannot be told.
    """
    try:
        entry = model_entries(content)[0]
    except (InputError, IndexError):  # the program says better what is wrong with it
        return ()
    rng = np.random.default_rng(seed)
    files = []
    for place, given in enumerate(entry.inputs):
        told = next((each for each in inputs if _is_for(each, given.tensor.name, given.dtype)), None)
        if told is not None:
            file = f"{prefix}-input{place}.bin"
            (folder / file).write_bytes(_content(told, given.shape, rng))
            files.append(f"{_escaped(given.tensor.name)}:{file}")
    if not files:
        return ()
    names = [_tellable(given.tensor.name) for given in entry.inputs]
    shapes = [",".join(map(str, given.shape)) for given in entry.inputs]
    return (
        f"--input_layer={','.join(names)}",
        f"--input_layer_shape={':'.join(shapes)}",
        f"--input_layer_value_files={','.join(files)}",
    )


def _is_for(told: Mapping[str, Any], name: str, dtype: str) -> bool:
    return told["name"] == name and told["dtype"] == NUMPY_TYPES.get(dtype)


def _tellable(name: str) -> str:
    if not _TELLABLE.fullmatch(name):
        raise MeasurementError(f"benchmark_model cannot be told values: an input is called {name!r}")
    return name


def _escaped(name: str) -> str:
    return _tellable(name).replace(":", r"\:")


def _content(told: Mapping[str, Any], shape: Sequence[int], rng: np.random.Generator) -> bytes:
    if "data" in told:
        return base64.b64decode(told["data"])
    dtype = np.dtype(told["dtype"])
    if np.issubdtype(dtype, np.integer) or dtype == np.bool_:
        drawn = rng.integers(int(told["low"]), int(told["high"]), size=tuple(shape), dtype=np.int64, endpoint=True)
        return drawn.astype(dtype).tobytes()
    return rng.uniform(told["low"], told["high"], size=tuple(shape)).astype(dtype).tobytes()
