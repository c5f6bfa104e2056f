"""A search for an Ethos-U within latency, SRAM and flash, beside MobileNetV2 of many widths.

All networks get the same final training on the same images, the same quantization, and are compiled by Vela alike.
MobileNetV2 is given its best here: every layer is scaled, the last one too, and it may keep its first stride or not.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import yaml
from benchmarking.claims import claim

from edgenas.cli.check import check_target
from edgenas.export.bundle.bundle import read_metrics
from edgenas.export.compilers.ethos_u.compiled import CUSTOM_OPERATOR
from edgenas.export.micro.interpreter import allocate
from edgenas.export.tflite.reader import read_operators
from edgenas.recipe.recipe import Recipe
from edgenas.run.pipeline import run
from edgenas.spaces.network import Network, chain
from edgenas.spaces.references import reference_network
from edgenas.spaces.rounding import round_filters

DEVICE = "ethos-u55-64"
SPACE = "tiny_edge"
BUDGET = {"latency_ms": 1.2, "sram_bytes": 40_000, "flash_bytes": 100_000}
#: Widths of MobileNetV2 by the stride of its first layer.
WIDTHS = {2: (0.1, 0.2, 0.35, 0.5, 1.0), 1: (0.1, 0.2, 0.35, 0.5)}
QUICK_WIDTHS = {2: (0.1, 0.2, 0.35, 0.5), 1: (0.1, 0.2)}


def search(work: Path, data_dir: Path | None, seed: int, *, quick: bool) -> dict[str, Any]:
    """The shipped network, and every MobileNetV2; finished ones in ``work`` are not trained again."""
    common: dict[str, Any] = {
        "seed": seed,
        "data": {"name": "fashion_mnist", **({"directory": str(data_dir)} if data_dir else {})},
        "device": {"name": DEVICE},
        "training": {"epochs": 4 if quick else 12, "batch_size": 64, "max_steps": 1500, "initial": "scratch"},
    }
    found = _searched(work, common, quick=quick)
    print(found, flush=True)
    rows = []
    for stride, widths in (QUICK_WIDTHS if quick else WIDTHS).items():
        for width in widths:
            rows.append(_trained(work, common, mobilenet_v2(width, stride)))
            print(rows[-1], flush=True)
    target = min(found["top1"], max(row["top1"] for row in rows))
    best = min((row for row in rows if row["top1"] >= target), key=lambda row: row["latency_ms"])
    return {"device": DEVICE, "budget": BUDGET, "found": found, "mobilenet_v2": rows, "target": target, "best": best}


def mobilenet_v2(width: float, stride: int) -> Network:
    """MobileNetV2 for 28 pixels with all layers scaled; ``stride`` is of the first one."""
    blocks = {}
    for node in reference_network("mobilenet_v2_1.0", (28, 28, 1), 10).nodes:
        block: Any = node.block
        if hasattr(block, "filters"):
            block = dataclasses.replace(block, filters=round_filters(block.filters * width))
        blocks[node.name] = dataclasses.replace(block, stride=stride) if node.name == "stem" else block
    return chain(f"mobilenet_v2_{width:g}-stride{stride}", (28, 28, 1), blocks)


def _searched(work: Path, common: dict[str, Any], *, quick: bool) -> dict[str, Any]:
    recipe = {
        **common,
        "name": "search",
        "space": {"name": SPACE},
        "budget": BUDGET,
        "search": {
            "trials": 8 if quick else 24,
            "latency_margin": 0.0,
            "training": {"epochs": 2, "images": 2500, "batch_size": 64},
            "finalists": 1 if quick else 3,
        },
    }
    bundle = _run(recipe, work / "search")
    content = (bundle / "model.tflite").read_bytes()
    compiled = read_operators((bundle / "model_vela.tflite").read_bytes())
    told = check_target(content, "tflm")
    facts = json.loads((bundle / "model_vela.json").read_text())
    return _figures(bundle) | {
        "architecture": yaml.safe_load((bundle / "architecture.yaml").read_text())["architecture"],
        "operators_on_cpu": facts["operators_on_cpu"],
        "compiled_operators": [operator.name for operator in compiled],
        "fully_on_npu": {operator.name for operator in compiled} == {CUSTOM_OPERATOR},
        "tflm": {"mapped": told.mapped, "operators": len(told.operators), **allocate(content).to_json()},
        "micro": read_metrics(bundle).get("micro"),
    }


def _trained(work: Path, common: dict[str, Any], network: Network) -> dict[str, Any]:
    path = work / f"{network.name}.yaml"
    path.write_text(yaml.safe_dump(network.to_dict(), sort_keys=False))
    recipe = {**common, "name": network.name, "space": {"architecture": str(path)}, "export": {"accuracy_drop": 1.0}}
    return _figures(_run(recipe, work / network.name))


def _run(document: dict[str, Any], folder: Path) -> Path:
    recipe = Recipe.parse(yaml.safe_dump(document), "the recipe of this benchmark")
    run(recipe, resume=folder.exists(), output=folder, quiet=True)
    return folder / "bundle"


def _figures(bundle: Path) -> dict[str, Any]:
    metrics = read_metrics(bundle)
    estimate = json.loads((bundle / "model_vela.json").read_text())["estimate"]
    return {
        "name": bundle.parent.name,
        "top1": metrics["top1"]["tflite"],
        "top1_float": metrics["top1"]["float"],
        "latency_ms": estimate["latency_ms"],
        "sram_bytes": estimate["sram_bytes"],
        "flash_bytes": estimate["flash_bytes"],
        "macs": metrics["macs"],
        "params": metrics["params"],
        "provenance": metrics["provenance"],
    }


def claims(found: dict[str, Any]) -> list[dict[str, Any]]:
    """What the shipped file is, beside its budget and the best of the others."""
    shipped, best = found["found"], found["best"]
    takes = shipped["tflm"]["mapped"] == shipped["tflm"]["operators"] and (shipped["micro"] or {}).get("agrees") is True
    words = f"search: latency over that of {best['name']} ({best['top1']:.4f}, {best['latency_ms']:.4g} ms)"
    return [
        *(
            claim(f"search: {cost} of the shipped file", float(shipped[cost]), float(limit))
            for cost, limit in found["budget"].items()
        ),
        claim("search: operators left to the CPU by Vela", float(len(shipped["operators_on_cpu"])), 0.0),
        claim("search: the compiled file is all NPU", float(shipped["fully_on_npu"]), 1.0, least=True),
        claim("search: TFLM runs the file, as LiteRT does", float(takes), 1.0, least=True),
        claim("search: top1 of the shipped file, target", shipped["top1"], found["target"], least=True),
        claim(words, shipped["latency_ms"] / best["latency_ms"], 1.0),
    ]
