"""Figures of a run's shipped network beside others: what the file finds, its energy, and decoding beside TFLite's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detection_bench.ground import cpu_with_watts
from edgenas.compare.quantizations import TrainedTrial
from edgenas.devices import get_device
from edgenas.devices.device import device_from_spec, read_device_spec
from edgenas.export.bundle.bundle import read_metrics
from edgenas.export.verify import tflite_outputs
from edgenas.tasks.detection.boxes import box_overlaps
from edgenas.tasks.files import network_inputs
from edgenas.training.compress import quantize

#: Images on which decoding is compared.
IMAGES = 100


def figures(folder: Path) -> dict[str, Any]:
    """Of a run: average precisions, quiet latency here, and energy on the simulated Edge TPU and of this CPU."""
    metrics = read_metrics(folder / "bundle")
    model = (folder / "bundle" / "model.tflite").read_bytes()
    latency_ms = float(metrics["latency_ms"]["local-cpu"]["quiet"]["quiet_ms"])
    simulated = get_device("edgetpu-sim").measure(model).energy
    cpu = device_from_spec(read_device_spec(cpu_with_watts(folder)))
    modelled = cpu.spec.power.energy(latency_ms, cpu.bytes_moved(model))
    assert simulated is not None
    assert modelled is not None
    return {
        "name": metrics["name"],
        "architecture": metrics["architecture"],
        "macs": metrics["macs"],
        "params": metrics["params"],
        "metrics": metrics["metrics"],
        "class_ap": metrics["class_ap"],
        "latency_ms": latency_ms,
        "energy_mj": {"edgetpu-sim": simulated.energy_mj, "cpu": modelled.energy_mj},
    }


def energy_at(score: float, others: Sequence[Mapping[str, Any]], device: str) -> float:
    """Energy at which the others reach a score: between the nearest two in mAP, in logarithms of energy.

    Below the worst it is that of the worst, above the best that of the best: it is never told as more than they are.
    """
    ranked = sorted(others, key=lambda one: float(one["metrics"]["tflite"]["map"]))
    scores = [float(one["metrics"]["tflite"]["map"]) for one in ranked]
    energies = [float(np.log(one["energy_mj"][device])) for one in ranked]
    return float(np.exp(np.interp(score, scores, energies)))


def decoding(folder: Path) -> dict[str, Any]:
    """Boxes of a run's int8 network on :data:`IMAGES` images: decoded in NumPy, and by TFLite's operator.

    ``{"images", "boxes", "most_difference", "other_boxes", "map", "map_operator"}``: the largest difference of an edge
    or a score between boxes that both found, and how many only one found.
    """
    trained = TrainedTrial(folder)
    data, network, preprocessing = trained.context.dataset, trained.network, trained.preprocessing
    parts = trained.context.dataset.split(trained.context.recipe.data.validation_fraction, trained.context.recipe.seed)
    some = data.test.take(np.arange(min(IMAGES, len(data.test))))
    if len(some) < IMAGES:  # data of fewer test images: the rest are held-out ones
        more = parts[1].take(np.arange(min(IMAGES - len(some), len(parts[1]))))
        groups = [some, more]
    else:
        groups = [some]
    model = quantize(
        network,
        trained.model,
        "int8",
        examples=parts[0],
        task=trained.task,
        preprocessing=preprocessing,
        seed=0,
        settings=trained.context.recipe.export.settings(trained.context.recipe.training.settings().augmentation),
    ).model
    finished = trained.task.deployed(model, network, preprocessing)
    boxes = others = 0
    most = 0.0
    scores: list[tuple[float, float]] = []
    for examples in groups:
        inputs = network_inputs(trained.task, examples, network, preprocessing)
        raw = dict(zip(network.outputs, tflite_outputs(model, inputs), strict=True))
        ours = trained.task.boxes_found(raw)
        answers = tflite_outputs(finished, inputs)
        names = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
        told = dict(zip(names, answers, strict=True))
        theirs = trained.task.boxes_found(told)
        for mine, its in zip(ours, theirs, strict=True):
            boxes += len(mine.scores)
            wrong, difference = compared(mine, its)
            others += wrong
            most = max(most, difference)
        targets = {name: np.asarray(values) for name, values in examples.targets.items()}
        scores.append((trained.task.metrics(targets, raw)["map"], trained.task.metrics(targets, told)["map"]))
    return {
        "images": sum(map(len, groups)),
        "boxes": boxes,
        "most_difference": most,
        "other_boxes": others,
        "map": scores[0][0],
        "map_operator": scores[0][1],
    }


def compared(mine: Any, its: Any) -> tuple[int, float]:
    """(boxes that only one of two answers has, largest difference of the edges and scores of the others)."""
    free = np.ones(len(its.scores), bool)
    lonely, most = 0, 0.0
    for box, label, score in zip(mine.boxes, mine.labels, mine.scores, strict=True):
        same = free & (its.labels == label) & (np.abs(its.scores - score) < 1e-3)
        overlaps = np.where(same, box_overlaps(box[None], its.boxes)[0], 0) if len(free) else np.zeros(0)
        place = int(overlaps.argmax()) if len(overlaps) else -1
        if place < 0 or overlaps[place] < 0.99:
            lonely += 1
            continue
        free[place] = False
        most = max(most, float(np.abs(its.boxes[place] - box).max()), float(abs(its.scores[place] - score)))
    return lonely + int(free.sum()), most
