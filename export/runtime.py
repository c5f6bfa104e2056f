"""The TFLite interpreter that is there: ai-edge-litert, else tflite-runtime, else the one inside TensorFlow."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from edgenas.spaces.errors import InputError

#: Distribution and module, in the order of preference.
RUNTIMES = (
    ("ai-edge-litert", "ai_edge_litert.interpreter"),
    ("tflite-runtime", "tflite_runtime.interpreter"),
    ("tensorflow", "tensorflow.lite.python.interpreter"),
)


@dataclass(frozen=True)
class Runtime:
    """An installed runtime: the name and version of its distribution, and its ``Interpreter`` class."""

    name: str
    version: str
    interpreter: Any


def find_runtime() -> Runtime:
    """The first of :data:`RUNTIMES` that can be imported. Raises InputError when none can."""
    reasons = []
    for distribution, module in RUNTIMES:
        try:
            interpreter = importlib.import_module(module).Interpreter
        except ImportError as error:
            reasons.append(f"{distribution}: {error}")
            continue
        try:
            version = metadata.version(distribution)
        except metadata.PackageNotFoundError:  # a build of one's own, outside pip
            version = "unknown"
        return Runtime(distribution, version, interpreter)
    raise InputError(f"no TFLite runtime is installed: 'pip install ai-edge-litert' ({'; '.join(reasons)})")
