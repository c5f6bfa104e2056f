"""What tasks of one image input have in common: the data's form, the normalisation, and the random changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from edgenas.data.augmentation import Augmentation, augment
from edgenas.data.examples import Examples, Tree
from edgenas.export._tensorflow import tensorflow
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.tasks.task import Task


class ImageTask(Task):
    """Base of tasks whose only input is ``image``, uint8 NHWC before the normalisation."""

    example: ClassVar[str] = "image"
    input_hint: ClassVar[str] = "set image_size and channels of the data, or the space's input_shape"

    def fit(self, examples: Examples) -> Preprocessing:
        """Mean and standard deviation of every channel."""
        return Preprocessing.fit(examples.inputs["image"])

    def read_preprocessing(self, data: Mapping[str, Any]) -> Preprocessing:
        return Preprocessing.from_dict(data)

    def prepare(self, inputs: Mapping[str, np.ndarray], preprocessing: Preprocessing) -> dict[str, np.ndarray]:
        return {"image": preprocessing.apply(inputs["image"])}

    def prepare_tensors(self, inputs: Mapping[str, Any], preprocessing: Preprocessing) -> dict[str, Any]:
        return {"image": normalised(inputs["image"], preprocessing)}

    def augment(
        self, inputs: dict[str, np.ndarray], targets: Tree, augmentation: Augmentation, rng: np.random.Generator
    ) -> tuple[dict[str, np.ndarray], Tree]:
        """Changes that leave the targets as they are. Tasks whose targets lie in the picture change both."""
        return {"image": augment(inputs["image"], augmentation, rng)}, targets

    def pictures(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """The images themselves, where they are grey or colour."""
        return inputs["image"] if inputs["image"].shape[-1] in (1, 3) else None


def normalised(images: Any, preprocessing: Preprocessing) -> Any:
    """``Preprocessing.apply`` as TensorFlow ops, for a tensor of uint8 images."""
    tf = tensorflow()
    mean, std = np.array(preprocessing.mean), np.array(preprocessing.std)
    return tf.cast(images, tf.float32) * (1 / (255 * std)).astype(np.float32) - (mean / std).astype(np.float32)
