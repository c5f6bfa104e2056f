"""Which layers of a run's network cost accuracy in int8, and what keeping a few of them finer costs on the devices."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.compare.measured import measured_on
from edgenas.export.files import write_atomically
from edgenas.export.quantization.selective.settings import KEEPS
from edgenas.report.data import SENSITIVITY
from edgenas.study.evaluation import derived_seed

if TYPE_CHECKING:
    from edgenas.export.quantization.selective.choice import Mixed
    from edgenas.run.context import RunContext
    from edgenas.spaces.network import Network

_REFERENCE = "float32"
_SEED_PURPOSE = 3


def run_sensitivity(folder: Path, trial: int | None = None, *, data_dir: Path | None = None) -> dict[str, Any]:
    """The JSON of ``edgenas export RUN --sensitivity``; also written to the run folder, for its report.

    Every layer is tried, then every number of kept layers up to ``export.mixed.layers``, in float and in int16. Raises
    InputError without the extra, and when there is no run or no trained trial.
    """
    from edgenas.compare.quantizations import TrainedTrial
    from edgenas.export.extra import SELECTIVE
    from edgenas.export.quantization import convert
    from edgenas.training.compress import calibration_for
    from edgenas.training.mixed import MOST_EXAMPLES, mix_trained

    SELECTIVE.require()
    trained = TrainedTrial(folder, trial, data_dir)
    context, recipe = trained.context, trained.context.recipe
    training, held_out = context.dataset.split(recipe.data.validation_fraction, recipe.seed)
    settings = recipe.export.settings(recipe.training.settings().augmentation)
    common: dict[str, Any] = {
        "task": trained.task,
        "preprocessing": trained.preprocessing,
        "seed": derived_seed(recipe.seed, _SEED_PURPOSE, trained.number),
    }
    calibration = calibration_for(trained.network, training, settings, **common)
    first: Mixed | None = None
    found = []
    for keep in KEEPS:
        examples = f"{min(len(held_out), MOST_EXAMPLES):,} validation examples"
        context.progress.say(f"trying {'each layer, and ' * (first is None)}files with layers in {keep}, on {examples}")
        with context.progress.task("layers", 1) as bar:
            first = mix_trained(
                trained.network,
                trained.model,
                calibration,
                held_out,
                settings=dataclasses.replace(settings.mixed, keep=keep),
                all_of_them=True,
                known=first,
                on_layer=bar.update_of,
                **common,
            )
        found.append(first)
    reference = convert(trained.model, quantization=_REFERENCE)
    return write_sensitivity(
        context, trained.number, trained.trial.architecture, trained.network, found, reference, trained.preprocessing
    )


def write_sensitivity(
    context: RunContext,
    trial: int,
    architecture: str,
    network: Network,
    found: Sequence[Mixed],
    reference: bytes,
    preprocessing: Any,
) -> dict[str, Any]:
    """Measures all choices beside the float32 file on each device, side by side; writes and returns the document.

    ``{"trial", "architecture", "device", "metric", "examples", "float_score", "int8", "layers", "limit", "float32":
    {"size_bytes", "latency"}, "choices": [{"keep", "kept", "score", "loss", "sqnr_db", "size_bytes", "latency",
    "times_int8", "taken"}], "words": [...]}``; a run for several devices has their names under ``devices``, and in each
    choice ``{"devices": {NAME: {"latency"}}}``.
    """
    from edgenas.run.shipping import shipped_files

    rows: dict[str, dict[str, Any]] = {}
    models: dict[str, bytes] = {_REFERENCE: reference}
    for mixed in found:
        for place, choice in enumerate(mixed.choices):
            name = f"{mixed.settings.keep}-{place}" if choice.kept else "int8"
            row = {"keep": mixed.settings.keep if choice.kept else None} | choice.to_json()
            taken = rows.get(name, {}).get("taken", False) or place == mixed.taken
            rows[name], models[name] = row | {"taken": taken}, choice.model
    files = {name: shipped_files(context, network, model, preprocessing) for name, model in models.items()}
    document: dict[str, Any] = {
        "trial": trial,
        "architecture": architecture,
        "device": context.first.name,
        **({"devices": [device.name for device in context.devices]} if len(context.devices) > 1 else {}),
        "metric": context.task.metric,
        **found[0].sensitivity.to_json(),
        "limit": found[0].settings.limit,
        _REFERENCE: {"size_bytes": len(files[_REFERENCE][context.first.name])},
    }
    for device in context.devices:
        latencies = measured_on(device, {name: of[device.name] for name, of in files.items()})
        for name, latency in latencies.items():
            row = document[_REFERENCE] if name == _REFERENCE else rows[name]
            row.setdefault("devices", {})[device.name] = {"latency": latency}
            if device.name == context.first.name:
                row["latency"] = latency
    document["choices"] = list(rows.values())
    document["words"] = [mixed.words() for mixed in found] + _cost_words(document)
    if len(found) > 1 and found[0].words() == found[1].words():
        document["words"].pop(0)
    write_atomically(context.folder.path / SENSITIVITY, json.dumps(document, indent=1) + "\n")
    return document


def _cost_words(document: Mapping[str, Any]) -> list[str]:
    """What the taken choices cost on each device, where that speaks against them."""
    found = []
    for choice in document["choices"]:
        if not choice["taken"] or not choice["kept"]:
            continue
        for device, of in choice["devices"].items():
            latency, float_latency = of["latency"], document[_REFERENCE]["devices"][device]["latency"]
            what = f"{len(choice['kept'])} layers in {choice['keep']} on {device}"
            if "error" in latency:
                found.append(f"{what}: {latency['error']}")
            elif latency.get("uncounted"):
                found.append(
                    f"{what}: {latency['uncounted']} operators fall to the CPU, and are not in its "
                    f"{latency['quiet_ms']:.4g} ms; keep: int16 stays on the accelerator"
                )
            elif latency["quiet_ms"] > float_latency.get("quiet_ms", float("inf")):
                found.append(
                    f"{what} take {latency['quiet_ms']:.4g} ms, longer than float32's {float_latency['quiet_ms']:.4g} "
                    "ms: float32 is the better choice where its size fits"
                )
    return found
