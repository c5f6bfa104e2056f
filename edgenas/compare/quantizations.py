"""One trained network in every quantization: accuracy, size and latency side by side, and where each loses.

All files are visited in the same quiet rounds of one session, never minutes apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgenas.compare.measured import measured_on
from edgenas.export.files import write_atomically
from edgenas.report.data import QUANTIZATIONS
from edgenas.run.context import RunContext
from edgenas.run.folder import RunFolder
from edgenas.run.progress import Progress
from edgenas.run.records import ChooseRecord, ExportRecord
from edgenas.run.train import load_trained, training_record, weights_path
from edgenas.spaces.errors import EdgeNASError, InputError
from edgenas.study.evaluation import derived_seed

if TYPE_CHECKING:
    from edgenas.run.device import RunDevice
    from edgenas.spaces.network import Network

#: Test images that the layers are compared on.
LAYER_EXAMPLES = 32
_REFERENCE = "float32"


class TrainedTrial:
    """A trial of a run with its final training: network, float model, data and preprocessing."""

    def __init__(self, folder: Path, trial: int | None = None, data_dir: Path | None = None) -> None:
        run = RunFolder(folder)
        recipe = run.read_recipe()
        if data_dir is not None:
            recipe = recipe.with_data_directory(data_dir)
        self.context = RunContext(recipe, run, Progress())
        self.number = _trained_trial(run) if trial is None else trial
        if not weights_path(self.context, self.number).is_file():
            raise InputError(
                f"{folder}: trial {self.number} has no final training to quantize; `edgenas export {folder} --trial "
                f"{self.number}` does that"
            )
        with closing(self.context.open_study()) as study:
            self.trial = study.trial(self.number)
        if remark := run.inputs.check(self.context.space, self.context.dataset, self.context.labels):
            self.context.progress.say(f"{folder}: {remark}")
        space = self.context.space
        self.network: Network = space.decode(space.parse(self.trial.architecture))
        from edgenas.export.keras.builder import build_keras

        self.preprocessing: Any = self.context.task.read_preprocessing(
            training_record(self.context, self.number)["preprocessing"]
        )
        self.task = self.context.task.for_network(self.network, self.preprocessing)
        self.model = build_keras(self.network)
        load_trained(self.context, self.number, self.model)

    @property
    def layer_inputs(self) -> np.ndarray | list[np.ndarray]:
        """The first test examples, as layers are compared on them."""
        from edgenas.tasks.files import network_inputs

        test = self.context.dataset.test
        some = test.take(np.arange(min(LAYER_EXAMPLES, len(test))))
        inputs = [np.asarray(values[:]) for values in network_inputs(self.task, some, self.network, self.preprocessing)]
        return inputs[0] if len(inputs) == 1 else [values[:, np.newaxis] for values in inputs]

    def convert(self, quantization: str) -> tuple[dict[str, bytes], dict[str, Any]]:
        """The file as each of the run's devices takes it, and what its making tells. Raises EdgeNASError."""
        from edgenas.run.shipping import shipped_files
        from edgenas.training.compress import quantize

        recipe = self.context.recipe
        training, held_out = self.context.dataset.split(recipe.data.validation_fraction, recipe.seed)
        quantized = quantize(
            self.network,
            self.model,
            quantization,
            examples=training,
            task=self.task,
            preprocessing=self.preprocessing,
            seed=derived_seed(recipe.seed, 3, self.number),
            settings=recipe.export.settings(recipe.training.settings().augmentation),
            held_out=held_out,
        )
        files = shipped_files(self.context, self.network, quantized.model, self.preprocessing)
        return files, quantized.to_json()


