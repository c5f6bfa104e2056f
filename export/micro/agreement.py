"""Whether the microcontrollers' interpreter answers as LiteRT does: the same file, the same inputs, within rounding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.export.extra import MICRO
from edgenas.export.micro.interpreter import Arena, NotTakenError, allocate, not_taken, run
from edgenas.export.tflite.reader import TfliteTensor, model_io, read_operators
from edgenas.spaces.errors import EdgeNASError

#: Models that are larger do not fit into a microcontroller's flash.
LARGEST_BYTES = 4 * 2**20
EXAMPLES = 8
#: Reference kernels do the same integer arithmetic, but for the rounding of dense layers.
ROUNDING_STEPS = 2
_FLOAT_DIFFERENCE = 1e-4


@dataclass(frozen=True)
class MicroCheck:
    """``steps`` is the largest difference of an output from that of LiteRT's reference kernels, in steps of its
    quantization (of a float output: the difference itself), over ``examples`` random inputs; ``fast_steps`` from the
    kernels that LiteRT runs by default, which round apart. ``problem`` is why the interpreter does not take the model.
    """

    version: str
    arena: Arena | None = None
    steps: float | None = None
    fast_steps: float | None = None
    limit: float = ROUNDING_STEPS
    examples: int = 0
    problem: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it runs, and answers as LiteRT does within rounding."""
        return self.steps is not None and self.steps <= self.limit

    def to_json(self) -> dict[str, Any]:
        """Plain data: ``{"runtime", "arena_bytes", ..., "largest_difference_steps", "agrees", "problem"}``."""
        arena = {} if self.arena is None else self.arena.to_json()
        return {
            "runtime": f"tflite-micro {self.version}",
            **arena,
            "largest_difference_steps": self.steps,
            "from_fast_kernels_steps": self.fast_steps,
            "examples": self.examples,
            "agrees": self.agrees,
            "problem": self.problem,
        }


def check_micro(model: bytes, *, seed: int = 0) -> MicroCheck | None:
    """Loads and runs a model as a microcontroller would; None without the interpreter, or for too large a model."""
    version = MICRO.version
    if version is None or len(model) > LARGEST_BYTES:
        return None
    try:
        arena = allocate(model)
    except NotTakenError as error:
        return MicroCheck(version, problem=_problem(model, error))
    except EdgeNASError as error:
        return MicroCheck(version, problem=str(error))
    ends = model_io(model)
    if any(-1 in end.open_shape[1:] for end in ends.inputs) or len(ends.outputs) != 1:
        return MicroCheck(version, arena, problem="it has several outputs or open sides, and was not run")
    rng = np.random.default_rng(seed)
    values = [_random(end, rng) for end in ends.inputs]
    try:
        found = run(model, values)
    except EdgeNASError as error:
        return MicroCheck(version, arena, problem=str(error))
    limit = ROUNDING_STEPS if np.issubdtype(found.micro.dtype, np.integer) else _FLOAT_DIFFERENCE
    steps, fast = (_largest(found.micro, other) for other in (found.reference, found.litert))
    return MicroCheck(version, arena, steps, fast, limit, EXAMPLES)


def _largest(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())


def _problem(model: bytes, error: NotTakenError) -> str:
    """Each operator that it lacks, with its words."""
    reasons = not_taken(model)
    names = {operator.index: operator.name for operator in read_operators(model)}
    words = dict.fromkeys(f"{names[index]}: {reason}" for index, reason in reasons.items())
    return "; ".join(words) or str(error)


def _random(end: TfliteTensor, rng: np.random.Generator) -> np.ndarray:
    """Examples as the file stores them."""
    shape = (EXAMPLES, *end.shape[1:])
    if end.dtype in ("INT8", "UINT8"):
        low, high = (-128, 128) if end.dtype == "INT8" else (0, 256)
        return rng.integers(low, high, shape).astype(end.dtype.lower())
    if end.dtype == "FLOAT32":
        return rng.standard_normal(shape).astype(np.float32)
    return np.zeros(shape, end.dtype.lower())
