"""What a bundle says of a classifier of sounds."""

from __future__ import annotations

from collections.abc import Sequence

from edgenas.export.bundle.sound_preprocessing import SoundPreprocessing
from edgenas.export.bundle.words import TaskWords
from edgenas.spaces.tensor import format_shape


def sound_words(
    feature_shape: Sequence[int], labels: Sequence[str], preprocessing: SoundPreprocessing, data_name: str
) -> TaskWords:
    """The texts of a model from features of sounds to classes. Its program reads WAV files."""
    from edgenas.export.bundle.programs import sound_program

    settings = preprocessing
    seconds = settings.samples / settings.sample_rate
    frame, hop = (1000 * count / settings.sample_rate for count in (settings.frame_samples, settings.hop_samples))
    shape = format_shape(tuple(feature_shape))
    kind = "MFCC" if settings.features == "mfcc" else "log-mel energies"
    return TaskWords(
        task="audio_classification",
        title=f"Sound classifier: {shape} {kind} of {seconds:g} s to {len(labels)} classes",
        use=f"""\
    pip install numpy ai-edge-litert
    python run.py some.wav      # 16 bits, one channel, {settings.sample_rate} Hz; --json for programs
    python run.py --verify      # complete, unchanged, and answering as it did when it was made?

The file takes {shape} {kind} of {settings.samples} samples: frames of {frame:g} ms every
{hop:g} ms, {settings.bands} bands on the mel scale from {settings.low_hz:g} to {settings.high_hz:g} Hz, each
coefficient less its mean and by its deviation (`metrics.json`, preprocessing), quantized as its input tensor says. It
gives one number (logit) for each class in `labels.txt`; the largest is the answer. `run.py` does all of this.

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
