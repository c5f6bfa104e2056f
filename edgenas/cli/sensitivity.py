"""``edgenas export RUN --sensitivity``: which layers cost accuracy in int8, and what keeping the worst finer costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgenas.cli.output import print_json, print_table


def print_sensitivity(folder: Path, trial: int | None, data_dir: Path | None, as_json: bool) -> None:
    """Prints the layers, the worst first, and the choices."""
    from edgenas.compare.sensitivity import run_sensitivity
    from edgenas.export.quantization.selective.sensitivity import layer_name
    from edgenas.report.text import metric_title

    data = run_sensitivity(folder, trial, data_dir=data_dir)
    if as_json:
        print_json(data)
        return
    metric = metric_title(data["metric"])
    print_table(
        ("", "layer", "operator", "alone in int8 dB", f"{metric} lost", "all but it dB", f"{metric} gained"),
        [
            (
                layer["index"],
                layer_name(layer["tensor"]),
                layer["operator"],
                round(layer["alone"]["sqnr_db"], 1),
                round(100 * layer["alone"]["loss"], 2),
                round(layer["without"]["sqnr_db"], 1),
                round(100 * layer["without"]["gain"], 2),
            )
            for layer in data["layers"]
        ],
        title=f"trial {data['trial']}: layers, the most sensitive first, on {data['examples']:,} validation examples",
    )
    names = {layer["index"]: layer_name(layer["tensor"]) for layer in data["layers"]}
    print_table(
        ("kept finer", "in", f"{metric} %", "lost", "dB", "bytes", _latency_title(data), ""),
        [*(_choice(choice, names) for choice in data["choices"]), _reference(data)],
        title=f"choices on {data['device']}",
    )
    for device in data.get("devices", ())[1:]:
        print_table(
            ("kept finer", "in", "quiet ms"),
            [
                (_kept(choice, names), choice["keep"] or "-", _quiet(choice["devices"][device]["latency"]))
                for choice in data["choices"]
            ],
            title=f"the same on {device}",
        )
    for words in data["words"]:
        print(f"- {words}")


def _latency_title(data: dict[str, Any]) -> str:
    from edgenas.export.figure import common_kind

    kinds = [choice["latency"]["kind"] for choice in data["choices"] if "kind" in choice["latency"]]
    return f"quiet ms ({common_kind(kinds)})"


def _choice(choice: dict[str, Any], names: dict[int, str]) -> tuple[object, ...]:
    return (
        _kept(choice, names),
        choice["keep"] or "-",
        round(100 * choice["score"], 2),
        round(100 * choice["loss"], 2),
        round(choice["sqnr_db"], 1),
        choice["size_bytes"],
        _quiet(choice["latency"]),
        "taken" if choice["taken"] else "",
    )


def _reference(data: dict[str, Any]) -> tuple[object, ...]:
    reference = data["float32"]
    score = round(100 * data["float_score"], 2)
    return "all (float32)", "float", score, 0.0, None, reference["size_bytes"], _quiet(reference["latency"]), ""


def _kept(choice: dict[str, Any], names: dict[int, str]) -> str:
    """The layer that this choice adds to the one before it."""
    kept = choice["kept"]
    return "none (int8)" if not kept else f"{len(kept)}: {'+ ' * (len(kept) > 1)}{names[kept[-1]]}"


def _quiet(latency: dict[str, Any]) -> object:
    if "quiet_ms" not in latency:
        return f"none: {latency['error']}"
    left = latency.get("uncounted")
    return latency["quiet_ms"] if not left else f"{latency['quiet_ms']:.4g}, without {left} operators on the CPU"
