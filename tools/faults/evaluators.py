"""Candidates judged by a formula instead of a training, with faults on demand."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgenas.study.workers import Candidate, Evaluator

#: Environment variable with the settings of a formula.
VARIABLE = "FAULTS_FORMULA"


@dataclass(frozen=True)
class Formula:
    """Makes an evaluator: the same architecture and seed always have the same accuracy, larger networks a higher one.

    Attributes:
        seconds: time that a candidate takes.
        faults: by the trial's number what happens instead: ``sleep`` (for good), ``stop`` (SIGSTOP to its own
            process), ``kill``, ``crash``, ``nan``, ``text``, ``negative``, ``error``.
        only_once: a file whose existence means that the faults have happened already.
    """

    seconds: float = 0.0
    faults: Mapping[int, str] = field(default_factory=dict)
    only_once: str = ""

    @classmethod
    def from_environment(cls) -> Formula:
        """The one that :data:`VARIABLE` describes as JSON; without it an instant one without faults."""
        settings = json.loads(os.environ.get(VARIABLE, "{}"))
        faults = {int(number): fault for number, fault in settings.pop("faults", {}).items()}
        return cls(faults=faults, **settings)

    def __call__(self) -> Evaluator:
        return self.evaluate  # type: ignore[return-value]

    def evaluate(self, candidate: Candidate) -> object:
        time.sleep(self.seconds)
        fault = self.faults.get(candidate.number, "")
        if fault and self.only_once:
            if os.path.exists(self.only_once):
                fault = ""
            else:
                with open(self.only_once, "w", encoding="utf-8"):
                    pass
        if fault:
            return _happen(fault)
        digits = sum(int(letter) for letter in candidate.architecture if letter.isdigit())
        return 0.3 + digits / 200 + candidate.seed % 100 / 1e4


def _happen(fault: str) -> object:
    if fault == "sleep":
        time.sleep(1e6)
    if fault in ("stop", "kill", "crash"):
        os.kill(os.getpid(), {"stop": signal.SIGSTOP, "kill": signal.SIGKILL, "crash": signal.SIGSEGV}[fault])
        time.sleep(1e6)
    if fault == "error":
        raise ValueError("the user's own words")
    return {"nan": float("nan"), "text": "0.5", "negative": -1.0}[fault]
