"""Candidates that a vendor's compiler or interpreter sees as a whole before they are trained."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from edgenas.devices import get_device
from edgenas.export.micro.interpreter import allocate
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.recipe.recipe import Recipe
from edgenas.run.whole import over_budget, whole_costs
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.search_space import SearchSpace

pytest.importorskip("ethosu", reason="the extra edgenas[ethos-u] is not installed")
pytest.importorskip("tflite_micro", reason="the extra edgenas[micro] is not installed")

SPACE = SearchSpace.load("tiny_edge")


def recipe(budget: str, device: str = "ethos-u55-64") -> Recipe:
    return Recipe.parse(
        f"name: r\ndata: {{name: fashion_mnist}}\nspace: {{name: tiny_edge}}\ndevice: {{name: {device}}}\n"
        f"budget: {budget}\n"
    )


def context(budget: str, device: str = "ethos-u55-64") -> SimpleNamespace:
    made = recipe(budget, device)
    devices = [SimpleNamespace(name=device, device=get_device(device))]
    return SimpleNamespace(recipe=made, devices=devices, space=SPACE, precision="int8")


def test_whole_costs_are_the_compilers_and_the_interpreters_own():
    architecture = SPACE.architecture(SPACE.sample(np.random.default_rng(0), 1)[0])
    model = write_tflite(SPACE.decode(architecture).graph, "int8")
    budget = "{latency_ms: 2, sram_bytes: 100, flash_bytes: 900000, arena_bytes: 1000}"
    costs = whole_costs(context(budget), str(architecture))  # type: ignore[arg-type]
    told = get_device("ethos-u55-64").measure(model)
    assert costs["latency_ms"] == told.min
    assert costs["sram_bytes"] == told.memory["sram_bytes"]
    assert costs["arena_bytes"] == allocate(model).total_bytes
    words = over_budget(costs, {"sram_bytes": 100, "arena_bytes": 1000, "flash_bytes": 900_000})
    assert words.startswith("compiled as a whole, its sram_bytes is")
    assert "its arena_bytes is" in words
    assert "flash" not in words


def test_devices_that_run_models_are_not_asked():
    architecture = str(SPACE.architecture(SPACE.sample(np.random.default_rng(0), 1)[0]))
    assert whole_costs(context("{latency_ms: 2}", "local-cpu"), architecture) == {}  # type: ignore[arg-type]


def test_an_arena_budget_without_the_interpreter_is_one_line(monkeypatch):
    from edgenas.export import extra

    monkeypatch.setattr(extra, "installed_version", lambda package: None)
    with pytest.raises(InputError, match=r"arena_bytes cannot be checked.*edgenas\[micro\]"):
        recipe("{arena_bytes: 1000}", "cortex-m4")
