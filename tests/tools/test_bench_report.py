"""The benchmark of long reports makes studies that the report takes: with checksums, as a run writes them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_small_one(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    command = [sys.executable, ROOT / "tools" / "bench_report.py", "--trials", "12", "--quick", "--json", out]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    document = json.loads(out.read_text())
    assert len(document["claims"]) == 2
    assert document["reports"][0]["mb"] > 1
    assert document["reports"][0]["cpu_seconds"][0] > 0
