"""A whole run on a space of h-swish, squeeze-excite, universal bottlenecks and relative attention."""

import json
from pathlib import Path

import pytest

from edgenas.export.bundle.bundle import verify_bundle
from edgenas.export.compilers.edgetpu.check import check_edgetpu
from edgenas.export.tflite.reader import check_integer
from edgenas.recipe.recipe import Recipe
from edgenas.run.pipeline import run
from tests.edgenas.run.test_pipeline_ship import few_images

SPACE = """\
name: one_of_each
task: classification
input_shape: [28, 28, 1]
classes: 10
stem: {block: conv, filters: 8, kernel: 3, stride: 2, activation: hard_swish}
stages:
  - stride: 2
    filters: [8, 16]
    depth: 1
    layers:
      - blocks: [{block: ibn, expansion: 2, se_ratio: 0.25, activation: hard_swish}]
  - filters: [8, 16]
    depth: 1
    layers:
      - blocks: [{block: uib, start_kernel: [3, 5], kernel: 3, expansion: 2}]
  - stride: 2
    filters: 16
    depth: 2
    layers:
      - blocks: [{block: pre_norm_ibn, expansion: 2, activation: relu, se_ratio: 0}]
      - blocks: [{block: relative_attention, head_size: 8, expansion: 2, activation: relu, norm: [layer, batch]}]
head:
  - {block: classifier, norm: true}
"""
RECIPE = """
name: families
data: {{path: {data}}}
space: {{path: space.yaml}}
device: {{name: edgetpu-sim}}
budget: {{latency_ms: 50.0}}
output: {runs}
search: {{trials: 1, finalists: 1, training: {{epochs: 1, batch_size: 32}}}}
training: {{epochs: 1, batch_size: 32, learning_rate: 0.01}}
export: {{calibration_images: 50}}
"""


@pytest.mark.slow
def test_from_the_profile_to_the_bundle(tmp_path: Path, home: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(data=few_images(tmp_path), runs=tmp_path / "runs"))
    result = run(Recipe.load(path), quiet=True)
    assert verify_bundle(result.run / "bundle") == []
    model = (result.run / "bundle" / "model.tflite").read_bytes()
    assert check_integer(model) == []
    refused = {one.op for one in check_edgetpu(model).operators if not one.mapped}
    assert "BATCH_MATMUL" in refused  # an Edge TPU multiplies no activations by activations
    metrics = json.loads((result.run / "bundle" / "metrics.json").read_text())
    assert metrics["predicted"]["edgetpu-sim"]["latency_ms"] > 0
    assert abs(metrics["top1"]["float"] - metrics["top1"]["tflite"]) <= 0.15
    report = (result.run / "report.html").read_text()
    for family in ("UIB", "Pre-IBN", "Attn"):
        assert f">{family}<" in report
