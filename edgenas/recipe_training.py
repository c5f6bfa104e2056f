"""The training parts of a recipe: the short one that compares candidates, the long one that makes what is shipped."""

from __future__ import annotations

from pydantic import Field

from edgenas.recipe_section import Section


class Training(Section):
    """Keys that both trainings have."""

    epochs: int = Field(default=30, ge=1, description="Passes over the training images.")
    batch_size: int = Field(default=64, ge=1, description="Images per step.")
    learning_rate: float = Field(default=2e-3, gt=0, description="Peak of the cosine schedule.")
    weight_decay: float = Field(default=1e-4, ge=0, description="Decoupled weight decay.")
    label_smoothing: float = Field(
        default=0.1, ge=0, lt=1, description="Share of the label given to all classes alike."
    )


class ShortTraining(Training):
    """Short training that candidates are compared after."""

    epochs: int = Field(default=3, ge=1, description="Passes over the training images.")
    images: int | None = Field(default=None, ge=1, description="Train on this many images only; null: all.")


class FinalTraining(Training):
    """Training of the network that is shipped."""
