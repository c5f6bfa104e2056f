"""The microcontrollers' own interpreter, asked about a model: does it take it, how large is its arena?

The arena is what the interpreter's allocator reports with its reference kernels on this machine. Kernels of a chip's
maker (CMSIS-NN, Xtensa) may ask for scratch memory beside it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.extra import MICRO
from edgenas.export.resident import Residents
from edgenas.export.temporary import temporary_folder
from edgenas.export.tflite.arena import estimate_arena
from edgenas.export.tflite.model_rewriting import rewrite
from edgenas.export.tflite.reader import TfliteOperator, read_operators
from edgenas.spaces.errors import InputError, WorkError

#: No microcontroller has more.
_LARGEST_ARENA = 256 * 2**20
_ALIGNMENT = 16
_CHATTER = ("[Recording", "Failed to get registration from op code")
_MICRO = Residents("edgenas.export.micro.worker", "TensorFlow Lite for Microcontrollers")


@dataclass(frozen=True)
class Arena:
    """The least arena that the interpreter takes, in bytes.

    Tensors share the ``head`` of it, what stays lies in the ``tail``. Both are the whole, unless planning the tensors
    takes more for a moment than running them.
    """

    total_bytes: int
    head_bytes: int
    tail_bytes: int

    def to_json(self) -> dict[str, int]:
        """Plain data for JSON documents."""
        return {"arena_bytes": self.total_bytes, "head_bytes": self.head_bytes, "tail_bytes": self.tail_bytes}


class NotTakenError(WorkError):
    """The interpreter does not take the model; the message holds its words."""


def allocate(model: bytes, *, arena_bytes: int | None = None) -> Arena:
    """Loads a model, in an arena that is large enough or in ``arena_bytes``; says what was allocated.

    Raises NotTakenError in the interpreter's words, InputError for what is no model or without the interpreter.
    """
    with temporary_folder("micro") as folder:
        (folder / "model.tflite").write_bytes(model)
        found = _arena(_load(model, folder, arena_bytes, None))
        if arena_bytes is not None:
            return found
        return dataclasses.replace(found, total_bytes=_least(model, folder, found.total_bytes))


def _least(model: bytes, folder: Path, allocated: int) -> int:
    """The least arena that the interpreter takes: what it allocated, or more where planning needs more."""

    def takes(size: int) -> bool:
        try:
            _load(model, folder, size, None)
        except NotTakenError:
            return False
        return True

    low, high = allocated - _ALIGNMENT, allocated
    while not takes(high):
        low, high = high, high + max(_ALIGNMENT, high - low) * 2
    while high - low > _ALIGNMENT:
        middle = low + (high - low) // (2 * _ALIGNMENT) * _ALIGNMENT
        low, high = (low, middle) if takes(middle) else (middle, high)
    return high


@dataclass(frozen=True)
class Answers:
    """First outputs (N, ...) of N examples, as the file stores them: of the microcontrollers' interpreter, of LiteRT's
    reference kernels, and of the kernels that LiteRT runs by default.
    """

    micro: np.ndarray
    reference: np.ndarray
    litert: np.ndarray


def run(model: bytes, inputs: Sequence[np.ndarray]) -> Answers:
    """Answers to N examples of the model's own types, (N, ...) for each input. Raises as :func:`allocate`."""
    with temporary_folder("micro") as folder:
        (folder / "model.tflite").write_bytes(model)
        arrays: Any = {f"input{place}": values for place, values in enumerate(inputs)}
        np.savez(folder / "inputs.npz", **arrays)
        _load(model, folder, None, folder / "inputs.npz")
        with np.load(folder / "outputs.npz") as found:
            return Answers(*(np.asarray(found[name]) for name in ("micro", "reference", "litert")))


def not_taken(model: bytes) -> dict[int, str]:
    """Why the interpreter does not take operators of a model, by their place; empty when it takes them all.

    Each kind of operator is tried alone, one of a kind with the same types.
    """
    MICRO.require()
    try:
        allocate(model)
    except NotTakenError:
        pass
    else:
        return {}
    reasons: dict[tuple[object, ...], str] = {}
    found = {}
    for operator in read_operators(model):
        kind = _kind(operator)
        if kind not in reasons:
            reasons[kind] = _reason(model, operator.index)
        if reasons[kind]:
            found[operator.index] = reasons[kind]
    return found


def _kind(operator: TfliteOperator) -> tuple[object, ...]:
    tensors = (*operator.inputs, *operator.outputs)
    types = tuple(None if tensor is None else (tensor.dtype, tensor.is_constant) for tensor in tensors)
    return (operator.name, operator.version, types)


def _reason(model: bytes, index: int) -> str:
    def alone(tree: Any) -> None:
        graph = tree.subgraphs[0]
        operator = graph.operators[index]
        graph.operators = [operator]
        has_content = [tree.buffers[tensor.buffer].data is not None for tensor in graph.tensors]
        graph.inputs = [place for place in operator.inputs if place >= 0 and not has_content[place]]
        graph.outputs = list(operator.outputs)
        tree.signatureDefs = None

    try:
        allocate(rewrite(model, alone))
    except WorkError as error:
        return str(error)
    return ""


def _load(model: bytes, folder: Path, arena_bytes: int | None, inputs: Path | None) -> dict[str, Any]:
    MICRO.require()
    if not read_operators(model):
        raise InputError("it has no operators")
    answer: dict[str, Any] = {}
    for size in [arena_bytes] if arena_bytes is not None else _sizes(model):
        answer = _MICRO.ask(
            {
                "path": str(folder / "model.tflite"),
                "arena_bytes": size,
                "inputs": None if inputs is None else str(inputs),
                "out": str(folder / "outputs.npz"),
            }
        )
        if "error" not in answer:
            return answer
        if not _is_too_small(answer["words"]):
            break
    raise NotTakenError(f"{_words(answer['words']) or answer['error']}")


def _sizes(model: bytes) -> Iterator[int]:
    """Arenas to try: twice what is expected, then more."""
    size = 2 * estimate_arena(model).total_bytes + 2**16
    while size < _LARGEST_ARENA:
        yield size
        size *= 4
    yield _LARGEST_ARENA


def _is_too_small(words: str) -> bool:
    return any(sign in words for sign in ("Arena size is too small", "Failed to resize buffer", "Unable to allocate"))


def _words(printed: str) -> str:
    r"""What the interpreter printed, on one line, without what follows from it.

    >>> _words("Didn't find op for builtin opcode 'GELU'\nFailed to get registration from op code GELU\n")
    "Didn't find op for builtin opcode 'GELU'"
    """
    lines = [" ".join(line.split()) for line in printed.splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(_CHATTER) and " failed to prepare with status" not in line]
    return re.sub(r"tensorflow/\S*/", "", "; ".join(kept or lines))[:400]


def _arena(answer: dict[str, Any]) -> Arena:
    try:
        return Arena(answer["arena_bytes"], answer["head_bytes"], answer["tail_bytes"])
    except KeyError:
        raise WorkError(f"the interpreter did not tell its allocations: {_words(answer['words'])}") from None
