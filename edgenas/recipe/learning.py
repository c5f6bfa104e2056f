"""The parts of a recipe in which trials help each other."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from edgenas.recipe.section import Section
from edgenas.training.losses import DistillationLoss

#: What a new candidate may begin with; the words that a study's ``sources`` understand.
Transfer = Literal["off", "previous", "parent", "best", "uniform_average", "loss_weighted"]


class KeptWeightsRecipe(Section):
    """How many finished trials' weights stay on the disk, for transfer and distillation."""

    trials: int = Field(
        default=16, ge=1, description="At most so many; old and bad ones go first, the best one never does."
    )
    bytes: int = Field(default=1_000_000_000, ge=1, description="And at most so many bytes, but for the best one.")


#: Words of ``distillation.teacher`` that are neither a trial nor a path.
BEST, SUPERNET = "best", "supernet"


class DistillationRecipe(Section):
    """A trained network whose answers candidates, and what is shipped, learn from beside the labels."""

    teacher: int | str = Field(
        default=BEST,
        description="best: the best trial so far; a trial's number; supernet: the largest network of the run's "
        "supernet; or the path of a .keras file that takes what the networks take and gives logits.",
    )
    loss: DistillationLoss = Field(
        default="cross_entropy",
        description="Distance from the teacher: cross_entropy of the answers softened by the temperature, mse_softmax, "
        "or mse_logits (the only one for tasks without classes).",
    )
    temperature: float = Field(default=2.0, gt=0, description="What logits are divided by before their softmax.")
    weight: float = Field(
        default=0.5, gt=0, le=1, description="Share of the teacher in the loss; labels have the rest."
    )
    ramp: Literal["fixed", "steps", "trials"] = Field(
        default="fixed",
        description="fixed: that share all along. steps: it grows from 0 to that in each training; trials: from the "
        "first candidate of the search to the last.",
    )
    short: bool = Field(default=True, description="Whether candidates' short trainings have a teacher.")
    final: bool | None = Field(
        default=None,
        description="Whether the finalists' and the final training have. null: with every teacher but best, which was "
        "only trained shortly.",
    )

    @model_validator(mode="after")
    def _known_teacher(self) -> DistillationRecipe:
        found = self.teacher
        if isinstance(found, int):
            if found < 0:
                raise ValueError(f"teacher: trials are numbered from 0, found {found}")
        elif found not in (BEST, SUPERNET) and not self.files:
            raise ValueError(
                f"teacher: expected {BEST}, {SUPERNET}, a trial's number or a .keras file, found {found!r}"
            )
        return self

    @property
    def files(self) -> dict[str, str]:
        """The file that it names, by key."""
        return {"teacher": self.teacher} if isinstance(self.teacher, str) and self.teacher.endswith(".keras") else {}

    @property
    def is_of_trial(self) -> bool:
        """Whether the teacher is a trial of the search."""
        return self.teacher == BEST or isinstance(self.teacher, int)

    @property
    def in_final(self) -> bool:
        """Whether the long trainings have the teacher."""
        return self.teacher != BEST if self.final is None else self.final

    def problem(self, *, trials: int, one_shot: bool, fixed: bool) -> str:
        """Why a run cannot have this teacher; empty when it can."""
        if self.teacher == SUPERNET and not one_shot:
            return "teacher supernet: this run trains no supernet (search.algorithm supernet or tunas does)"
        if self.is_of_trial and fixed:
            return f"teacher {self.teacher}: one network is trained, there are no trials; expected a .keras file"
        if self.is_of_trial and one_shot:
            return (
                f"teacher {self.teacher}: a one-shot run keeps no trial's weights; expected {SUPERNET} or a .keras file"
            )
        if isinstance(self.teacher, int) and self.teacher >= trials:
            return f"teacher {self.teacher}: there are {trials} trials, numbered from 0"
        return ""
