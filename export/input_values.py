"""What the inputs of a model are fed: whole numbers that are safe for every model, or what its user says.

Whole numbers without a scale are indices, token ids or flags: 0 and 1 are safe for those, while anything else may lie
outside of a vocabulary. Quantized numbers stand for real ones, so their whole range is.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.tflite.entries import Entry, ModelInput, find_input
from edgenas.spaces.errors import InputError

#: NumPy's names of the types that inputs can have.
NUMPY_TYPES: Mapping[str, str] = {
    **{name: name.lower() for name in ("FLOAT16", "FLOAT32", "FLOAT64", "COMPLEX64", "COMPLEX128", "INT8", "INT16")},
    **{name: name.lower() for name in ("INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")},
    "BOOL": "bool",
}
#: Real inputs are between these, as :mod:`edgenas.devices.on_device.runner` feeds them.
_FLOAT_RANGE = (-1.0, 1.0)


@dataclass(frozen=True)
class Feed:
    """Values of one input: random ones of ``low`` to ``high`` (both included for whole numbers), or ``values``."""

    given: ModelInput
    low: float
    high: float
    values: np.ndarray | None = None
    source: str = ""

    def to_runner(self) -> dict[str, Any]:
        """The entry of the runner's setting ``inputs``."""
        entry: dict[str, Any] = {"name": self.given.tensor.name, "dtype": NUMPY_TYPES[self.given.dtype]}
        entry["shape"] = list(self.given.shape)
        if self.values is None:
            return {**entry, "low": self.low, "high": self.high}
        return entry | {"data": base64.b64encode(np.ascontiguousarray(self.values).tobytes()).decode()}

    def to_json(self) -> dict[str, Any]:
        """``{"name", "shape", "dtype", "low", "high"}``, and ``"file"`` where the values come from one."""
        entry: dict[str, Any] = {"name": self.given.name, "shape": list(self.given.shape), "dtype": self.given.dtype}
        entry |= {"low": self.low, "high": self.high}
        return entry | ({"file": self.source} if self.source else {})

    def describe(self) -> str:
        """Such as ``tokens (1, 16) INT32: random values 0 to 1``."""
        what = f"values of {self.source}," if self.source else "random values"
        return f"{self.given.describe()}: {what} {self.low:g} to {self.high:g}"


def parse_range(text: str) -> tuple[str, float, float]:
    """``NAME=LO:HI`` taken apart. Raises InputError."""
    name, equals, rest = text.rpartition("=")
    low, colon, high = rest.partition(":")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = (math.nan, math.nan)
    if not (equals and name and colon) or not all(map(math.isfinite, ends)) or ends[0] > ends[1]:
        raise InputError(f"--input-range {text!r}: expected NAME=LO:HI, such as tokens=0:1000")
    return name, *ends


def read_input_file(path: Path) -> dict[str, np.ndarray]:
    """Arrays of numbers by input name from a ``.npz`` file. Raises InputError naming the file."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if isinstance(archive, np.ndarray):
                raise ValueError("it holds one array without a name")
            arrays = {name: archive[name] for name in archive.files}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); expected a .npz file") from None
    except Exception as error:  # zipfile and NumPy raise what they like on damaged files
        raise InputError(f"{path}: expected a .npz file with one array per input ({error})") from None
    for name, values in arrays.items():
        if not (np.issubdtype(values.dtype, np.number) or values.dtype == np.bool_) or not values.size:
            raise InputError(f"{path}: array {name!r} must hold numbers, found {values.dtype} of shape {values.shape}")
        if not np.isfinite(values).all():
            raise InputError(f"{path}: array {name!r} holds numbers that are not finite")
    return arrays


def make_feeds(
    entry: Entry,
    ranges: Sequence[tuple[str, float, float]] = (),
    arrays: Mapping[str, np.ndarray] | None = None,
    source: str = "",
) -> tuple[Feed, ...]:
    """What each input of an entry is fed. Raises InputError naming an input that does not exist or cannot hold it."""
    told: dict[int, tuple[float, float]] = {}
    for name, low, high in ranges:
        told[find_input(entry, name).tensor.index] = (low, high)
    given = {find_input(entry, name).tensor.index: values for name, values in (arrays or {}).items()}
    feeds = []
    for one in entry.inputs:
        index = one.tensor.index
        if one.dtype not in NUMPY_TYPES:
            raise InputError(f"input {one.name} is of type {one.dtype}, which nobody can be asked to feed")
        if index in given:
            values = stored_values(one, given[index], source)
            low, high = _ends(values)
            feeds.append(Feed(one, low, high, values, source))
        elif index in told:
            feeds.append(Feed(one, *_checked(one, told[index])))
        else:
            feeds.append(Feed(one, *default_range(one)))
    return tuple(feeds)


def default_range(given: ModelInput) -> tuple[float, float]:
    """The range of values that an input is fed when nobody says otherwise, as the tensor stores them."""
    dtype = np.dtype(NUMPY_TYPES[given.dtype])
    if not np.issubdtype(dtype, np.integer):
        return (0.0, 1.0) if dtype == np.bool_ else _FLOAT_RANGE
    if not any(scale > 0 for scale in given.tensor.scale):
        return 0.0, 1.0
    limits = np.iinfo(dtype)
    return float(max(limits.min, -128)), float(min(limits.max, 255))


def stored_values(given: ModelInput, values: np.ndarray, source: str) -> np.ndarray:
    """Values as an input stores them: real ones of a quantized input are quantized. Raises InputError."""
    shape = given.shape
    if values.shape != shape:
        raise InputError(f"{source}: array of input {given.name} has the shape {values.shape}, expected {shape}")
    dtype = np.dtype(NUMPY_TYPES[given.dtype])
    if np.issubdtype(dtype, np.integer) and np.issubdtype(values.dtype, np.floating) and given.tensor.scale:
        zero_point = given.tensor.zero_point[0] if given.tensor.zero_point else 0
        limits = np.iinfo(dtype)
        steps = np.round(values / (given.tensor.scale[0] or 1.0)) + zero_point
        return np.clip(steps, limits.min, limits.max).astype(dtype)
    if np.issubdtype(dtype, np.integer) or dtype == np.bool_:
        stored = values.astype(dtype)
        if not np.array_equal(stored, values):
            raise InputError(f"{source}: array of input {given.name} holds values that are no {given.dtype}")
        return stored
    return values.astype(dtype)


def _checked(given: ModelInput, ends: tuple[float, float]) -> tuple[float, float]:
    dtype = np.dtype(NUMPY_TYPES[given.dtype])
    if dtype == np.bool_ or np.issubdtype(dtype, np.integer):
        lowest, highest = (0, 1) if dtype == np.bool_ else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        whole = all(float(end).is_integer() for end in ends)
        if not whole or ends[0] < lowest or ends[1] > highest:
            raise InputError(
                f"input {given.name} is {given.dtype}: its range must be whole numbers of {lowest} to {highest}, not "
                f"{ends[0]:g}:{ends[1]:g}"
            )
    return ends


def _ends(values: np.ndarray) -> tuple[float, float]:
    real = np.abs(values) if np.iscomplexobj(values) else values
    return float(real.min()), float(real.max())
