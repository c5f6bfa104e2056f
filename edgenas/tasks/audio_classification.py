"""Classification of sounds: one label per sound, softmax cross-entropy, top-1 accuracy on MFCC or log-mel energies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgenas.data.augmentation import Augmentation
from edgenas.data.examples import Examples
from edgenas.data.sound import SoundExamples, SoundSet, load_sounds
from edgenas.data.sound.augmentation import SoundChanges, change_sounds, drawn_masks
from edgenas.data.sound.remarks import remarks
from edgenas.data.task_data import DataRequest
from edgenas.export.bundle.sound_preprocessing import FEATURES, SoundPreprocessing
from edgenas.export.bundle.sound_words import sound_words
from edgenas.export.bundle.words import TaskWords
from edgenas.export.streaming import is_causal, streaming_file
from edgenas.spaces.block import Block
from edgenas.spaces.blocks import Features
from edgenas.spaces.errors import InputError
from edgenas.spaces.network import Network
from edgenas.spaces.tensor import Shape
from edgenas.tasks.class_labels import ClassLabelTask
from edgenas.tasks.registry import register_task
from edgenas.tasks.spectrograms import spectrogram_pictures

#: Of MFCC, as published for keyword spotting (arXiv 1711.07128).
_COEFFICIENTS = 10


@register_task("audio_classification")
@dataclass(frozen=True)
class AudioClassification(ClassLabelTask):
    """Targets are labels ``(N,)``; the network is given features ``(frames, coefficients, 1)`` and gives logits.

    The defaults are the published settings of keyword spotting: 49 frames of 40 ms every 20 ms in a second, 40 mel
    bands, of which MFCC keep 10 coefficients (arXiv 1711.07128).

    Attributes:
        features: ``mfcc`` or ``log_mel``.
        seconds: length of a sound; longer ones are cut to their middle, shorter ones padded.
        sample_rate: that all sounds must have; None: that of the first.
        frame_ms: length of a frame.
        hop_ms: from one frame to the next.
        bands: of the mel scale.
        coefficients: of MFCC.
        low_hz: where the first band begins.
        high_hz: where the last one ends, at most half of the sample rate.
        time_shift: of training sounds, by up to this share of their length; 0: off.
        noise: largest volume of noise that is mixed in, as a share of the full scale; 0: off.
        noise_share: share of the training sounds that get noise.
        time_mask: longest stretch that is blanked, as a share of the length; 0: off.
        band_mask: most bands that are blanked, as a share of all; 0: off.
        inside: whether the shipped file computes the features itself, on real numbers; it then takes samples.
    """

    features: str = "mfcc"
    seconds: float = 1.0
    sample_rate: int | None = None
    frame_ms: float = 40.0
    hop_ms: float = 20.0
    bands: int = 40
    coefficients: int = _COEFFICIENTS
    low_hz: float = 20.0
    high_hz: float = 4000.0
    time_shift: float = 0.1
    noise: float = 0.1
    noise_share: float = 0.8
    time_mask: float = 0.0
    band_mask: float = 0.0
    inside: bool = False

    metric: ClassVar[str] = "top1"
    example: ClassVar[str] = "sound"
    input_hint: ClassVar[str] = (
        "set features, frame_ms, hop_ms or coefficients in task_options, or the space's input_shape"
    )

    def __post_init__(self) -> None:
        if self.features not in FEATURES:
            raise ValueError(f"features must be one of {', '.join(FEATURES)}, not {self.features!r}")
        for name in ("seconds", "frame_ms", "hop_ms", "low_hz", "high_hz"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 < value <= 1e5:
                raise ValueError(f"{name} must be a number above 0, not {value!r}")
        for name in ("time_shift", "noise", "noise_share", "time_mask", "band_mask"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value <= 1:
                raise ValueError(f"{name} must be a share from 0 to 1, not {value!r}")
        for name in ("bands", "coefficients", *(("sample_rate",) if self.sample_rate is not None else ())):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number above 0, not {value!r}")
        if self.features == "mfcc" and self.coefficients > self.bands:
            raise ValueError(f"coefficients must be at most the {self.bands} bands, not {self.coefficients}")

        if not isinstance(self.inside, bool):
            raise ValueError(f"inside must be true or false, not {self.inside!r}")

    def for_devices(self, take_reals: bool) -> AudioClassification:
        if self.inside and not take_reals:
            raise InputError(
                "task_options.inside: a device of the recipe computes on integers alone, features need real numbers; "
                "leave it out: run.py computes them"
            )
        return self

    # Data ----------------------------------------------------------------------------------------------------------

    def load(self, request: DataRequest) -> SoundSet:
        data = load_sounds(request, seconds=self.seconds, rate=self.sample_rate)
        self._plain(data.train)  # settings that do not fit the sounds are told here
        return data

    def remarks(self, data: SoundSet, validation_fraction: float, seed: int) -> tuple[str, ...]:  # type: ignore[override]
        return remarks(data, validation_fraction, seed)

    def labels(self, data: SoundSet) -> tuple[str, ...]:  # type: ignore[override]
        return data.classes

    def space_arguments(self, data: SoundSet) -> Mapping[str, Any]:  # type: ignore[override]
        return {"input_shape": self._plain(data.train).shape, "classes": len(data.classes)}

    def inputs(self, data: SoundSet) -> Mapping[str, Shape]:  # type: ignore[override]
        plain = self._plain(data.train)
        return {"sound": (plain.samples,)} if self.inside else {"features": plain.shape}

    def beginning(self, data: SoundSet) -> Block | None:  # type: ignore[override]
        """From samples to features, where the file computes them."""
        if not self.inside:
            return None
        plain = self._plain(data.train)
        return Features(
            rate=plain.sample_rate,
            frame=plain.frame_samples,
            hop=plain.hop_samples,
            transform=plain.fft_samples,
            bands=plain.bands,
            coefficients=plain.coefficients if plain.features == "mfcc" else 0,
            low_hz=plain.low_hz,
            high_hz=plain.high_hz,
        )

    def outputs(self, data: SoundSet) -> Mapping[str, Shape]:  # type: ignore[override]
        return {"logits": (len(data.classes),)}

    # What a network eats -------------------------------------------------------------------------------------------

    def _plain(self, examples: Any) -> SoundPreprocessing:
        """The settings for these sounds, not fitted."""
        rate, samples = examples.rate, examples.inputs["sound"].shape[1]
        frame, hop = (max(1, round(ms * rate / 1000)) for ms in (self.frame_ms, self.hop_ms))
        return SoundPreprocessing(
            features=self.features,
            sample_rate=rate,
            samples=samples,
            frame_samples=frame,
            hop_samples=hop,
            fft_samples=2 ** math.ceil(math.log2(frame)),
            bands=self.bands,
            coefficients=self.coefficients if self.features == "mfcc" else self.bands,
            low_hz=self.low_hz,
            high_hz=self.high_hz,
            inside=self.inside,
        )

    def fit(self, examples: Examples) -> SoundPreprocessing:
        """Mean and standard deviation of every coefficient."""
        assert isinstance(examples, SoundExamples)
        return self._plain(examples).fitted(examples.sounds)

    def read_preprocessing(self, data: Mapping[str, Any]) -> SoundPreprocessing:
        return SoundPreprocessing.from_dict(data)

    def prepare(self, inputs: Mapping[str, np.ndarray], preprocessing: SoundPreprocessing) -> dict[str, np.ndarray]:
        return {"features": preprocessing.apply(inputs["sound"], inputs.get("masks"))}

    def file_inputs(self, inputs: Mapping[str, np.ndarray], preprocessing: SoundPreprocessing) -> dict[str, np.ndarray]:
        if not preprocessing.inside:
            return self.prepare(inputs, preprocessing)
        return {"sound": preprocessing.samples_of(inputs["sound"])}

    def constants(self, preprocessing: SoundPreprocessing) -> Mapping[str, tuple[np.ndarray, ...]]:
        return {Features.kind: (np.array(preprocessing.mean), np.array(preprocessing.std))}

    # Training ------------------------------------------------------------------------------------------------------

    def augment(
        self, inputs: dict[str, np.ndarray], targets: np.ndarray, augmentation: Augmentation, rng: np.random.Generator
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Moved, with noise, and with what to blank beside it; ``augmentation.shift`` of 0 turns all of that off."""
        sounds = inputs["sound"]
        if not augmentation.shift:
            return {"sound": sounds}, targets
        changes = SoundChanges(self.time_shift, self.noise, self.noise_share, self.time_mask, self.band_mask)
        changed = {"sound": change_sounds(sounds, inputs.get("noise"), changes, rng)}
        masks = drawn_masks(len(sounds), changes, rng)
        return (changed if masks is None else {**changed, "masks": masks}), targets

    # Shipping ------------------------------------------------------------------------------------------------------

    def pictures(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """The waveform above the spectrogram of each sound."""
        return spectrogram_pictures(inputs["sound"])

    def further_files(self, network: Network, model: Any) -> Mapping[str, bytes]:
        """A float32 file that takes a few frames at a time, of causal networks."""
        if not is_causal(network.learned):
            return {}
        return {"stream.tflite": streaming_file(network.learned, model)}

    def words(self, data: SoundSet, network: Network, preprocessing: SoundPreprocessing) -> TaskWords:  # type: ignore[override]
        streams = is_causal(network.learned)
        return sound_words(network.learned.inputs[0][1], data.classes, preprocessing, data.name, streams=streams)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
