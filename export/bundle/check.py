"""What a bundle consists of, and whether a folder is one: complete, unchanged, loadable, and true to itself."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from edgenas.export.bundle.c_header import header_bytes
from edgenas.export.bundle.picture_input import test_pixels
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.bundle.run_boxes import condensed as condensed_boxes
from edgenas.export.bundle.run_masks import condensed
from edgenas.export.bundle.run_table import features_of, test_row
from edgenas.export.bundle.running import test_values
from edgenas.export.bundle.table_preprocessing import TablePreprocessing
from edgenas.export.quantization import get_recipe, recipe_names
from edgenas.export.tflite.metadata import read_metadata
from edgenas.export.tflite.post_processing import ends_in_boxes, without_post_processing
from edgenas.export.tflite.reader import ModelIO, check_integer, model_io
from edgenas.export.verify import tflite_outputs
from edgenas.spaces.errors import EdgeNASError, InputError
from edgenas.spaces.network import Network
from edgenas.spaces.yaml_reading import parse_document

#: Every file of a bundle. All but ``metrics.json`` have their SHA-256 in ``metrics.json``.
FILES = ("model.tflite", "architecture.yaml", "labels.txt", "metrics.json", "README.md", "run.py")
#: Files that a bundle has where they make sense: the header of a model that is small enough, the classes for Android, a
#: model of sounds that takes a few frames at a time.
OPTIONAL_FILES = ("model.h", "Classifier.kt", "Detector.kt", "stream.tflite")
#: Models for devices that take the same network in other operators, where several devices need that.
DEVICE_MODELS = "model-*.tflite"
#: Files that a board needs beside its model: what its vendor's compiler made, and the settings that it was made with.
BOARD_FILES = ("model*_vela.tflite", "model*_vela.json")
#: Keys of ``metrics.json`` that other programs rely on.
METRICS_KEYS = (
    "latency_ms",
    "predicted",
    "budget",
    "size_bytes",
    "params",
    "macs",
    "quantization",
    "provenance",
    "preprocessing",
    "checksums",
)


def file_checksum(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def metrics_checksum(metrics: Mapping[str, Any]) -> str:
    """SHA-256 of ``metrics.json`` itself: of its JSON with sorted keys and without ``checksums``."""
    rest = {key: value for key, value in metrics.items() if key != "checksums"}
    return file_checksum(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode())


def verify_bundle(folder: Path | str) -> list[str]:
    """What is wrong with a bundle, one line each; empty when it is good.

    Checks that the files are there and unchanged since they were written, that the model loads and runs and is as
    integer as its quantization promises, and that labels, architecture and metrics describe this model. Checksums
    find damage and carelessness, not a forger, who could compute them anew.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return [f"{folder}: {'a file, not the folder of a bundle' if folder.exists() else 'no such folder'}"]
    contents: dict[str, bytes] = {}
    problems = []
    for name in bundle_files(folder):
        try:
            contents[name] = (folder / name).read_bytes()
        except OSError as error:
            if name in FILES:
                problems.append(f"{name}: {'missing' if isinstance(error, FileNotFoundError) else error.strerror}")
    metrics = _read_metrics(contents, problems)
    checksums = metrics.get("checksums")
    if isinstance(checksums, dict):
        problems += [f"{name}: missing" for name in checksums if name not in (*FILES, *contents)]
    problems += _check_checksums(contents, metrics)
    if "model.tflite" in contents:
        problems += _check_model(contents, metrics)
    for name in contents:
        if fnmatch(name, DEVICE_MODELS) and not fnmatch(name, BOARD_FILES[0]):
            problems += _check_device_model(name, contents, metrics)
    files = metrics.get("files")
    named = files.values() if isinstance(files, dict) else ()
    problems += [f"metrics.json: files names {name}, which is not there" for name in named if name not in contents]
    return problems


def bundle_files(folder: Path) -> tuple[str, ...]:
    """Names of everything that a bundle in this folder may consist of."""
    patterns = (DEVICE_MODELS, *BOARD_FILES)
    return (*FILES, *OPTIONAL_FILES, *sorted({path.name for each in patterns for path in folder.glob(each)}))


def _read_metrics(contents: Mapping[str, bytes], problems: list[str]) -> Mapping[str, Any]:
    if "metrics.json" not in contents:
        return {}
    try:
        metrics = json.loads(contents["metrics.json"])
    except ValueError as error:
        problems.append(f"metrics.json: not JSON ({error})")
        return {}
    if not isinstance(metrics, dict):
        problems.append(f"metrics.json: expected an object, found {type(metrics).__name__}")
        return {}
    problems += [f"metrics.json: {problem}" for problem in metrics_problems(metrics)]
    return metrics


