"""The microcontrollers' own interpreter: what it allocates, what it lacks, and whether it answers as LiteRT does."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.export import extra
from edgenas.export.bundle.c_header import c_header
from edgenas.export.micro.agreement import check_micro
from edgenas.export.micro.interpreter import NotTakenError, allocate, not_taken
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.blocks import InvertedBottleneck
from edgenas.spaces.errors import InputError
from edgenas.spaces.graph import GraphBuilder
from edgenas.spaces.ops import Activation, Convolution
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.study.costs import CostModel

pytest.importorskip("tflite_micro", reason="the extra edgenas[micro] is not installed")

MODEL = write_tflite(InvertedBottleneck(filters=16, expansion=4).lower((16, 16, 16)), "int8")


def lacking() -> bytes:
    """A model with an operator that the interpreter does not have."""
    builder = GraphBuilder((8, 8, 8))
    convolution = builder.add("conv", Convolution(8, 3), *builder.inputs)
    return write_tflite(builder.build(builder.add("gelu", Activation("gelu"), convolution)), "int8")


def test_the_arena_is_what_the_model_needs():
    arena = allocate(MODEL)
    assert arena.total_bytes == arena.head_bytes + arena.tail_bytes
    assert allocate(MODEL, arena_bytes=arena.total_bytes).head_bytes == arena.head_bytes
    with pytest.raises(NotTakenError):
        allocate(MODEL, arena_bytes=int(0.99 * arena.total_bytes))


def test_operators_that_it_lacks_are_named():
    assert not_taken(MODEL) == {}
    assert not_taken(lacking()) == {1: "Didn't find op for builtin opcode 'GELU'"}
    found = check_micro(lacking())
    assert found.problem == "GELU: Didn't find op for builtin opcode 'GELU'"
    assert not found.agrees


def test_it_answers_as_litert_does_within_rounding():
    found = check_micro(MODEL)
    assert found.agrees
    assert found.to_json()["largest_difference_steps"] <= 1
    assert found.examples > 1
    floats = check_micro(write_tflite(InvertedBottleneck(filters=8).lower((8, 8, 8)), "float32"))
    assert floats.agrees


def test_the_header_has_the_arena_of_the_interpreter():
    arena = allocate(MODEL)
    header = c_header(MODEL, name="m", arena=arena)
    (size,) = [int(line.split()[-1]) for line in header.splitlines() if line.startswith("#define MODEL_ARENA_BYTES")]
    assert arena.total_bytes <= size <= arena.total_bytes + 32
    allocate(MODEL, arena_bytes=size)
    assert "allocated" in header
    assert "estimate" in c_header(MODEL, name="m")


def test_the_arena_of_a_population_is_predicted():
    space = SearchSpace.load("tiny_edge")
    costs = CostModel(space, "int8")
    population = space.sample(np.random.default_rng(5), 5)
    predicted = costs.population(population, ["arena_bytes"])["arena_bytes"]
    for row, guess in zip(population, predicted, strict=True):
        found = allocate(write_tflite(space.decode(row).graph, "int8")).total_bytes
        assert guess == pytest.approx(found, rel=0.15)
    _, least = costs.cheapest("arena_bytes")
    assert least <= predicted.min()


def test_what_is_no_model_and_what_is_not_installed_is_one_line(monkeypatch):
    with pytest.raises(InputError):
        allocate(b"no model")
    monkeypatch.setattr(extra, "installed_version", lambda package: None)
    with pytest.raises(InputError, match=r"edgenas\[micro\]"):
        extra.MICRO.require()
    with pytest.raises(InputError, match=r"edgenas\[micro\]"):
        allocate(MODEL)
