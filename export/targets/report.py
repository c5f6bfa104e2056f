"""The answer of every target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgenas.export.compilers.edgetpu.compiled import CUSTOM_OPERATOR as EDGE_TPU
from edgenas.export.compilers.ethos_u.compiled import CUSTOM_OPERATOR as ETHOS_U
from edgenas.export.compilers.ethos_u.compiled import compiled_accelerator
from edgenas.export.tflite.reader import read_operators

_COMPILED = {EDGE_TPU: "Edge TPU", ETHOS_U: "Ethos-U"}


@dataclass(frozen=True)
class Placed:
    """One operator of the file: whether the target takes it, and why (not)."""

    index: int
    op: str
    mapped: bool
    reason: str


@dataclass(frozen=True)
class TargetReport:
    """``runs_on`` is where mapped operators run, ``otherwise`` where (or that) the others do.

    ``compiled_for`` names the accelerator that the file is compiled for already. ``memory`` is in bytes by what it is;
    ``facts`` are the target's own.
    """

    target: str
    operators: tuple[Placed, ...]
    runs_on: str
    otherwise: str
    memory: Mapping[str, int | None] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    compiled_for: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def mapped(self) -> int:
        return sum(operator.mapped for operator in self.operators)

    def to_json(self) -> dict[str, Any]:
        """The JSON of ``edgenas check --target``."""
        return {
            "target": self.target,
            "already_compiled": self.compiled_for is not None,
            "compiled_for": self.compiled_for,
            "operators": [vars(operator) for operator in self.operators],
            "mapped": self.mapped,
            "cpu": len(self.operators) - self.mapped,
            "memory": dict(self.memory),
            "changes": list(self.changes),
            **self.facts,
        }


def compiled_for(model: bytes) -> str | None:
    """Which accelerator a file is compiled for already. Raises InputError on anything but a whole model."""
    names = {operator.name for operator in read_operators(model)}
    return next((words for name, words in _COMPILED.items() if name in names), None)


def compiled_report(
    target: str, model: bytes, accelerator: str, runs_on: str, wanted: str | None = None
) -> TargetReport:
    """About a file that is compiled already: for this target (then it runs), or for another.

    ``wanted`` is the size of the target's accelerator, where a file is for one size only.
    """
    size = compiled_accelerator(model)
    fits = accelerator == runs_on and (wanted is None or size in (None, wanted))
    placed = []
    for operator in read_operators(model):
        mapped = fits and operator.name in _COMPILED
        left = "left to the CPU" if fits else "part of a file for another accelerator"
        reason = f"already compiled for {size or accelerator}" if operator.name in _COMPILED else left
        placed.append(Placed(operator.index, operator.name, mapped, reason))
    change = f"this file is compiled for {size or accelerator} already: give the .tflite file that was compiled"
    return TargetReport(
        target,
        tuple(placed),
        runs_on,
        "CPU" if fits else "not taken",
        {"file_bytes": len(model)},
        () if fits else (change,),
        accelerator,
        {"accelerator": size},
    )
