"""A run's trained supernet: ``supernet/weights.npz``, which is all that scores, reports and later trainings need.

Arrays: ``weights`` (flat, all that is trained); where there was a controller, its ``probabilities``, (decisions,
options), and what it ends with, ``chosen``, (decisions,); and ``facts``, JSON: ``{"format", "space", "parameters",
"steps", "examples", "within"}``, of which the last holds the limits of the networks that were trained, or null.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.data.npz import read_arrays
from edgenas.export.files import write_atomically
from edgenas.run.fingerprints import space_fingerprint
from edgenas.run.supernet.making import INITIAL, folder, make_lesson, make_settings, seed
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.space.decision import Architecture
from edgenas.supernet.inherited import variables_of
from edgenas.training.runtime import light_graphs

if TYPE_CHECKING:
    from edgenas.run.context import RunContext
    from edgenas.spaces.network import Network
    from edgenas.supernet.learning import Judgement, Learner
    from edgenas.supernet.training import SupernetTraining

FORMAT = 1


@dataclass(frozen=True)
class SupernetFile:
    """What ``weights.npz`` holds. ``probabilities`` and ``chosen`` are None where no controller learnt along."""

    weights: np.ndarray
    probabilities: np.ndarray | None
    chosen: np.ndarray | None
    facts: Mapping[str, Any]


def weights_path(folder: Path) -> Path:
    return folder / "weights.npz"


def save_supernet(context: RunContext, training: SupernetTraining, chosen: np.ndarray | None) -> None:
    """Writes the trained weights, and what a controller ends with, whole or not at all."""
    facts = {
        "format": FORMAT,
        "space": space_fingerprint(context.space)["fingerprint"],
        "parameters": training.supernet.parameters,
        "steps": training.learner.step,
        "examples": len(training.lesson.training),
        "within": None if training.within is None else dict(training.within.limits),
    }
    arrays = {"weights": training.supernet.weights.numpy(), "facts": np.array(json.dumps(facts))}
    if training.controller is not None:
        arrays["probabilities"] = training.controller.probabilities
    if chosen is not None:
        arrays["chosen"] = chosen
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomically(weights_path(folder(context)), buffer.getvalue())


def read_supernet(path: Path) -> SupernetFile:
    """Reads ``weights.npz``. Raises InputError when it is not what was written."""
    try:
        arrays = dict(read_arrays(path))
        facts = json.loads(str(arrays["facts"]))
        if facts["format"] != FORMAT or arrays["weights"].shape != (facts["parameters"],):
            raise ValueError("of another format")
        if not np.isfinite(arrays["weights"]).all():
            raise ValueError("weights that are not finite")
        weights = arrays["weights"].astype(np.float32)
        return SupernetFile(weights, arrays.get("probabilities"), arrays.get("chosen"), facts)
    except (InputError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: not the weights of a supernet ({error}); nothing was changed. Delete it and continue with "
            "--resume: the training goes on from its last checkpoint"
        ) from None


class TrainedSupernet:
    """The supernet of a run with its trained weights. What is slow to make is made when first needed, and kept."""

    def __init__(self, context: RunContext) -> None:
        path = weights_path(folder(context))
        if not path.is_file():
            raise WorkError(
                f"{path}: the supernet of this run is not trained yet; continue the run with --resume, which does that"
            )
        self.context = context
        self.file = read_supernet(path)
        expected = space_fingerprint(context.space)["fingerprint"]
        if self.file.facts.get("space") != expected:
            raise InputError(f"{path}: the weights are of another space than {context.space.name!r}")

    @cached_property
    def learner(self) -> Learner:
        """Scores networks with these weights."""
        from edgenas.supernet.learning import Learner
        from edgenas.supernet.network import Supernet

        lesson = make_lesson(self.context)
        supernet = Supernet(self.context.space.learned, seed=seed(self.context, INITIAL))
        if supernet.parameters != len(self.file.weights):
            raise InputError(
                f"{weights_path(folder(self.context))}: holds {len(self.file.weights):,} weights, expected "
                f"{supernet.parameters:,}: it was trained by a version that shared them otherwise; train it anew in "
                "another run"
            )
        supernet.weights.assign(self.file.weights)
        return Learner(supernet, lesson, make_settings(self.context, len(lesson.training)))

    def judge(self, architecture: Architecture) -> Judgement:
        """What a network is worth with shared weights, on validation examples."""
        with light_graphs():
            return self.learner.judge(self.learner.supernet.plan(architecture))

    def network(self, architecture: Architecture) -> tuple[Network, dict[str, list[np.ndarray]]]:
        """A network and its part of the weights, by layer, with batch-norm statistics of its own."""
        with light_graphs():
            self.learner.calibrate(self.learner.supernet.plan(architecture))
        return self.learner.supernet.decode(architecture)


def inherited_weights(context: RunContext, architecture: Architecture | str) -> dict[str, np.ndarray]:
    """What a network gets of the run's trained supernet: arrays by the path of the variable, ``stem.conv/kernel``.

    As :func:`edgenas.training.train` takes them as ``initial``: all weights of the network, and the batch-norm
    statistics that its layers have with these weights.

    Raises WorkError when the supernet is not trained yet, InputError when its file is damaged or the run has none.
    """
    if isinstance(architecture, str):
        architecture = context.space.parse(architecture)
    return variables_of(*context.supernet.network(architecture))
