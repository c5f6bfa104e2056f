"""What the bench of keyword spotting tells of its runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])


def row(seed: int, top1: dict[str, float], params: dict[str, int]) -> dict:
    models = {
        name: {
            "architecture": name,
            "top1": {"float": top1[name], "tflite": top1[name]},
            "params": params[name],
            "macs": 1,
            "size_bytes": 1,
            "arena_bytes": None,
            "quiet_ms": 0.1 * (1 + (name == "ds_cnn_s")),
            "modelled_ms": {"cortex-m4": 3.0},
        }
        for name in top1
    }
    return {"seed": seed, "models": models}


def test_claims_are_of_means_and_of_the_largest() -> None:
    import bench_audio

    rows = [
        row(0, {"ds_cnn_s": 0.8, "searched": 0.82, "random": 0.81}, {"ds_cnn_s": 100, "searched": 50, "random": 60}),
        row(1, {"ds_cnn_s": 0.8, "searched": 0.79, "random": 0.81}, {"ds_cnn_s": 100, "searched": 61, "random": 60}),
    ]
    gain, params, over_random, latency = bench_audio.claims_of(rows, 0.6)
    assert (gain["value"], gain["met"]) == (pytest.approx(0.5), True)
    assert (params["value"], params["met"]) == (0.61, False)
    assert over_random["value"] == pytest.approx(-0.5)
    assert latency["value"] == 0.5
    assert "top1 0.8200 int8" in bench_audio.row_line(0, "searched", rows[0]["models"]["searched"])


def test_quick_is_small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import bench_audio

    monkeypatch.setattr(sys, "argv", ["bench_audio.py", "--data-dir", str(tmp_path), "--quick"])
    options = bench_audio.parse_arguments()
    plan = bench_audio.make_plan(options)
    assert (options.seeds, plan.trials, plan.epochs) == (1, 4, 6)
    assert 0 < plan.training(6)["ema_decay"] < 1
