"""Sounds: what is read, what is refused and how that is said, splits by speaker, and the random changes."""

from __future__ import annotations

import shutil
import wave
from pathlib import Path

import numpy as np
import pytest

from edgenas.data.sound import load_sounds
from edgenas.data.sound.augmentation import SoundChanges, change_sounds, drawn_masks, noise_for, shifted
from edgenas.data.sound.generated import CLASSES, generated_tones
from edgenas.data.sound.remarks import remarks
from edgenas.data.sound.sound_set import NO_GROUP, held_out_groups
from edgenas.data.task_data import DataRequest
from edgenas.export.bundle.sound_features import log_mel, mel_weights, normalised
from edgenas.export.bundle.sound_preprocessing import SoundPreprocessing
from edgenas.spaces.errors import InputError

RATE = 1000


def write_wav(path: Path, samples=500, rate=RATE, channels=1, width=2, value=0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        kind = {1: np.uint8, 2: np.int16, 4: np.int32}[width]
        file.writeframes(np.full(samples * channels, value, kind).tobytes())
    return path


def load(path, **options):
    return load_sounds(DataRequest(str(path)), **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes, four training sounds of half a second of each, two test sounds."""
    for label, name in enumerate(("no", "yes")):
        for number in range(4):
            write_wav(tmp_path / "train" / name / f"s{number}_nohash_0.wav", value=100 * label + number)
        write_wav(tmp_path / "test" / name / "t_nohash_0.wav", value=7)
    return tmp_path


def test_folders_are_read_padded_and_cut(folder: Path) -> None:
    write_wav(folder / "train" / "no" / "long_nohash_1.wav", samples=2000, value=5)
    data = load(folder)
    sounds = data.train.sounds
    assert (data.classes, data.train.rate, sounds.shape) == (("no", "yes"), RATE, (9, RATE))
    assert sounds.dtype == np.int16
    assert (sounds[1] == np.repeat([0, 0], 500)).all()  # s0: silence
    assert (sounds[-1] == np.repeat([103, 0], 500)).all()
    assert (sounds[0] == 5).all()
    assert len(data.test) == 2
    short = load(folder, seconds=0.25)
    assert (short.train.sounds[-1] == 103).all()


def test_speakers_stay_on_one_side(folder: Path) -> None:
    data = load(folder)
    assert data.groups.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    train, validation = data.split(0.25, 0)
    found = [set(part.sounds[:, 0] % 100) for part in (train, validation)]
    assert len(validation) == 2
    assert not found[0] & found[1]


def test_a_validation_folder_is_taken(folder: Path) -> None:
    write_wav(folder / "val" / "yes" / "v.wav", value=9)
    write_wav(folder / "train" / "_background_noise_" / "hum.wav", samples=3000, value=50)
    data = load(folder)
    train, validation = data.split(0.5, 0)
    assert (len(train), validation.sounds[:, 0].tolist()) == (8, [9])
    assert data.classes == ("no", "yes")
    assert data.train.noise.shape[1] == RATE
    assert (data.train.noise == 50).all()


def test_without_a_test_part_speakers_are_held_out(folder: Path) -> None:
    shutil.rmtree(folder / "test")
    data = load(folder)
    assert len(data.test) == 2
    assert "whole speakers" in data.notes[0]
    assert not set(data.train.sounds[:, 0] % 100) & set(data.test.sounds[:, 0] % 100)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 1}, "8-bit samples, expected 16; convert it: ffmpeg"),
        ({"width": 4}, "32-bit samples, expected 16"),
        ({"channels": 2}, "2 channels, expected 1; convert it: ffmpeg"),
        ({"samples": 0}, "holds no samples"),
        ({"rate": 2000}, "2000 Hz, expected 1000; convert it: ffmpeg -i IN -ac 1 -ar 1000"),
    ],
)
def test_wrong_wav_files_get_a_line(folder: Path, options: dict, words: str) -> None:
    bad = write_wav(folder / "train" / "yes" / "z.wav", **options)
    with pytest.raises(InputError) as told:
        load(folder)
    assert str(told.value).startswith(f"{bad}: ")
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_damaged_files_get_a_line(folder: Path) -> None:
    bad = write_wav(folder / "train" / "yes" / "z.wav")
    whole = bad.read_bytes()
    for content, words in (
        (b"", "is empty"),
        (b"no sound at all", "not a readable WAV"),
        (whole[:20], "not a readable WAV"),
        (whole[:-100], "is cut off"),
        (whole.replace(b"\x01\x00\x01\x00", b"\x03\x00\x01\x00", 1), "unknown format: 3"),
    ):
        bad.write_bytes(content)
        with pytest.raises(InputError, match=rf"z\.wav: .*{words}"):
            load(folder)


def test_wrong_folders_get_a_line(folder: Path, tmp_path: Path) -> None:
    write_wav(folder / "test" / "maybe" / "a.wav")
    with pytest.raises(InputError, match="maybe: a class without training sounds"):
        load(folder)
    with pytest.raises(InputError, match="no such folder"):
        load(tmp_path / "none" / "x")
    shutil.rmtree(folder / "test" / "maybe")
    (folder / "train" / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no sounds; expected files ending in"):
        load(folder)
    with pytest.raises(InputError, match="image_size is for images"):
        load_sounds(DataRequest("generated_tones", image_size=(8, 8)))
    with pytest.raises(InputError, match="'nothing' not found: no --data-dir"):
        load_sounds(DataRequest("nothing"))


def arrays(**changes) -> dict:
    rng = np.random.default_rng(0)
    found = {
        "x_train": rng.integers(-900, 900, (12, 400)).astype(np.int16),
        "y_train": np.arange(12) % 2,
        "sample_rate": np.array(RATE),
        "class_names": np.array(["a", "b"]),
        **changes,
    }
    return {key: value for key, value in found.items() if value is not None}


def test_npz_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", **arrays(speaker_train=np.array([0, 1, 2, 65535] * 3, np.uint16)))
    data = load(tmp_path / "s.npz")
    assert data.train.sounds.shape[1] == RATE
    assert len(data.test) + len(data.train) == 12
    assert NO_GROUP in data.groups
    real = arrays()["x_train"] / 32767
    np.savez(tmp_path / "f.npz", **arrays(x_train=real, x_test=real[:2], y_test=np.array([0, 1])))
    assert (load(tmp_path / "f.npz").train.sounds[:, :400] == arrays()["x_train"]).all()


def test_mu_law_is_unpacked_as_documented(tmp_path: Path) -> None:
    packed = np.arange(-127, 128, dtype=np.int8)[None].repeat(4, 0)
    wanted = np.sign(packed[0]) * (256.0 ** (np.abs(packed[0] / 127.0)) - 1) / 255
    np.savez(tmp_path / "m.npz", **arrays(x_train=None, x_train_mulaw8=packed, y_train=np.array([0, 1, 0, 1])))
    found = load(tmp_path / "m.npz", seconds=0.255).train.sounds[0]
    np.testing.assert_allclose(found / 32767, wanted, atol=1 / 32767)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sample_rate": None}, "no key 'sample_rate'"),
        ({"sample_rate": np.array([1, 2])}, "'sample_rate' is"),
        ({"x_train": np.zeros((12, 4), np.int32)}, "'x_train' is int32; expected int16"),
        ({"x_train": np.full((12, 4), 3.5)}, "holds 3.5 .sound 0.; expected floats in"),
        ({"x_train": np.full((12, 4), np.nan)}, "holds nan"),
        ({"x_train": np.zeros(12, np.int16)}, "has shape"),
        ({"x_train": None}, "no key 'x_train'"),
        ({"y_train": np.arange(12) % 3}, "'y_train' holds 2 .sound 2.; there are 2 classes"),
        ({"y_train": np.zeros(5, np.int64)}, "'y_train' is int64 of shape"),
        ({"y_train": np.zeros(12, np.int64)}, "no training sound of class b"),
        ({"y_train": None}, "no key 'y_train'"),
        ({"speaker_train": np.zeros(3, np.int64)}, "'speaker_train' is"),
    ],
)
def test_wrong_npz_files_get_a_line(tmp_path: Path, changes: dict, words: str) -> None:
    np.savez(tmp_path / "s.npz", **arrays(**changes))
    with pytest.raises(InputError, match=words) as told:
        load(tmp_path / "s.npz")
    assert "s.npz" in str(told.value)


def test_groups_are_held_out_whole() -> None:
    rng = np.random.default_rng(1)
    groups = rng.integers(-1, 20, 400)
    held_out = held_out_groups(groups, rng.integers(0, 3, 400), 0.2, 0)
    assert 0.1 < held_out.mean() < 0.25
    assert not set(groups[held_out & (groups >= 0)]) & set(groups[~held_out & (groups >= 0)])


def test_remarks_tell_what_is_small_or_missing(folder: Path) -> None:
    said = " ".join(remarks(load(folder), 0.25, 0))
    assert "2 validation sounds" in said
    assert "1 of 8 training sounds hold zeros alone" in said


SETTINGS = {
    "sample_rate": 8000,
    "samples": 8000,
    "frame_samples": 320,
    "hop_samples": 160,
    "fft_samples": 512,
    "bands": 40,
    "low_hz": 20.0,
    "high_hz": 4000.0,
}


def test_features_are_those_of_tf_signal() -> None:
    import tensorflow as tf

    sounds = generated_tones(train=5, test=5).train.sounds
    weights = tf.signal.linear_to_mel_weight_matrix(40, 257, 8000, 20.0, 4000.0)
    np.testing.assert_allclose(mel_weights(8000, 512, 40, 20.0, 4000.0), weights, atol=1e-5)
    spectrum = tf.abs(tf.signal.stft(sounds / np.float32(32768), 320, 160, 512))
    wanted = tf.math.log(spectrum @ weights + 1e-6)
    energies = log_mel(sounds, SETTINGS)
    assert energies.shape == (5, 49, 40)
    np.testing.assert_allclose(energies, wanted, atol=2e-3)
    mfcc = tf.signal.mfccs_from_log_mel_spectrograms(wanted)[..., :10]
    plain = SETTINGS | {"features": "mfcc", "coefficients": 10, "mean": [0.0] * 10, "std": [1.0] * 10}
    # tf.signal scales by 1 / sqrt(2 * bands) a DCT-II that has a factor of 2.
    np.testing.assert_allclose(normalised(energies, plain)[..., 0], mfcc, atol=5e-3)


def test_features_are_fitted_and_read_back() -> None:
    sounds = generated_tones(train=20, test=5).train.sounds
    found = SoundPreprocessing("log_mel", coefficients=40, **SETTINGS).fitted(sounds)
    values = found.apply(sounds)
    assert values.shape == (20, *found.shape) == (20, 49, 40, 1)
    np.testing.assert_allclose(values.mean(axis=(0, 1, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(values.std(axis=(0, 1, 3)), 1, atol=1e-3)
    assert SoundPreprocessing.from_dict(found.to_dict()) == found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"high_hz": 5000.0}, "do not fit sounds of 8000 Hz"),
        ({"samples": 100}, "does not fit"),
        ({"bands": 200, "coefficients": 200}, "too many for a transform"),
        ({"features": "wavelets"}, "features must be one of"),
    ],
)
def test_settings_that_do_not_fit(changes: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        SoundPreprocessing(**{"features": "log_mel", "coefficients": 40, **SETTINGS, **changes})


def test_masks_blank_a_stretch_with_the_mean_of_each_band() -> None:
    sounds = generated_tones(train=5, test=5).train.sounds[:4]
    settings = SoundPreprocessing("log_mel", coefficients=40, **SETTINGS)
    plain = settings.apply(sounds)[..., 0]
    masks = np.tile(np.float32([0.5, 0.75, 0.0, 0.25]), (4, 1))
    masked = settings.apply(sounds, masks)[..., 0]
    mean = np.broadcast_to(plain.mean(axis=1, keepdims=True), plain.shape)
    np.testing.assert_allclose(masked[:, 25:36], mean[:, 25:36], atol=1e-4)
    np.testing.assert_allclose(masked[:, :, :10], mean[:, :, :10], atol=1e-4)
    np.testing.assert_array_equal(masked[:, :24, 10:], plain[:, :24, 10:])


def test_random_changes() -> None:
    rng = np.random.default_rng(0)
    sounds = np.tile(np.arange(1, 101, dtype=np.int16), (50, 1))
    moved = shifted(sounds, 0.1, np.random.default_rng(0))
    moves = {int(row[50]) - 51 for row in moved}
    assert min(moves) < -5
    assert max(moves) > 5
    assert all(abs(move) <= 10 for move in moves)
    changes = SoundChanges(0.0, 0.5, 0.5, 0.2, 0.3)
    noisy = change_sounds(sounds, None, changes, rng)
    changed = (noisy != sounds).any(axis=1)
    assert 0.2 < changed.mean() < 0.8
    assert (sounds[0] == np.arange(1, 101)).all()
    for given in (None, rng.integers(-50, 50, (3, 400)).astype(np.int16)):
        level = np.sqrt((noise_for(20, 400, given, rng) ** 2).mean(axis=1))
        np.testing.assert_allclose(level, 32767 / 4, rtol=1e-3)
    masks = drawn_masks(200, changes, rng)
    assert masks is not None
    assert (masks >= 0).all()
    assert (masks <= 1).all()
    assert (masks[:, 1] - masks[:, 0]).max() <= 0.2
    assert drawn_masks(3, SoundChanges(0.1, 0.1, 1.0, 0.0, 0.0), rng) is None
    off = SoundChanges(0.0, 0.0, 0.0, 0.0, 0.0)
    assert change_sounds(sounds, None, off, rng) is sounds


def test_generated_tones_are_the_same_every_time() -> None:
    one, two = (generated_tones(train=10, test=5) for _ in range(2))
    assert one.train.checksum() == two.train.checksum()
    assert one.classes == CLASSES
    assert one.train.noise is not None
    assert one.train.noise.shape[0] == 2  # the two silences
