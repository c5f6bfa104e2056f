"""Names what is heard in WAV files with the model in this folder.

    python run.py some.wav [more.wav ...] [--top K] [--json]
    python run.py --stream long.wav      what is heard as a sound goes on, where there is a stream.tflite
    python run.py --verify               whether this folder is complete, unchanged, and answers as it did when made

Needs NumPy and one of ai-edge-litert, tflite-runtime or TensorFlow. A file has 16 bits, one channel and the rate in
metrics.json; of a longer one the middle is taken. Exit codes: 0 done, 1 it did not work, 2 a file is wrong.
"""

# ruff: noqa: B905 (a target may have Python 3.7)

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import numpy as np

from edgenas.export.bundle.running import HERE, add_options, answers_of, refuse, start, test_values
from edgenas.export.bundle.sound_features import FULL_SCALE, log_mel, normalised
from edgenas.export.bundle.sounds import read_sound  # in a bundle, the texts of these files stand here


def logits_of(model: Any, features: np.ndarray) -> np.ndarray:
    """The answer to the features of one sound."""
    return np.asarray(answers_of(model, [features])[0])


def features_of(sound: np.ndarray, settings: dict) -> np.ndarray:
    """What the model takes of one sound: its samples where it computes the features itself."""
    if settings.get("inside"):
        return sound.astype(np.float32) * np.float32(1 / FULL_SCALE)
    return normalised(log_mel(sound[np.newaxis], settings), settings)[0]


def shares_of(logits: np.ndarray) -> np.ndarray:
    """The probability of every class."""
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def answers_of_stream(model: Any, sound: np.ndarray, settings: dict) -> list:
    """(seconds, logits) after every call, once as much was heard as of a whole sound."""
    inputs, outputs = model.get_input_details(), model.get_output_details()
    step, hop, frame = int(inputs[0]["shape"][1]), settings["hop_samples"], settings["frame_samples"]
    states = [np.zeros(end["shape"], np.float32) for end in inputs[1:]]
    sound = np.pad(sound, (0, max(0, settings["samples"] - len(sound))))
    found = []
    for first in range(0, (len(sound) - frame) // hop + 1, step):
        piece = sound[first * hop : (first + step - 1) * hop + frame]
        piece = np.pad(piece, (0, (step - 1) * hop + frame - len(piece)))
        features = normalised(log_mel(piece[np.newaxis], settings), settings)
        for end, values in zip(inputs, [features, *states]):
            model.set_tensor(end["index"], values.reshape(end["shape"]).astype(np.float32))
        model.invoke()
        logits, *states = [model.get_tensor(end["index"]).copy() for end in outputs]
        heard = min(len(sound), first * hop + frame)
        if heard + step * hop > settings["samples"]:
            found.append((heard / settings["sample_rate"], logits[0].astype(np.float64)))
    return found


def test_answer(model: Any, metrics: dict) -> np.ndarray:
    shape = tuple(int(side) for side in model.get_input_details()[0]["shape"][1:])
    return logits_of(model, test_values(shape, True))


def best_of(shares: np.ndarray, labels: list, top: int) -> list:
    best = np.argsort(-shares, kind="stable")[: max(1, top)]
    return [{"label": labels[index], "probability": round(float(shares[index]), 6)} for index in best]


def follow(arguments: argparse.Namespace, model: Any, metrics: dict, labels: list) -> int:
    settings = metrics["preprocessing"]
    try:
        sound = read_sound(arguments.stream, settings["sample_rate"], None)
    except (OSError, ValueError, MemoryError) as error:
        refuse(arguments.stream, error)
        return 2
    found = []
    for seconds, logits in answers_of_stream(model, sound, settings):
        classes = best_of(shares_of(logits), labels, arguments.top if arguments.json else 1)
        found.append({"seconds": round(seconds, 3), "classes": classes})
        for entry in [] if arguments.json else classes:
            print("{:.2f} s\t{}\t{:.4f}".format(seconds, entry["label"], entry["probability"]))
    if arguments.json:
        print(json.dumps(found, indent=2))
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Name what is heard in WAV files with the model in this folder.")
    parser.add_argument("sounds", metavar="FILE.wav", nargs="*", help="16 bits, one channel")
    parser.add_argument("--stream", metavar="FILE.wav", help="a sound of any length, a few frames at a time")
    parser.add_argument("--top", type=int, default=3, help="how many classes to print (3)")
    add_options(parser)
    arguments = parser.parse_args()
    if not arguments.sounds and not arguments.verify and not arguments.stream:
        parser.error("name a .wav file, or --stream, or --verify")
    return arguments


def work(arguments: argparse.Namespace, model: Any, metrics: dict, labels: list) -> int:
    settings = metrics["preprocessing"]
    status = 0
    found: list = []
    for name in arguments.sounds:
        try:
            sound = read_sound(name, settings["sample_rate"], settings["samples"])
        except (OSError, ValueError, MemoryError) as error:
            refuse(name, error)
            status = 2
            continue
        classes = best_of(shares_of(logits_of(model, features_of(sound, settings))), labels, arguments.top)
        found.append({"sound": name, "classes": classes})
        for entry in [] if arguments.json else classes:
            print("{}\t{}\t{:.4f}".format(name, entry["label"], entry["probability"]))
    if arguments.json:
        print(json.dumps(found, indent=2))
    return status


def main() -> int:
    arguments = parse()
    if not arguments.stream or arguments.verify:
        return start(arguments, work, test_answer)
    arguments.model = HERE / "stream.tflite"
    if not arguments.model.is_file():
        print("there is no stream.tflite: the network looks at later frames; name a .wav file instead", file=sys.stderr)
        return 1
    return start(arguments, follow, test_answer)


if __name__ == "__main__":
    sys.exit(main())
