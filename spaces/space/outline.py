"""What a list of spaces tells of one, from its decisions alone: none of its blocks is built."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edgenas.spaces.space.builder import SpaceBuilder
from edgenas.spaces.space.decision import Decision
from edgenas.spaces.space.frontier import count_architectures
from edgenas.spaces.space.spec import load_spec
from edgenas.spaces.tensor import TensorSpec


@dataclass(frozen=True)
class SpaceOutline:
    """A space whose decisions are known, but not whether all its blocks fit: that is for ``SearchSpace`` to say."""

    name: str
    task: str
    description: str
    input_shape: TensorSpec
    decisions: tuple[Decision, ...]

    @classmethod
    def load(cls, name_or_path: str | Path) -> SpaceOutline:
        """Of a space of the catalog by name, or of a YAML file. Raises InputError naming file, key and fix.

        >>> SpaceOutline.load("nas_bench_201").size
        15625
        """
        spec = load_spec(name_or_path)
        decisions, _, _ = SpaceBuilder(spec, spec.inputs, spec.classes).build()
        return cls(spec.name, spec.task, spec.description, spec.inputs[0][1], decisions)

    @cached_property
    def size(self) -> int:
        """The exact number of architectures."""
        return count_architectures(self.decisions)
