"""Loads and runs models in the microcontrollers' interpreter for another process, one JSON line in and one out.

In: ``{"path": MODEL, "arena_bytes": BYTES, "inputs": FILE.npz or null, "out": FILE.npz}``. Out: ``{"arena_bytes",
"head_bytes", "tail_bytes"}`` or ``{"error", "words"}``; ``words`` is what the interpreter printed. FILE.npz has the
answers of the interpreter (``micro``), of LiteRT's reference kernels (``reference``) and of its fast ones (``litert``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.export.answering import answer_lines


def main() -> None:
    """Answers until the input ends."""
    from tflite_micro import runtime

    answer_lines(lambda job: _work(job, runtime), _allocated)


def _work(job: Mapping[str, Any], runtime: Any) -> dict[str, Any]:
    try:
        content = Path(job["path"]).read_bytes()
        interpreter = runtime.Interpreter.from_bytes(content, arena_size=job["arena_bytes"])
        if job["inputs"]:
            _run(interpreter, content, Path(job["inputs"]), Path(job["out"]))
        interpreter.print_allocations()
    except Exception as error:
        return {"error": " ".join(str(error).split())[:300] or type(error).__name__}
    return {}


def _run(interpreter: Any, content: bytes, inputs: Path, out: Path) -> None:
    with np.load(inputs) as given:
        examples = [given[f"input{place}"] for place in range(len(given.files))]
    rows = []
    for row in range(len(examples[0])):
        for place, values in enumerate(examples):
            interpreter.set_input(values[row : row + 1], place)
        interpreter.invoke()
        rows.append(np.array(interpreter.get_output(0)))
    answers: dict[str, Any] = {"micro": np.concatenate(rows)}
    for name, resolver in (("reference", "BUILTIN_REF"), ("litert", "AUTO")):
        answers[name] = _litert(content, examples, resolver)
    np.savez(out, **answers)


def _litert(content: bytes, examples: list[np.ndarray], resolver: str) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content, num_threads=1, experimental_op_resolver_type=OpResolverType[resolver]
    )
    interpreter.allocate_tensors()
    inputs, output = interpreter.get_input_details(), interpreter.get_output_details()[0]
    rows = []
    for row in range(len(examples[0])):
        for detail, values in zip(inputs, examples, strict=True):
            interpreter.set_tensor(detail["index"], values[row : row + 1])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(output["index"]))
    return np.concatenate(rows)


def _allocated(words: str) -> dict[str, int]:
    found = re.findall(r"Arena allocation (total|head|tail) (\d+) bytes", words)
    names = {"total": "arena_bytes", "head": "head_bytes", "tail": "tail_bytes"}
    return {names[part]: int(count) for part, count in found}


if __name__ == "__main__":
    main()
