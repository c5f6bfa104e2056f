"""What the segmentation bench compares: widths, necks, ends, and CamVid as it stands in its file."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgenas.data.segmentation import VOID, load_segmentation
from edgenas.data.task_data import DataRequest
from edgenas.spaces.space.search_space import SearchSpace

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])


def test_networks_of_any_width() -> None:
    from segmentation_bench.ground import deeplab

    half, whole = (deeplab(width, (96, 128, 3), 11) for width in (0.5, 1.0))
    assert half.macs < 0.4 * whole.macs
    assert half.graph.output_shapes == whole.graph.output_shapes == ((24, 32, 11),)


def test_the_fixed_neck_has_every_node_and_searches_its_width(tmp_path: Path) -> None:
    from segmentation_bench.ground import SMALL_SPACE, fixed_neck

    free, fixed = (SearchSpace.load(path) for path in (SMALL_SPACE, fixed_neck(tmp_path / "fixed.yaml")))
    names = {decision.name for decision in fixed.decisions}
    assert "neck.filters" in names
    assert not [name for name in names if name.startswith(("a_", "head"))]
    assert [name for name in (decision.name for decision in free.decisions) if name.startswith("a_")]
    network = fixed.decode(fixed.sample(np.random.default_rng(0), 1)[0])
    assert sum(node.block.kind == "bifpn_node" for node in network.nodes) == 7


def test_ends_of_a_network() -> None:
    from segmentation_bench.fused import ENDS, with_end
    from segmentation_bench.ground import deeplab

    network = deeplab(0.25, (48, 64, 3), 11)
    blocks = {end: with_end(network, end).nodes[-1].block for end in ENDS}
    assert (blocks["fused chain"].at_height, blocks["fused chain"].argmax) == (12, "chain")
    assert (blocks["plain"].at_height, blocks["plain"].argmax) == (48, "operator")
    assert with_end(with_end(network, "plain"), "fused").learned.nodes == network.nodes


def test_camvid_out_of_its_file(tmp_path: Path) -> None:
    from segmentation_bench.ground import camvid

    arrays = {"class_names": np.array([f"c{i}" for i in range(11)] + ["void"])}
    for part in ("train", "val", "test"):
        content = io.BytesIO()
        Image.new("RGB", (32, 24), (10, 200, 30)).save(content, "JPEG")
        file = np.frombuffer(content.getvalue(), np.uint8)
        arrays[f"{part}_jpeg"], arrays[f"{part}_len"] = np.tile(file, 3), np.full(3, len(file))
        arrays[f"m_{part}"] = np.full((3, 24, 32), 11, np.uint8)
        arrays[f"m_{part}"][:, :12] = 4
    np.savez(tmp_path / "camvid_320x240.npz", **arrays)
    path = camvid(tmp_path, (12, 16), tmp_path / "small.npz", 2)
    data = load_segmentation(DataRequest(str(path)))
    assert (len(data.train), len(data.test), data.facts["classes"][4]) == (4, 2, "c4")
    assert set(np.unique(data.train.targets)) == {4, VOID}
