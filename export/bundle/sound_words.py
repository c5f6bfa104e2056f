"""What a bundle says of a classifier of sounds."""

from __future__ import annotations

from collections.abc import Sequence

from edgenas.export.bundle.sound_preprocessing import SoundPreprocessing
from edgenas.export.bundle.words import TaskWords
from edgenas.spaces.tensor import format_shape

_STREAM_WORDS = """
`stream.tflite` is the same network in float32 for sounds without end. It takes the features of a few frames, and its
states: zeros at first, then what it has put out behind the logits, in the same order.
"""


def sound_words(
    feature_shape: Sequence[int],
    labels: Sequence[str],
    preprocessing: SoundPreprocessing,
    data_name: str,
    *,
    streams: bool = False,
) -> TaskWords:
    """The texts of a model from features of sounds to classes. Its program reads WAV files.

    ``streams``: there is a file that takes a few frames at a time.
    """
    from edgenas.export.bundle.programs import sound_program

    settings = preprocessing
    seconds = settings.samples / settings.sample_rate
    frame, hop = (1000 * count / settings.sample_rate for count in (settings.frame_samples, settings.hop_samples))
    shape = format_shape(tuple(feature_shape))
    kind = "MFCC" if settings.features == "mfcc" else "log-mel energies"
    stream = ""
    if streams:
        stream = "\n    python run.py --stream long.wav   # what is heard as the sound goes on"
    return TaskWords(
        task="audio_classification",
        title=f"Sound classifier: {shape} {kind} of {seconds:g} s to {len(labels)} classes",
        use=f"""\
    pip install numpy ai-edge-litert
    python run.py some.wav      # 16 bits, one channel, {settings.sample_rate} Hz; --json for programs{stream}
    python run.py --verify      # complete, unchanged, and answering as it did when it was made?

{_input_words(settings, shape, kind)}

Features are of frames of {frame:g} ms every {hop:g} ms, {settings.bands} bands on the mel scale from
{settings.low_hz:g} to {settings.high_hz:g} Hz, each coefficient less its mean and by its deviation (`metrics.json`,
preprocessing). The model gives one number (logit) for each class in `labels.txt`; the largest is the answer. `run.py`
does all of this.
{_STREAM_WORDS if streams else ""}
`model.h` is the model for microcontrollers, with labels and operators (left out above 4 MiB).

Intended use: telling these classes apart in sounds like those of the data set below, on a small device.
""",
        limits=(
            f"It always answers with one of its {len(labels)} classes, also for sounds that are none of them.",
            f"The accuracy holds for sounds like those of {data_name}; for other microphones, rooms, noise or speakers "
            "it is\n  unknown until it is tested.",
            "It was not tested how errors differ between groups of people, such as by accent, age or sex. Do not use "
            "it where a\n  wrong answer can hurt somebody.",
        ),
        example="sound",
        titles={"top1": "top-1"},
        program=sound_program(),
    )


def _input_words(settings: SoundPreprocessing, shape: str, kind: str) -> str:
    if settings.inside:
        return (
            f"`model.tflite` takes {settings.samples} samples from -1 to 1 (16-bit ones by 32,768) as real numbers, "
            f"and computes\n{shape} {kind} itself."
        )
    return (
        f"`model.tflite` takes {shape} {kind} of {settings.samples} samples: as they are where its input tensor is "
        "float32,\nelse quantized as that says."
    )
