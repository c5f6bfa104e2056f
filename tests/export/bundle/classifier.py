"""What the bundle of these tests is made of, and how it is changed."""

from __future__ import annotations

import json
from pathlib import Path

from edgenas.export.bundle.bundle import read_metrics, verify_bundle
from edgenas.export.bundle.check import OPTIONAL_FILES, file_checksum, metrics_checksum

LABELS = ("0 degrees", "30", "60", "90 | upright", "120", "150°")

ORIGIN = {"kind": "measured", "device": "local-cpu", "runtime": "ai-edge-litert", "runtime_version": "2.3", "runs": 50}

#: Of a classifier.
OPTIONAL = [name for name in OPTIONAL_FILES if name not in ("Detector.kt", "stream.tflite")]


def rewrite(folder: Path, **changes: object) -> list[str]:
    """Problems after changing keys of metrics.json and making its checksum fit."""
    metrics = read_metrics(folder)
    metrics = {key: value for key, value in (metrics | changes).items() if value != "REMOVE"}
    if "checksums" in metrics:
        metrics["checksums"]["metrics.json"] = metrics_checksum(metrics)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return verify_bundle(folder)


def replace_file(folder: Path, name: str, content: bytes, **changes: object) -> list[str]:
    """Problems after replacing a file and making its checksum fit, as a careless repair would."""
    (folder / name).write_bytes(content)
    checksums = read_metrics(folder)["checksums"] | {name: file_checksum(content)}
    return rewrite(folder, checksums=checksums, **changes)
