"""Damaged ``.tflite`` files, those of ``tools/fuzz_models.py``, in every command that reads a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fuzz_models

from faults.runner import Job
from faults.scene import Scene
from faults.yaml_kinds import REAL_EVERY

#: One in so many is measured, too: that starts a process of its own.
BENCHMARK_EVERY = 12


def models(scene: Scene, folder: Path, seed: int, count: int) -> Iterator[Job]:
    """``check``, ``predict``, ``compare`` and ``benchmark`` of damaged models."""
    whole = fuzz_models.seeds()[0]
    commands = (
        ("check", "m.tflite"),
        ("predict", "m.tflite", "--device", "edgetpu-sim"),
        ("predict", "m.tflite", "--table", str(scene.table)),
        ("benchmark", "m.tflite", "--device", "edgetpu-sim"),
        ("check", "m.tflite", "--json"),
        ("predict", "m.tflite", "--table", str(scene.table), "--json"),
    )
    for index, content in enumerate(fuzz_models.mutations(count, seed)):
        place = folder / str(index)
        place.mkdir(parents=True)
        (place / "m.tflite").write_bytes(content)
        (place / "whole.tflite").write_bytes(whole)
        argv: tuple[str, ...] = commands[index % len(commands)]
        if index % BENCHMARK_EVERY == 3:
            argv = (
                ("benchmark", "m.tflite")
                if index % (2 * BENCHMARK_EVERY) == 3
                else ("compare", "whole.tflite", "m.tflite")
            )
        yield Job(f"models/{index}", argv, place, real=index % REAL_EVERY == 7)
