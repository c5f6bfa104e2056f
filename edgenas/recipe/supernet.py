"""The ``supernet`` section of a recipe: how the shared weights are trained, and how the trained supernet is searched.

Its training keys are those of :class:`edgenas.supernet.settings.SupernetSettings`, which explains them in full. What
follows from the amount of data is null and is worked out by :meth:`SupernetRecipe.settings`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from pydantic import Field, model_validator

from edgenas.recipe.section import Section
from edgenas.recipe.training import AugmentationRecipe
from edgenas.spaces.errors import InputError
from edgenas.supernet.controller import ControllerSettings
from edgenas.supernet.settings import SupernetSettings

#: Algorithms that train one supernet for all candidates, and what they do with it.
ONE_SHOT = ("supernet", "tunas")

_DEFAULTS = SupernetSettings()
_CONTROLLER = ControllerSettings()
#: A supernet of few examples needs more passes, and one of many fewer.
_FEWEST_STEPS, _MOST_STEPS = 1_000, 6_000
_SMALLEST_BATCH = 16
#: Networks scored on the frozen supernet; those that a controller likes are few.
_SCORES = {"supernet": 240, "tunas": 48}


class ControllerRecipe(Section):
    """The controller of `tunas`."""

    learning_rate: float = Field(
        default=_CONTROLLER.learning_rate, description="Of the controller, when it begins to learn."
    )
    delay: float = Field(
        default=_CONTROLLER.delay,
        description="Share of the steps before it learns, while the shared weights warm up.",
    )
    growth: float = Field(default=_CONTROLLER.growth, description="Its learning rate grows so many times to the end.")
    samples: int = Field(default=_CONTROLLER.samples, description="Architectures that it compares in a step.")
    entropy: float = Field(default=_CONTROLLER.entropy, description="Weight of the policy's entropy in the reward.")
    expected: int = Field(
        default=_CONTROLLER.expected,
        description="Architectures of a step that count with the reward that is expected of them; 0: none.",
    )

    def settings(self) -> ControllerSettings:
        """The same as the controller takes it."""
        return dataclasses.replace(_CONTROLLER, **self.model_dump())

    @model_validator(mode="after")
    def _valid_settings(self) -> ControllerRecipe:
        try:
            self.settings()
        except InputError as error:
            raise ValueError(str(error)) from None
        return self


class SupernetRecipe(Section):
    """The supernet of the algorithms supernet and tunas, its training and its search."""

    epochs: int | None = Field(
        default=None,
        description=f"Passes over the training examples; null: {_DEFAULTS.epochs}, or more for at least "
        f"{_FEWEST_STEPS} steps.",
    )
    max_steps: int | None = Field(
        default=None,
        description=f"Ends the training after so many steps; null: {_MOST_STEPS}, unless `epochs` is given.",
    )
    batch_size: int | None = Field(
        default=None,
        description=f"Examples that each network of a step learns from; null: {_DEFAULTS.batch_size}, or less where "
        "there are few.",
    )
    learning_rate: float = Field(
        default=_DEFAULTS.learning_rate, description="Peak, reached after the warm-up; then half a cosine down."
    )
    warmup: float = Field(
        default=_DEFAULTS.warmup, description="Share of the steps in which the learning rate grows from 0."
    )
    clip_norm: float = Field(default=_DEFAULTS.clip_norm, description="Largest norm of the gradients; 0: not limited.")
    label_smoothing: float = Field(
        default=_DEFAULTS.label_smoothing, description="Share of the label given to all classes alike."
    )
    within_budget: bool = Field(
        default=True,
        description="Whether only networks within the (largest) budget are trained, which are the ones that are "
        "searched; false: those of the whole space, for larger budgets later on. tunas draws as it has learnt.",
    )
    sandwich: bool = Field(
        default=_DEFAULTS.sandwich,
        description="Whether each step trains the largest and the smallest network of the space as well.",
    )
    distillation: float = Field(
        default=_DEFAULTS.distillation,
        description="Share of the largest network's answers in what the others learn from, at the end; it grows from "
        "0, the rest are labels. It needs sandwich.",
    )
    random_networks: int = Field(
        default=_DEFAULTS.random_networks,
        description="Random networks that a step trains.",
    )
    rank_weight: float = Field(
        default=_DEFAULTS.rank_weight,
        description="Weight of the loss that wants larger networks to be better; it grows from 0. 0: off.",
    )
    calibration_examples: int = Field(
        default=_DEFAULTS.calibration_examples,
        description="Training examples from which batch-norm statistics are estimated for each scored network.",
    )
    scored_examples: int | None = Field(
        default=_DEFAULTS.scored_examples, description="Held-out examples that a network is scored on; null: all."
    )
    precision: Literal["auto", "float32", "mixed_bfloat16"] = Field(
        default="auto",
        description="What layers compute in while weights are trained; auto: mixed_bfloat16 on GPUs that compute it, "
        "else float32.",
    )
    gpus: int | None = Field(
        default=_DEFAULTS.gpus,
        ge=1,
        description="GPUs that share the networks of each step; null: all that TensorFlow sees.",
    )
    augmentation: AugmentationRecipe = Field(
        default_factory=lambda: AugmentationRecipe(), description="Random changes of the training images."
    )
    controller: ControllerRecipe = Field(default_factory=ControllerRecipe)
    scores: int | None = Field(
        default=None,
        ge=2,
        description="Networks that are scored with the weights of the trained supernet; null: "
        f"{_SCORES['supernet']}, or {_SCORES['tunas']} for tunas.",
    )
    trials: int = Field(
        default=6,
        ge=1,
        description="So many of the best scored networks are trained shortly, as search.training says, and compared.",
    )
    inherit: bool | None = Field(
        default=None,
        description="Whether these short trainings begin with the weights of the supernet; else at random. null: "
        "unless `check` networks are there to judge it, which its own weights would favour.",
    )
    check: int = Field(
        default=0,
        ge=0,
        description="Random networks within the budget that are trained shortly too, to see how well the supernet "
        "ranks beside multiply-accumulates, parameters and depth.",
    )
    from_run: str | None = Field(
        default=None,
        description="Folder of a run whose trained supernet is searched, instead of training one; it must be of the "
        "same space and data. `edgenas search --from-supernet` sets it.",
    )

    @property
    def inherits(self) -> bool:
        """Whether short trainings begin with the weights of the supernet."""
        return self.check == 0 if self.inherit is None else self.inherit

    @property
    def trained(self) -> int:
        """Networks that are trained shortly, those that the ranking is checked on included."""
        return self.trials + self.check

    def scored_networks(self, algorithm: str) -> int:
        """Networks that are scored by the trained supernet."""
        return self.scores or _SCORES[algorithm]

    def settings(self, examples: int) -> SupernetSettings:
        """The training's settings for so many training examples.

        >>> SupernetRecipe().settings(45_000).steps(45_000), SupernetRecipe().settings(1_000).steps(1_000)
        (6000, 1000)
        """
        batch = self.batch_size or _batch_size(examples)
        most = self.max_steps or (None if self.epochs else _MOST_STEPS)
        known = {one.name for one in dataclasses.fields(SupernetSettings)}
        values = {key: value for key, value in self.model_dump().items() if key in known}
        values["augmentation"] = dataclasses.replace(_DEFAULTS.augmentation, **self.augmentation.model_dump())
        values["epochs"] = self.epochs or _DEFAULTS.epochs
        found = dataclasses.replace(_DEFAULTS, **{**values, "max_steps": most, "batch_size": batch})
        if self.epochs:
            return found
        enough = math.ceil(_FEWEST_STEPS * found.step_examples / max(1, examples))
        return dataclasses.replace(found, epochs=max(_DEFAULTS.epochs, enough))

    @model_validator(mode="after")
    def _valid_settings(self) -> SupernetRecipe:
        for name in ("epochs", "max_steps", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        try:
            self.settings(10_000)
        except InputError as error:
            raise ValueError(str(error).removeprefix("supernet: ")) from None
        return self


def _batch_size(examples: int) -> int:
    """The default, halved until an epoch has some ten steps.

    >>> _batch_size(50_000), _batch_size(500), _batch_size(10)
    (32, 32, 16)
    """
    size = _DEFAULTS.batch_size
    while size > _SMALLEST_BATCH and examples < 10 * size:
        size //= 2
    return size


def unused_keys(algorithm: str, values: dict[str, object]) -> str:
    """What of `search` says something to other algorithms only, in words; empty when nothing does."""
    for key, value in values.items():
        if value:
            return (
                f"{key} is not used by {algorithm!r}, which trains the supernet.trials best networks of a supernet "
                f"and has no options but those of the section supernet; remove {key}"
            )
    return ""
