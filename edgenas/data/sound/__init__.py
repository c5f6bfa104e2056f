"""Sounds with a class each: read from folders of WAV files and ``.npz`` files, checked, and changed at random."""

from edgenas.data.sound.loading import load_sounds
from edgenas.data.sound.sound_set import SoundExamples, SoundSet

__all__ = ["SoundExamples", "SoundSet", "load_sounds"]
