"""What the benchmark stands on: CamVid as a data set of EdgeNAS, its spaces, and networks of any width."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from image_sets import decode_jpegs

from edgenas.data.archive import read_arrays
from edgenas.data.segmentation.folder import resize_image
from edgenas.data.segmentation.masks import resize_mask
from edgenas.export.files import write_atomically
from edgenas.spaces.network import Network
from edgenas.spaces.references import reference_network
from edgenas.spaces.resolve import resized
from edgenas.spaces.rounding import round_filters

SMALL_SPACE = Path(__file__).parent / "small_autoseg.yaml"
#: Fields that a width multiplies.
_WIDTHS = ("filters", "skip_filters")


def camvid(data_dir: Path, size: tuple[int, int], path: Path, images: int | None) -> Path:
    """An ``.npz`` file of CamVid in this size (height, width); the parts train and val are for training.

    ``images``: at most so many of each part. Masks are resized by the nearest pixel.
    """
    if path.is_file():
        return path
    arrays = read_arrays(data_dir / "camvid_320x240.npz")
    parts: dict[str, list[np.ndarray]] = {}
    for part, kept in (("train", "train"), ("val", "train"), ("test", "test")):
        masks = arrays[f"m_{part}"][:images]
        lengths = arrays[f"{part}_len"][: len(masks)]
        pictures = decode_jpegs(arrays[f"{part}_jpeg"], lengths)
        parts.setdefault(f"x_{kept}", []).extend(resize_image(picture, size) for picture in pictures)
        parts.setdefault(f"y_{kept}", []).extend(resize_mask(mask, size) for mask in masks)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".part").open("wb") as file:
        np.savez_compressed(
            file,
            **{name: np.stack(values) for name, values in parts.items()},
            class_names=arrays["class_names"][:11],
            void_label=11,
            licence="CC BY-NC 4.0 (CamVid)",
        )
    path.with_suffix(".part").rename(path)
    return path


def deeplab(width: float, input_shape: tuple[int, ...], classes: int) -> Network:
    """MobileNetV2 with DeepLabV3+ at any width."""
    whole = resized(reference_network("deeplab_v3_plus_mobilenet_v2_1.0"), input_shape, classes)
    return scaled(whole, width, f"deeplab_v3_plus_mobilenet_v2_{width:g}")


def scaled(network: Network, width: float, name: str) -> Network:
    """A network whose filters are multiplied, rounded as its family does."""
    nodes = tuple(dataclasses.replace(node, block=_scaled(node.block, width)) for node in network.nodes)
    return dataclasses.replace(network, name=name, nodes=nodes)


def _scaled(block: Any, width: float) -> Any:
    fields = {name: round_filters(getattr(block, name) * width) for name in _WIDTHS if hasattr(block, name)}
    return dataclasses.replace(block, **fields)


def write_network(network: Network, path: Path) -> Path:
    """The network as ``architecture.yaml`` has it."""
    write_atomically(path, yaml.safe_dump(network.to_dict(), sort_keys=False))
    return path


def fixed_neck(path: Path) -> Path:
    """The small space with the BiFPN as EfficientDet has it: every node and edge, plain sums; the width is searched."""
    document = yaml.safe_load(SMALL_SPACE.read_text())
    document["name"] = "small_autoseg_fixed_neck"
    for node in document["cells"]["bifpn"]["nodes"]:
        node.pop("optional", None)
        node.pop("weighted", None)
        node["inputs"] = [_first(source) for source in node["inputs"]]
    for node in document["nodes"]:
        if node["name"] == "head":
            node["inputs"] = [_first(source) for source in node["inputs"]]
    write_atomically(path, yaml.safe_dump(document, sort_keys=False))
    return path


def _first(source: Any) -> Any:
    return source["one_of"][0] if isinstance(source, Mapping) else source
