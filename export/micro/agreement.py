"""Whether the microcontrollers' interpreter answers as LiteRT does: the same file, the same inputs, within rounding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgenas.export.micro.interpreter import Arena, NotTakenError, allocate, micro_version, not_taken, run
from edgenas.export.tflite.reader import TfliteTensor, model_io, read_operators
from edgenas.export.verify import tflite_outputs
from edgenas.spaces.errors import EdgeNASError

#: Models that are larger do not fit into a microcontroller's flash.
LARGEST_BYTES = 4 * 2**20
EXAMPLES = 8
#: Two implementations of the same integer arithmetic round apart by this at most; softmax tables add one.
ROUNDING_STEPS = 2


@dataclass(frozen=True)
class MicroCheck:
    """``steps`` is the largest difference of an output from LiteRT's in steps of its quantization (of float outputs:
    the difference itself), over ``examples`` random inputs; ``problem`` is why the interpreter does not take the model.
    """

    version: str
    arena: Arena | None = None
    steps: float | None = None
    examples: int = 0
    problem: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it runs, and answers as LiteRT does within rounding."""
        return self.steps is not None and self.steps <= ROUNDING_STEPS

    def to_json(self) -> dict[str, Any]:
        """Plain data: ``{"runtime", "arena_bytes", ..., "largest_difference_steps", "agrees", "problem"}``."""
        arena = {} if self.arena is None else self.arena.to_json()
        return {
            "runtime": f"tflite-micro {self.version}",
            **arena,
            "largest_difference_steps": self.steps,
            "examples": self.examples,
            "agrees": self.agrees,
            "problem": self.problem,
        }


def check_micro(model: bytes, *, seed: int = 0) -> MicroCheck | None:
    """Loads and runs a model as a microcontroller would; None without the interpreter, or for too large a model."""
    version = micro_version()
    if version is None or len(model) > LARGEST_BYTES:
        return None
    try:
        arena = allocate(model)
    except NotTakenError as error:
        return MicroCheck(version, problem=_problem(model, error))
    except EdgeNASError as error:
        return MicroCheck(version, problem=str(error))
    ends = model_io(model)
    if any(end.is_open for end in ends.inputs) or len(ends.outputs) != 1:
        return MicroCheck(version, arena, problem="it has several outputs or open sides, and was not run")
    rng = np.random.default_rng(seed)
    values = [_random(end, rng) for end in ends.inputs]
    try:
        found = run(model, [stored for stored, _ in values])
        expected = tflite_outputs(model, [real for _, real in values])[0]
    except EdgeNASError as error:
        return MicroCheck(version, arena, problem=str(error))
    scale = ends.outputs[0].scale
    zero = ends.outputs[0].zero_point
    real = found.astype(np.float64)
    if scale:
        real = scale[0] * (real - (zero[0] if zero else 0))
    difference = float(np.abs(real - expected.reshape(real.shape)).max())
    return MicroCheck(version, arena, round(difference / (scale[0] if scale else 1.0), 4), EXAMPLES)


def _problem(model: bytes, error: NotTakenError) -> str:
    """Each operator that it lacks, with its words."""
    reasons = not_taken(model)
    names = {operator.index: operator.name for operator in read_operators(model)}
    words = dict.fromkeys(f"{names[index]}: {reason}" for index, reason in reasons.items())
    return "; ".join(words) or str(error)


def _random(end: TfliteTensor, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Examples as the file stores them, and as its float twin takes them."""
    shape = (EXAMPLES, *end.shape[1:])
    if end.dtype in ("INT8", "UINT8"):
        low, high = (-128, 128) if end.dtype == "INT8" else (0, 256)
        stored = rng.integers(low, high, shape).astype(end.dtype.lower())
        zero = end.zero_point[0] if end.zero_point else 0
        scale = end.scale[0] if end.scale else 1.0
        return stored, (scale * (stored.astype(np.float32) - zero)).astype(np.float32)
    if end.dtype == "FLOAT32":
        real = rng.standard_normal(shape).astype(np.float32)
        return real, real
    whole = np.zeros(shape, end.dtype.lower())
    return whole, whole
