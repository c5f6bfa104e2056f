"""The part of a recipe about what trials leave beside their figures: weights, and whatever an evaluator writes."""

from __future__ import annotations

from pydantic import Field, field_validator

from edgenas.recipe.section import Section
from edgenas.spaces.errors import InputError


class ArtifactRecipe(Section):
    """Weights and other files that the best trials keep."""

    store: str | None = Field(
        default=None,
        description="Where they go, for workers on other machines: a folder that all reach, s3://BUCKET/FOLDER "
        "(edgenas[s3]) or gs://BUCKET/FOLDER (edgenas[gcs]). null: trials/N/files of the run, or of the worker.",
    )
    trials: int = Field(default=3, ge=0, description="So many of the best trials keep theirs; 0: none does.")
    largest_mb: float = Field(default=200.0, gt=0, description="Files of a trial that are larger together are dropped.")

    @field_validator("store")
    @classmethod
    def _known_store(cls, store: str | None) -> str | None:
        if store is not None:
            from edgenas.study.artifacts import check_place

            try:
                check_place(store)
            except InputError as error:
                raise ValueError(str(error)) from None
        return store

    @property
    def files(self) -> dict[str, str]:
        """The folder that it names, by key."""
        return {} if self.store is None or "://" in self.store else {"store": self.store}
