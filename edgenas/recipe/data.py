"""Section ``data`` of a recipe: what to learn from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from edgenas.data.task_data import DataRequest
from edgenas.recipe.section import Section


class DataRecipe(Section):
    """What to learn from."""

    name: str | None = Field(
        default=None,
        examples=["fashion_mnist"],
        description="A data set by name: NAME.npz or a folder NAME in `directory`, else a bundled one (fashion_mnist: "
        "a subset of 8,600 images), or keras:NAME to download.",
    )
    path: str | None = Field(
        default=None,
        description="Instead of a name: an .npz file (x_train, y_train, x_test, y_test), or a folder with train/ and "
        "test/, each with one folder of images per class. Without a test part, one is split off by the seed.",
    )
    directory: str | None = Field(default=None, description="Folder of full data sets by name; --data-dir sets it.")
    image_size: tuple[int, int] | None = Field(default=None, description="Resize images to [height, width] pixels.")
    channels: Literal[1, 3] | None = Field(default=None, description="Convert images to 1 (grey) or 3 (RGB) channels.")
    validation_fraction: float = Field(
        default=0.15,
        gt=0,
        lt=1,
        description="Share of the training images that candidates are compared on, never trained on.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> DataRecipe:
        if (self.name is None) == (self.path is None):
            raise ValueError("expected exactly one of the keys 'name' and 'path'")
        return self

    @property
    def spec(self) -> str:
        """What :func:`edgenas.data.load_dataset` takes."""
        if self.path is None:
            return str(self.name)
        # Anything with a separator is a path to the loader.
        return self.path if "/" in self.path or self.path.endswith(".npz") else f"./{self.path}"

    def request(self, seed: int) -> DataRequest:
        """The same for a task's loader; ``seed`` draws the test part of data that have none."""
        return DataRequest(self.spec, self.directory, self.image_size, self.channels, seed)
