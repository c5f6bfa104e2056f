"""Damaged models by the hundred: every reader answers or refuses, a runner that dies takes nobody along."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

PATH = Path(__file__).parents[2] / "tools" / "fuzz_models.py"


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_models", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_models"] = module
    spec.loader.exec_module(module)
    return module


def outcomes(fuzz: ModuleType, count: int, names: list[str]) -> set[str]:
    counts = fuzz.read_all(count, 0, names)
    for found in counts.values():
        assert found["refused"] > count / 3, "mutations must do damage"
        assert found["answer"] > 0, "some do not matter"
        assert sum(found.values()) == count
    # How slow a reader is on a busy machine says nothing; that it ends, does.
    return {kind for found in counts.values() for kind in found if kind.startswith("crash")}


def test_readers_answer_or_refuse(fuzz: ModuleType) -> None:
    assert outcomes(fuzz, 120, ["check", "predict", "simulate", "compare"]) == set()


def test_mutations_are_the_same_for_a_seed_and_a_crash_is_told(fuzz: ModuleType) -> None:
    assert list(fuzz.mutations(20, 3)) == list(fuzz.mutations(20, 3)) != list(fuzz.mutations(20, 4))

    def broken(model: bytes) -> object:
        raise KeyError("oh")

    assert fuzz.outcome(broken, b"") == "crash: KeyError: 'oh'"


def test_a_bundle_with_a_damaged_model_is_found(fuzz: ModuleType) -> None:
    assert set(fuzz.bundle_all(6, 1)) == {"refused"}


@pytest.mark.slow
def test_a_thousand_mutations_in_every_reader(fuzz: ModuleType) -> None:
    assert outcomes(fuzz, 1000, ["check", "predict", "simulate", "compare"]) == set()


def test_benchmarking_damaged_models_never_hurts_the_parent(fuzz: ModuleType) -> None:
    counts = fuzz.benchmark_all(40, 0)
    assert sum(counts.values()) == 40
    assert counts["refused"] > 0


@pytest.mark.slow
def test_benchmarking_a_thousand_damaged_models(fuzz: ModuleType) -> None:
    assert sum(fuzz.benchmark_all(1000, 0).values()) == 1000
