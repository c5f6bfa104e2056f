"""What a bundle says of a detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgenas.export.bundle.words import TaskWords
from edgenas.spaces.tensor import format_shape


def detection_words(
    image_shape: Sequence[int], anchors: int, labels: Sequence[str], preprocessing: Any, data_name: str
) -> TaskWords:
    """The texts of a model from pictures to boxes of so many anchors. Its program draws them."""
    from edgenas.export.bundle.programs import box_program

    image, mean, std = format_shape(tuple(image_shape)), list(preprocessing.mean), list(preprocessing.std)
    return TaskWords(
        task="detection",
        title=f"Object detection: {image} pixels to boxes of {len(labels)} classes",
        use=f"""\
    pip install numpy ai-edge-litert pillow
    python run.py --image photo.png -o drawn.png   # a box around each thing; --score 0.5, --json for programs
    python run.py --verify                         # complete, unchanged, and answering as it did when it was made?

The file takes {image} values `(pixel / 255 - mean) / std`, with mean {mean} and standard deviation {std} per channel of
pixels from 0 to 255: as they are where its input tensor is float32, else quantized as that says. Pictures are resized
to that size, also where it distorts them. What it gives stands under `outputs` of `metrics.json`:

- `boxes` ({anchors}, 4) and `classes` ({anchors}, {len(labels)}): encodings and logits of {anchors} anchors, which \
`run.py`
  decodes with the numbers under `preprocessing.anchors` and `decoding`;
- or `detection_boxes`, `detection_classes`, `detection_scores` and `num_detections`: the operator
  `TFLite_Detection_PostProcess` has done that in the file. Boxes are top, left, bottom, right as shares of the sides.

Intended use: finding things of these classes in pictures like those of the data set below, on a small device.
""",
        limits=(
            f"It knows {len(labels)} classes; other things are not found, or taken for one of them.",
            "What is much smaller or larger than the boxes that it learned is easily missed.",
            f"The figures hold for pictures like those of {data_name}; for other cameras, light or places they are "
            "unknown\n  until they are tested. A mean over classes says little about a rare one: see each class.",
            "Errors may differ between groups of people; they are told only where the annotations name groups. Do not "
            "use it\n  where a missed or invented box can hurt somebody.",
        ),
        example="image",
        titles={"map": "mAP", "ap50": "AP50"},
        program=box_program(),
    )
