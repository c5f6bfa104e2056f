"""The part of a recipe that says how the shipped file is quantized, and the fine-tuning that some ways need.

Its keys are those of :class:`edgenas.training.compress.QuantizationSettings` and what that is made of.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, model_validator

from edgenas.data.augmentation import Augmentation
from edgenas.export.quantization.compression import CompressionSettings
from edgenas.export.quantization.selective.settings import MixedSettings
from edgenas.recipe.finalize import FinalizeRecipe
from edgenas.recipe.section import Section
from edgenas.spaces.errors import InputError
from edgenas.training.compress import QuantizationSettings
from edgenas.training.fine_tune import FineTuningSettings

_TUNING = FineTuningSettings()
_COMPRESSION = CompressionSettings()
_MIXED = MixedSettings()


class FineTuningRecipe(Section):
    """For int8-qat, pruned and clustered: a short training after the final one, with the float model as teacher."""

    epochs: int = Field(default=_TUNING.epochs, description="Passes over the training images.")
    max_steps: int | None = Field(default=None, description="Ends it after so many steps; null: no bound.")
    batch_size: int = Field(default=_TUNING.batch_size, description="Images per step.")
    learning_rate: float = Field(default=_TUNING.learning_rate, description="Peak; then half a cosine down to 0.")
    distillation: float = Field(
        default=_TUNING.distillation, description="Weight of the float model's answers in the loss; 0: labels only."
    )
    temperature: float = Field(
        default=_TUNING.temperature, description="Both models' logits are divided by it before they are compared."
    )
    sparsity: float = Field(default=_COMPRESSION.sparsity, description="Share of zero weights when pruned.")
    sparsity_m_by_n: str | None = Field(
        default=None,
        description="When pruned, instead of a share: '2:4' for at least 2 zeros among each 4 neighbouring weights.",
    )
    clusters: int = Field(default=_COMPRESSION.clusters, description="Distinct weights per kernel when clustered.")

    @property
    def compression(self) -> CompressionSettings:
        """How far weights are compressed."""
        pattern = None
        if self.sparsity_m_by_n is not None:
            match = re.fullmatch(r"(\d+):(\d+)", self.sparsity_m_by_n)
            if match is None:
                raise InputError(f"sparsity_m_by_n must look like '2:4', not {self.sparsity_m_by_n!r}")
            pattern = int(match[1]), int(match[2])
        return CompressionSettings(sparsity=self.sparsity, sparsity_m_by_n=pattern, clusters=self.clusters)

    def settings(self, augmentation: Augmentation) -> FineTuningSettings:
        """The same as plain settings, with the random changes of the final training."""
        return FineTuningSettings(
            epochs=self.epochs,
            max_steps=self.max_steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            distillation=self.distillation,
            temperature=self.temperature,
            augmentation=augmentation,
        )

    @model_validator(mode="after")
    def _valid_settings(self) -> FineTuningRecipe:
        try:
            _ = self.compression, self.settings(Augmentation())
        except InputError as error:
            raise ValueError(str(error)) from None
        return self


class MixedRecipe(Section):
    """For mixed: int8 but for the few layers that cost accuracy, judged on the validation examples."""

    limit: float = Field(
        default=_MIXED.limit, ge=0, le=1, description="How far the metric may fall below the float model's."
    )
    keep: Literal["float", "int16"] = Field(
        default="float",
        description="What the worst layers stay in: float, or int16 activations with int8 weights, which integer "
        "targets take too.",
    )
    layers: int = Field(default=_MIXED.layers, ge=1, description="How many of them at most.")

    def settings(self) -> MixedSettings:
        """The same as plain settings."""
        return MixedSettings(self.limit, self.keep, self.layers)


class ExportRecipe(Section):
    """What is shipped."""

    quantization: str = Field(
        default="int8",
        description="float32, float16, dynamic (int8 weights), int8 (integers only), int16x8, int8-qat (trained with "
        "rounding), mixed (int8, but the worst layers finer), pruned, clustered, or such as pruned+int8 and "
        "clustered+int8-qat.",
    )
    calibration: Literal["stratified", "random", "first"] = Field(
        default="stratified",
        description="Which training images set the ranges of integer tensors: of every class its share, any, or those "
        "that come first.",
    )
    calibration_images: int = Field(default=500, ge=1, description="How many images set the ranges.")
    equalize: bool = Field(
        default=False,
        description="Try cross-layer equalisation before int8 conversion, and keep it if it lowers the error on "
        "held-out calibration images.",
    )
    fine_tuning: FineTuningRecipe = Field(default_factory=lambda: FineTuningRecipe())
    mixed: MixedRecipe = Field(default_factory=lambda: MixedRecipe())
    candidates: int = Field(
        default=3,
        ge=1,
        description="How many of the best trials may be tried, when a better one measures over the budget or falls "
        "under the accuracy.",
    )
    finalize: FinalizeRecipe | None = Field(
        default=None,
        json_schema_extra={"commented": True},
        description="Only of segmentation: the arg-max in the shipped file, {resize: 1/4, argmax: auto}; null: at full "
        "resolution.",
    )
    post_processing: Literal["auto", "operator", "none"] = Field(
        default="auto",
        description="Only of detection: operator: the file ends in TFLite_Detection_PostProcess, which decodes and "
        "suppresses boxes; none: it ends in encodings and logits; auto: operator for Android and Coral, else none.",
    )
    accuracy_drop: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="How far the shipped file's top-1 may fall below the float model's, on the test images.",
    )
    min_top1: float | None = Field(
        default=None, ge=0, le=1, description="The least top-1 of the shipped file on the test images."
    )

    def settings(self, augmentation: Augmentation) -> QuantizationSettings:
        """The same as plain settings, with the random changes of the final training."""
        return QuantizationSettings(
            calibration=self.calibration,
            calibration_images=self.calibration_images,
            equalize=self.equalize,
            fine_tuning=self.fine_tuning.settings(augmentation),
            compression=self.fine_tuning.compression,
            mixed=self.mixed.settings(),
        )
