"""Which files of a bundle are missing or changed: a part of the text of both programs that a bundle may hold."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

# ---- run.py holds what follows ----


def changed_files(metrics: dict, folder: Path) -> list:
    """What the checksums in metrics.json say of the files beside it, one line for each problem."""
    problems: list = []
    for name, expected in sorted(metrics.get("checksums", {}).items()):
        if name == "metrics.json":
            rest = {key: value for key, value in metrics.items() if key != "checksums"}
            content = json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()
        elif (folder / name).is_file():
            content = (folder / name).read_bytes()
        else:
            problems.append(f"{name}: missing")
            continue
        if hashlib.sha256(content).hexdigest() != expected:
            problems.append(f"{name}: changed since the bundle was written")
    if not metrics.get("checksums") or not metrics.get("self_test"):
        problems.append("metrics.json: holds no checksums or no self-test")
    return problems
