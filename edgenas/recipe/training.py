"""The training parts of a recipe: the short one that compares candidates, the long one that makes what is shipped.

Their keys are those of :class:`edgenas.training.settings.TrainingSettings`, which explains them in full.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from edgenas.recipe.section import Section
from edgenas.spaces.errors import InputError
from edgenas.training.settings import Progressive, TrainingSettings, current_names

_DEFAULTS = TrainingSettings()
_CHANGES = TrainingSettings().augmentation
_STAGES = Progressive()
#: Keys of a training that are not settings of it but say what it is given.
_DATA_KEYS = frozenset({"images", "initial"})
#: Words of ``training.initial`` that are no path.
INHERITED, SCRATCH, SHORT = "inherited", "scratch", "short"


class AugmentationRecipe(Section):
    """Random changes of the training images."""

    shift: int = Field(default=_CHANGES.shift, description="Moves by up to so many pixels each way; 0: off.")
    flip: bool = Field(default=_CHANGES.flip, description="Mirrors half of the images; wrong for digits or letters.")
    cutout: int = Field(default=_CHANGES.cutout, description="Side of a square that is blanked, in pixels; 0: off.")
    cutout_probability: float = Field(default=_CHANGES.cutout_probability, description="Share of images with a cutout.")
    randaugment: float = Field(
        default=_CHANGES.randaugment, description="Magnitude of RandAugment, such as 5 to 10; 0: off."
    )
    randaugment_operations: int = Field(
        default=_CHANGES.randaugment_operations, description="Its operations for each image."
    )
    mixup: float = Field(
        default=_CHANGES.mixup,
        description="Mixes images and labels in pairs, by shares from Beta(mixup, mixup); 0: off.",
    )
    cutmix: float = Field(default=_CHANGES.cutmix, description="Likewise with a window of the other image; 0: off.")


class ProgressiveRecipe(Section):
    """Stages of smaller images and weaker regularisation before the full ones."""

    stages: int = Field(default=_STAGES.stages, description="Stages of equal length.")
    image_size: float = Field(
        default=_STAGES.image_size,
        description="Share of the images' side that the first stage is one step above; 1: full images all along.",
    )
    regularisation: float = Field(
        default=_STAGES.regularisation,
        description="Share of randaugment, mixup, cutmix and dropout in the first stage; all of them in the last.",
    )
    dropout: bool = Field(default=_STAGES.dropout, description="Whether the network's dropout has part in that.")


class Training(Section):
    """Keys that both trainings have."""

    epochs: int = Field(default=_DEFAULTS.epochs, description="Passes over the training images.")
    max_steps: int | None = Field(
        default=_DEFAULTS.max_steps,
        description="Ends the training after so many steps if the epochs would take more: bounds the time on large "
        "data sets. null: no bound.",
    )
    batch_size: int = Field(default=_DEFAULTS.batch_size, description="Images per step.")
    learning_rate: float = Field(
        default=_DEFAULTS.learning_rate, description="Peak, reached after the warm-up; then half a cosine down."
    )
    final_learning_rate: float = Field(default=_DEFAULTS.final_learning_rate, description="Where the cosine ends.")
    optimizer: Literal["adamw", "sgd"] = Field(default="adamw", description="adamw, or sgd with Nesterov momentum.")
    momentum: float = Field(default=_DEFAULTS.momentum, description="Of sgd; beta1 of adamw.")
    weight_decay: float = Field(default=_DEFAULTS.weight_decay, description="Decoupled weight decay on kernels.")
    label_smoothing: float = Field(
        default=_DEFAULTS.label_smoothing, description="Share of the label given to all classes alike."
    )
    ema_decay: float = Field(
        default=_DEFAULTS.ema_decay, description="Of the moving average of weights that is used; 0: the last weights."
    )
    warmup: float = Field(
        default=_DEFAULTS.warmup, description="Share of the steps in which the learning rate grows from 0."
    )
    clip_norm: float = Field(default=_DEFAULTS.clip_norm, description="Largest norm of the gradients; 0: not limited.")
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = Field(
        default="auto",
        description="What layers compute in; weights and what is shipped are float32 always. auto: mixed_bfloat16 on "
        "GPUs that compute it, else float32.",
    )
    gpus: int | None = Field(
        default=1,
        ge=1,
        description="GPUs that share the examples of each step; null: all that TensorFlow sees.",
    )
    augmentation: AugmentationRecipe = Field(
        default_factory=lambda: AugmentationRecipe(), description="Random changes of the training images."
    )
    progressive: ProgressiveRecipe | None = Field(
        default=None,
        json_schema_extra={"commented": True, "switch": True},
        description="true, or stages: begins with smaller images and weaker regularisation (EfficientNetV2). null or "
        "false: full ones all along.",
    )

    def settings(self) -> TrainingSettings:
        """The same as plain training settings."""
        values = {key: value for key, value in self.model_dump().items() if key not in _DATA_KEYS}
        return TrainingSettings.from_dict(values)

    @model_validator(mode="before")
    @classmethod
    def _names_of_today(cls, data: Any) -> Any:
        return current_names(data) if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _valid_settings(self) -> Training:
        try:
            self.settings()
        except InputError as error:
            raise ValueError(str(error)) from None
        return self


class ShortTraining(Training):
    """Short training that candidates are compared after."""

    epochs: int = Field(default=3, description="Passes over the training images.")
    images: int | None = Field(default=None, ge=1, description="Train on so many images only; null: all.")


class FinalTraining(Training):
    """Training of the network that is shipped."""

    gpus: int | None = Field(
        default=None,
        ge=1,
        description="GPUs that share the examples of each step; null: all that TensorFlow sees.",
    )
    initial: str = Field(
        default=INHERITED,
        description="What it begins with. inherited: the weights of the run's supernet, where it has one; scratch: "
        "random ones; short: those of the trial's short training, where they were kept; or the path of a .keras file, "
        "a bundle or a run: arrays of the same name and shape are taken.",
    )

    @property
    def files(self) -> dict[str, str]:
        """The file that it names, by key."""
        return {} if self.initial in (INHERITED, SCRATCH, SHORT) else {"initial": self.initial}
