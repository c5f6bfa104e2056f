"""What a bundle says of a segmentation model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgenas.export.bundle.words import TaskWords
from edgenas.spaces.tensor import format_shape


def segmentation_words(
    image_shape: Sequence[int],
    ending: Sequence[int],
    labels: Sequence[str],
    preprocessing: Any,
    data_name: str,
) -> TaskWords:
    """The texts of a model from pictures to labels, or logits, of ``ending``'s shape. Its program draws them."""
    from edgenas.export.bundle.programs import mask_program

    image, mean, std = format_shape(tuple(image_shape)), list(preprocessing.mean), list(preprocessing.std)
    if len(ending) == 2:
        answer = f"It gives the number of a class in `labels.txt` for each of {format_shape(tuple(ending))} pixels"
    else:
        answer = f"It gives {format_shape(tuple(ending))} logits; the largest of a place is its class"
    return TaskWords(
        task="segmentation",
        title=f"Semantic segmentation: {image} pixels to {len(labels)} classes",
        use=f"""\
    pip install numpy ai-edge-litert pillow
    python run.py --image photo.png -o drawn.png   # the classes drawn over the picture; --mask writes the labels alone
    python run.py --verify                         # complete, unchanged, and answering as it did when it was made?

The file takes {image} values `(pixel / 255 - mean) / std`, with mean {mean} and standard deviation {std} per channel of
pixels from 0 to 255: as they are where its input tensor is float32, else quantized as that says. {answer}. `run.py`
does all of this.

Intended use: telling these classes apart in pictures like those of the data set below, on a small device.
""",
        limits=(
            f"Every pixel gets one of its {len(labels)} classes, also where none of them is.",
            f"The figures hold for pictures like those of {data_name}; for other cameras, light or places they are "
            "unknown\n  until they are tested. A mean over classes says little about a rare one: see each class.",
            "Do not use it where a wrong pixel can hurt somebody.",
        ),
        example="image",
        titles={"miou": "mean IoU", "pixel_accuracy": "pixel accuracy"},
        program=mask_program(),
    )
