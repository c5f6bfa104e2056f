"""What a bundle says of its task: the sentences of the model card, the titles of its figures, and ``run.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.spaces.tensor import format_shape


@dataclass(frozen=True)
class Described:
    """What the metadata inside a model file say: of images of 1 or 3 channels, told apart by labels."""

    what: str
    labels: tuple[str, ...]
    preprocessing: Preprocessing


@dataclass(frozen=True)
class TaskWords:
    """Texts of one task about one model. All but the first two have a general form.

    Attributes:
        task: its registered name.
        title: one sentence without a full stop: what the model is, from what to what.
        use: Markdown that says how the model is used; a general text when empty.
        limits: what the model cannot do, a sentence each.
        example: what one example is called, such as ``image``.
        titles: of figures by name, as people write them: ``{"top1": "top-1"}``.
        program: the text of ``run.py``; None for the program that takes arrays.
    """

    task: str
    title: str
    use: str = ""
    limits: tuple[str, ...] = ()
    example: str = "example"
    titles: Mapping[str, str] = field(default_factory=dict)
    program: str | None = None

    def figure(self, name: str) -> str:
        """The title of a figure."""
        return self.titles.get(name, name)


def classifier_words(
    image_shape: Sequence[int], labels: Sequence[str], preprocessing: Any, data_name: str
) -> TaskWords:
    """The texts of an image classifier. Its program is the one that reads pictures."""
    from edgenas.export.bundle.programs import picture_program

    mean, std = list(preprocessing.mean), list(preprocessing.std)
    return TaskWords(
        task="classification",
        title=f"Image classifier: {format_shape(tuple(image_shape))} pixels to {len(labels)} classes",
        use=f"""\
    pip install numpy ai-edge-litert pillow
    python run.py --image photo.png     # --camera for one frame of a camera (needs opencv-python), --json for programs
    python run.py --verify              # complete, unchanged, and answering as it did when it was made?

The file takes {format_shape(tuple(image_shape))} values `(pixel / 255 - mean) / std`, with mean {mean} and standard
deviation {std} per channel of pixels from 0 to 255: as they are where its input tensor is float32, else quantized as
that says. It gives one number (logit) for each class in `labels.txt`; the largest is the answer. `run.py` does all of
this. Labels and normalisation are also inside `model.tflite`, as TFLite metadata.

`model.h` is the model for microcontrollers, with normalisation, labels and operators (left out above 4 MiB).
`Classifier.kt` is a class for Android apps (for float32 and int8 models).

Intended use: telling these classes apart in images like those of the data set below, on a small device.
""",
        limits=(
            f"It always answers with one of its {len(labels)} classes, also for images that show none of them.",
            f"The accuracy holds for images like those of {data_name}; for other cameras, light or framing it is "
            "unknown\n  until it is tested.",
            "It was not tested how errors differ between groups of people. Do not use it where a wrong answer can "
            "hurt\n  somebody.",
        ),
        example="image",
        titles={"top1": "top-1"},
        program=picture_program(),
    )
