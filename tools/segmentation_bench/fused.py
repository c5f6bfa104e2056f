"""The arg-max at the full picture against the fused one at a quarter of its sides: latency, memory, mean IoU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgenas.compare.quantizations import TrainedTrial
from edgenas.compare.side_by_side import measure_side_by_side
from edgenas.devices import get_device
from edgenas.export.finishing import finished
from edgenas.export.tflite.arena import estimate_arena
from edgenas.export.tflite.flatbuffer import write_tflite
from edgenas.spaces.blocks import LabelMap
from edgenas.spaces.network import Network, Node
from edgenas.spaces.references import reference_network
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.study.evaluation import derived_seed
from edgenas.tasks.files import file_metrics
from edgenas.training.compress import quantize
from segmentation_bench.ground import SMALL_SPACE, deeplab

ENDS = ("plain", "fused", "plain chain", "fused chain")


def with_end(network: Network, end: str) -> Network:
    """The network with one of :data:`ENDS` behind its logits, at the size of its input."""
    learned = network.learned
    height, width = learned.inputs[0][1][:2]
    at = (height // 4, width // 4) if "fused" in end else (height, width)
    block = LabelMap(height, width, *at, "chain" if "chain" in end else "operator")
    node = Node("labels", block, learned.outputs)
    return Network(f"{network.name} {end}", learned.inputs, (*learned.nodes, node), ("labels",))


def networks(size: tuple[int, int]) -> dict[str, Network]:
    """Two networks for CamVid in this size, and Autoseg-EdgeTPU as it is published: 512 px, 32 classes."""
    space = SearchSpace.load(SMALL_SPACE, input_shape=(*size, 3), classes=11)
    cheapest = space.cheapest(space.cost_arrays(lambda entry: float(entry.graph.macs)))[0]
    where = f"at {size[0]}x{size[1]}, 11 classes"
    return {
        f"deeplab 0.5 {where}": deeplab(0.5, (*size, 3), 11),
        f"small_autoseg, the smallest, {where}": space.decode(cheapest),
        "autoseg_xs at 512x512, 32 classes": reference_network("autoseg_xs"),
    }


def latencies(size: tuple[int, int], settings: Any, seed: int) -> dict[str, dict[str, Any]]:
    """Untrained int8 networks with each end, measured side by side: by network and end ``{"quiet_ms", ...}``."""
    rows: dict[str, dict[str, Any]] = {}
    for name, network in networks(size).items():
        models = {end: write_tflite(with_end(network, end).graph, "int8") for end in ENDS}
        found = measure_side_by_side(get_device("local-cpu"), models, settings=settings, seed=seed)
        rows[name] = {
            end: {**found[end], "activation_bytes": estimate_arena(models[end]).activation_bytes} for end in ENDS
        }
    return rows


def scores(folder: Path) -> Mapping[str, float]:
    """Mean IoU of a run's network on the test part, in int8, with each end; ``float`` of the float model."""
    trained = TrainedTrial(folder)
    recipe, test = trained.context.recipe, trained.context.dataset.test
    training, _ = trained.context.dataset.split(recipe.data.validation_fraction, recipe.seed)
    common: dict[str, Any] = {"task": trained.task, "preprocessing": trained.preprocessing}
    logits = quantize(
        trained.network,
        trained.model,
        "int8",
        examples=training,
        seed=derived_seed(recipe.seed, 3, trained.number),
        settings=recipe.export.settings(recipe.training.settings().augmentation),
        **common,
    ).model
    found = {}
    for end in ENDS:
        network = with_end(trained.network, end)
        found[end] = file_metrics(finished(logits, network), test, network=network, **common)["miou"]
    return found