def compare_quantizations(
    folder: Path, trial: int | None = None, names: tuple[str, ...] = (), *, data_dir: Path | None = None
) -> dict[str, Any]:
    """The JSON of ``edgenas export RUN --compare``; also written to the run folder, for its report.

    ``{"trial", "architecture", "device", "test_images", "top1_float", "rows": [{"quantization", "top1", "difference",
    "size_bytes", "latency", "times_float32", "sqnr_db", "worst_layer", "conversion_seconds"} or {"quantization",
    "error"}]}``. ``difference`` is to the float model, ``latency`` as :func:`measured_on` has it, ``sqnr_db``
    that of the outputs on :data:`LAYER_EXAMPLES` test images. A run for several devices has their names under
    ``devices``, and in each row ``{"devices": {NAME: {"latency", "times_float32"}}}``; the rest is of the first.

    Args:
        folder: the run.
        trial: a trial with a final training; None takes the shipped one.
        names: recipes; empty takes all that need no training and no search for layers. Those that need it are
            trained here.
        data_dir: as elsewhere.

    Raises InputError for an unknown recipe, and when there is no run or no trained trial.
    """
    from edgenas.export.quantization import get_recipe, recipe_names
    from edgenas.export.quantization.mixed import MIXED
    from edgenas.export.quantization.sqnr import compare_layers
    from edgenas.tasks.files import file_metrics
    from edgenas.training import evaluate

    quick = (name for name in recipe_names() if get_recipe(name).fine_tuning is None and name != MIXED)
    names = names or tuple(quick)
    for name in names:
        get_recipe(name)
    trained = TrainedTrial(folder, trial, data_dir)
    context, task, test = trained.context, trained.task, trained.context.dataset.test
    how: dict[str, Any] = {"task": task, "preprocessing": trained.preprocessing}
    score_float = evaluate(trained.model, test, outputs=trained.network.outputs, **how)[task.metric]
    inputs = trained.layer_inputs
    rows: dict[str, dict[str, Any]] = {}
    files: dict[str, dict[str, bytes]] = {}
    first = context.first.name
    for name in dict.fromkeys((_REFERENCE, *names)):
        context.progress.say(f"{name}: converting and testing on {len(test):,} examples")
        try:
            files[name], notes = trained.convert(name)
            score = file_metrics(files[name][first], test, network=trained.network, **how)[task.metric]
            layers = compare_layers(files[_REFERENCE][first], files[name][first], inputs)
        except EdgeNASError as error:
            files.pop(name, None)
            rows[name] = {"quantization": name, "error": str(error)}
            continue
        worst = layers.worst
        rows[name] = {
            "quantization": name,
            task.metric: score,
            "difference": round(score - score_float, 6),
            "size_bytes": len(files[name][first]),
            "sqnr_db": None if layers.outputs is None else round(layers.outputs["sqnr_db"], 2),
            "worst_layer": worst and {"tensor": worst.tensor, "sqnr_db": round(worst.sqnr_db, 2)},
            **notes,
        }
    several = len(context.devices) > 1
    for device in context.devices:
        found = _measured_on(device, {name: of_devices[device.name] for name, of_devices in files.items()})
        for name, latency in found.items():
            if several:
                rows[name].setdefault("devices", {})[device.name] = latency
            if device.name == first:
                rows[name] |= latency
    document = {
        "trial": trained.number,
        "architecture": trained.trial.architecture,
        "device": first,
        **({"devices": [device.name for device in context.devices]} if several else {}),
        "metric": task.metric,
        "test_images": len(test),
        f"{task.metric}_float": score_float,
        "rows": [rows[name] for name in names],
    }
    write_atomically(context.folder.path / QUANTIZATIONS, json.dumps(document, indent=1) + "\n")
    return document


def _measured_on(device: RunDevice, files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """``{"latency", "times_float32"}`` of each file, side by side on a device."""
    measured = measured_on(device, files)
    reference_ms = measured.get(_REFERENCE, {}).get("quiet_ms")
    times = {name: latency.get("quiet_ms") for name, latency in measured.items()}
    return {
        name: {
            "latency": latency,
            "times_float32": round(quiet_ms / reference_ms, 4) if (quiet_ms := times[name]) and reference_ms else None,
        }
        for name, latency in measured.items()
    }


def layer_report(
    folder: Path, trial: int | None = None, quantization: str | None = None, *, data_dir: Path | None = None
) -> dict[str, Any]:
    """The JSON of ``edgenas export RUN --layers``: :meth:`edgenas.export.quantization.sqnr.SqnrReport.to_json` and
    what was compared.

    On test images, the float32 file against the one of ``quantization`` (the run's own when None). Raises InputError
    as :func:`compare_quantizations`, WorkError when the conversion fails.
    """
    from edgenas.export.quantization import get_recipe
    from edgenas.export.quantization.sqnr import compare_layers

    trained = TrainedTrial(folder, trial, data_dir)
    name = quantization or trained.context.recipe.export.quantization
    get_recipe(name)
    reference, _ = trained.convert(_REFERENCE)
    other, _ = trained.convert(name)
    first = trained.context.first.name
    report = compare_layers(reference[first], other[first], trained.layer_inputs)
    return {"trial": trained.number, "quantization": name} | report.to_json()


def _trained_trial(run: RunFolder) -> int:
    """The shipped trial, or the chosen one."""
    records = run.records
    for number in (records.of(ExportRecord).trial, records.of(ChooseRecord).trial):
        if number is not None:
            return number
    raise InputError(f"{run.path}: no trial was trained to the end yet; `edgenas export {run.path}` does that")