def metrics_problems(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Keys of a ``metrics.json`` that are missing or hold what cannot be."""
    yield from (f"the key {key!r} is missing" for key in METRICS_KEYS if key not in metrics)
    yield from _figure_problems(metrics)
    top1 = metrics.get("top1", {})
    if not isinstance(top1, dict):
        yield f"top1 must be an object, not {top1!r}"
        top1 = {}
    for key in ("float", "tflite"):
        if "top1" in metrics and not (_is_number(top1.get(key)) and 0 <= top1[key] <= 1):
            yield f"top1.{key} must be between 0 and 1, not {top1.get(key)!r}"
    if "top1" in metrics and not _is_count(top1.get("test_images")):
        yield f"top1.test_images must be a whole number above 0, not {top1.get('test_images')!r}"
    for key in ("size_bytes", "params", "macs"):
        if key in metrics and not _is_count(metrics[key]):
            yield f"{key} must be a whole number above 0, not {metrics[key]!r}"
    for key in ("latency_ms", "predicted", "budget", "provenance", "checksums"):
        if key in metrics and not isinstance(metrics[key], dict):
            yield f"{key} must be an object, not {metrics[key]!r}"
    yield from _latency_problems(metrics)
    if "quantization" in metrics and not (isinstance(metrics["quantization"], str) and metrics["quantization"]):
        yield f"quantization must be the name of a recipe, not {metrics['quantization']!r}"
    if "preprocessing" in metrics and not isinstance(metrics["preprocessing"], dict):
        yield f"preprocessing must be an object, not {metrics['preprocessing']!r}"
    elif "preprocessing" in metrics and _of_images(metrics):
        try:
            Preprocessing.from_dict(metrics["preprocessing"])
        except InputError as error:
            yield str(error)


def _of_images(metrics: Mapping[str, Any]) -> bool:
    """Whether the only input is a picture that is normalised by channel: the test picture is prepared so, too."""
    if metrics.get("task") in (None, "classification"):  # None: written before there were other tasks
        return True
    preprocessing = metrics.get("preprocessing")
    if not isinstance(preprocessing, Mapping):
        return False
    return {"mean", "std"} == set(preprocessing) or (metrics.get("task") == "detection" and "mean" in preprocessing)


def _is_table(metrics: Mapping[str, Any]) -> bool:
    """Whether the file takes rows of raw numbers."""
    preprocessing = metrics.get("preprocessing")
    return isinstance(preprocessing, Mapping) and "columns" in preprocessing


def _has_real_ends(metrics: Mapping[str, Any]) -> bool:
    """Whether the file prepares its input itself, on real numbers, before it computes on integers."""
    preprocessing = metrics.get("preprocessing")
    return isinstance(preprocessing, Mapping) and bool(preprocessing.get("inside"))


def _figure_problems(metrics: Mapping[str, Any]) -> Iterator[str]:
    """The task's metrics; bundles from before there were tasks have ``top1`` alone."""
    if "metrics" not in metrics:
        if "top1" not in metrics:
            yield "the key 'metrics' is missing"
        return
    found, primary = metrics["metrics"], metrics.get("metric")
    for key in ("float", "tflite"):
        values = found.get(key) if isinstance(found, dict) else None
        if not isinstance(values, dict) or not all(_is_number(v) for v in values.values()):
            yield f"metrics.{key} must hold finite numbers by name, not {values!r}"
        elif primary in values and not 0 <= values[primary] <= 1:
            yield f"metrics.{key}.{primary} must be between 0 and 1, not {values[primary]!r}"
        elif primary not in values:
            yield f"metrics.{key} lacks the primary metric {primary!r}"
    if not _is_count(metrics.get("test_examples")):
        yield f"test_examples must be a whole number above 0, not {metrics.get('test_examples')!r}"


def _latency_problems(metrics: Mapping[str, Any]) -> Iterator[str]:
    measured, predicted = metrics.get("latency_ms"), metrics.get("predicted")
    for device, statistics in measured.items() if isinstance(measured, dict) else ():
        for key in ("min", "median"):
            value = statistics.get(key) if isinstance(statistics, dict) else None
            if not (_is_number(value) and value > 0):
                yield f"latency_ms.{device}.{key} must be a number of ms above 0, not {value!r}"
        provenance = metrics.get("provenance")
        if isinstance(provenance, dict) and device not in provenance:
            yield f"provenance says nothing about {device}, for which there is a latency"
    for device, cost in predicted.items() if isinstance(predicted, dict) else ():
        value = cost.get("latency_ms") if isinstance(cost, dict) else None
        if not (_is_number(value) and value > 0):
            yield f"predicted.{device}.latency_ms must be a number of ms above 0, not {value!r}"


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _check_checksums(contents: Mapping[str, bytes], metrics: Mapping[str, Any]) -> Iterator[str]:
    expected = metrics.get("checksums")
    if not isinstance(expected, dict):
        return
    for name in contents:
        found = metrics_checksum(metrics) if name == "metrics.json" else file_checksum(contents[name])
        if name not in expected:
            yield f"{name}: metrics.json holds no checksum for it"
        elif found != expected[name]:
            yield f"{name}: changed since the bundle was written (SHA-256 {found[:12]}, not {expected[name]!s:.12})"


def _check_model(contents: Mapping[str, bytes], metrics: Mapping[str, Any]) -> Iterator[str]:
    model = contents["model.tflite"]
    try:
        ends = model_io(model)
        classes = _classes(ends.outputs[0].shape, metrics)
        answer = run_self_test(model, metrics)["logits"]
        metadata = read_metadata(model)
    except (EdgeNASError, IndexError) as error:
        yield f"model.tflite: cannot be run: {error}"
        return
    yield from _check_answer(answer, metrics.get("self_test"))
    if "model.h" in contents:
        yield from _check_header(contents["model.h"], model)
    if _is_count(metrics.get("size_bytes")) and metrics["size_bytes"] != len(model):
        yield f"model.tflite: {len(model)} bytes, but metrics.json says {metrics['size_bytes']}"
    quantization = metrics.get("quantization")
    if quantization in recipe_names() and get_recipe(quantization).integer_only:
        learned = without_post_processing(model)  # which takes real numbers
        found = check_integer(learned, real_ends=_has_real_ends(metrics))
        yield from (f"model.tflite: not {quantization} throughout: {problem}" for problem in found)
    if "labels.txt" in contents:
        labels = tuple(contents["labels.txt"].decode(errors="replace").splitlines())
        if classes not in (None, len(labels)) and (labels or metrics.get("task") in (None, "classification")):
            yield f"labels.txt: {len(labels)} labels for a model of {classes} outputs"
        elif metadata is not None and metadata.labels != labels:
            yield "labels.txt: other labels than in the metadata inside model.tflite"
    if "architecture.yaml" in contents:
        learned_ends = model_io(without_post_processing(model))
        shapes = [[tuple(end.shape[1:]) for end in group] for group in (learned_ends.inputs, learned_ends.outputs)]
        yield from _check_architecture(contents["architecture.yaml"], shapes, metrics)


def _classes(shape: tuple[int, ...], metrics: Mapping[str, Any]) -> int | None:
    """How many labels an output tells apart; None where it does not say, as a map of labels, or boxes."""
    is_map = metrics.get("task") == "segmentation" and len(shape) == 3
    return None if is_map or metrics.get("task") == "detection" else shape[-1]


def _check_device_model(name: str, contents: Mapping[str, bytes], metrics: Mapping[str, Any]) -> Iterator[str]:
    """Another form of the same network gives the same answer; what only one of them has behind it is left out."""
    model, first = contents[name], contents.get("model.tflite", b"")
    expected = metrics.get("self_test")
    try:
        if first and ends_in_boxes(model) != ends_in_boxes(first):
            model = without_post_processing(model)
            expected = run_self_test(without_post_processing(first), metrics)
        answer = run_self_test(model, metrics)["logits"]
    except (EdgeNASError, IndexError) as error:
        yield f"{name}: cannot be run: {error}"
        return
    for problem in _check_answer(answer, expected):
        yield problem.replace("model.tflite", name)


def run_self_test(model: bytes, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """``{"logits", "tolerance"}``: what a model answers to the test inputs of ``run.py``, and how far off it may be.

    Outputs follow each other. Other processors round otherwise: four steps of an integer output, a hundredth of the
    largest value. Raises InputError when the model or the preprocessing cannot be used.
    """
    ends = model_io(model)
    shapes = [tuple(end.shape[1:]) for end in ends.inputs]
    if _of_images(metrics):
        if len(shapes) != 1 or len(shapes[0]) != 3:
            raise InputError(f"expected an image as input, found the shapes {shapes}")
        constants = Preprocessing.from_dict(metrics.get("preprocessing") or {})
        inputs = [constants.apply(test_pixels(*shapes[0]))[np.newaxis]]
    elif _is_table(metrics):
        constants_of_columns = TablePreprocessing.from_dict(metrics["preprocessing"]).to_dict()
        inputs = [features_of(test_row(constants_of_columns), constants_of_columns)[np.newaxis]]
    else:
        # What integers mean is not in the file where they are no quantized reals: token ids are all 0.
        inputs = [
            test_values(shape, bool(end.scale) or "float" in str(end.dtype).lower())
            for shape, end in zip(shapes, ends.inputs, strict=True)
        ]
        inputs = [values[np.newaxis] for values in inputs]
    outputs = [output[0].astype(np.float64).ravel() for output in tflite_outputs(model, inputs, processes=1)]
    if metrics.get("task") == "segmentation":
        return _condensed_test(outputs, ends)
    if metrics.get("task") == "detection" and (len(outputs) == 2 or ends_in_boxes(model)):
        return _condensed_boxes(outputs, ends)
    step = max((end.scale[0] for end in ends.outputs if end.scale), default=0.0)
    values = np.concatenate(outputs)
    tolerance = max(4 * step, 0.01 * float(np.abs(values).max()), 1e-4)
    return {"logits": [round(float(value), 6) for value in values], "tolerance": round(tolerance, 6)}


def _condensed_test(outputs: list[np.ndarray], ends: ModelIO) -> dict[str, Any]:
    """The same of a map: shares of labels, or mean logits. Rounding changes the labels of pixels at borders."""
    (output,), shape = outputs, tuple(ends.outputs[0].shape[1:])
    values = condensed(output.reshape(shape))
    step = ends.outputs[0].scale[0] if ends.outputs[0].scale else 0.0
    tolerance = 0.03 if len(shape) == 2 else max(step, 0.01 * float(np.abs(output).max()), 1e-4)
    return {"logits": [round(float(value), 6) for value in values], "tolerance": round(tolerance, 6)}


def _condensed_boxes(outputs: list[np.ndarray], ends: ModelIO) -> dict[str, Any]:
    """The same of a detector: means of its encodings and logits, or the best scores of its boxes."""
    shaped = [output.reshape(end.shape[1:]) for output, end in zip(outputs, ends.outputs, strict=True)]
    values = condensed_boxes(shaped)
    step = max((end.scale[0] for end in ends.outputs if end.scale), default=0.0)
    tolerance = 0.05 if len(outputs) > 2 else max(4 * step, 0.01 * float(np.abs(values).max()), 1e-4)
    return {"logits": [round(float(value), 6) for value in values], "tolerance": round(tolerance, 6)}


def _check_answer(answer: list[float], expected: object) -> Iterator[str]:
    """Bundles from before there was a self-test have none."""
    if expected is None:
        return
    try:
        assert isinstance(expected, Mapping)
        difference = float(np.max(np.abs(np.subtract(answer, expected["logits"]))))
        within = difference <= float(expected["tolerance"])
    except (AssertionError, KeyError, TypeError, ValueError):
        yield "metrics.json: self_test must hold the logits of the test picture and a tolerance"
        return
    if not within:
        yield f"model.tflite: answers {difference:.4g} away from when it was made, on a test picture"


def _check_header(content: bytes, model: bytes) -> Iterator[str]:
    try:
        same = header_bytes(content.decode(errors="replace")) == model
    except InputError as error:
        yield f"model.h: {error}"
        return
    if not same:
        yield "model.h: holds another model than model.tflite"


def _check_architecture(
    content: bytes, shapes: list[list[tuple[int, ...]]], metrics: Mapping[str, Any]
) -> Iterator[str]:
    try:
        document = parse_document(content.decode(errors="replace"), "the file", numbers=False).value
        if not isinstance(document, dict):
            raise InputError("expected a mapping with the keys name, inputs, nodes and outputs")
        network = Network.from_dict(document)
        ends = [[tuple(shape) for _, shape in network.inputs], [tuple(shape) for shape in network.graph.output_shapes]]
    except (EdgeNASError, IndexError) as error:
        yield f"architecture.yaml: {' '.join(str(error).split())}"
        return
    if ends != shapes:
        described, actual = (" -> ".join(" and ".join(map(str, end)) for end in pair) for pair in (ends, shapes))
        yield f"architecture.yaml: describes {described}, but the model is {actual}"
    for key in ("params", "macs"):
        if _is_count(metrics.get(key)) and metrics[key] != getattr(network, key):
            yield f"architecture.yaml: has {getattr(network, key)} {key}, but metrics.json says {metrics[key]}"
