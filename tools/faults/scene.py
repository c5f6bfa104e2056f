"""The small world that faults happen in: a space, a table, data and recipes that take milliseconds to read."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgenas.devices import get_device
from edgenas.latency.table.latency_table import LatencyTable, Row
from edgenas.spaces.space.search_space import SearchSpace

SPACE = """\
name: small
task: classification
input_shape: [12, 12, 1]
classes: 4
stem: {block: conv, filters: 8, kernel: 3, stride: 2}
stages:
  - stride: 2
    filters: [8, 16]
    depth: [1, 2]
    layers:
      - blocks:
          - {block: ibn, kernel: [3, 5], expansion: [2, 4]}
          - {block: fused_ibn, expansion: [1, 2]}
head:
  - {block: classifier}
"""

RECIPE = """\
name: demo
seed: 1
output: runs
data: {{path: {data}}}
space: {{path: {space}}}
device: {{name: {device}, table: {table}}}
budget: {{latency_ms: 5.0}}
search:
  trials: {trials}
  workers: {workers}
  training: {{epochs: 1, batch_size: 16}}
training: {{epochs: 1, batch_size: 16}}
"""


@dataclass(frozen=True)
class Scene:
    """Files that commands need, under one folder."""

    folder: Path

    @property
    def home(self) -> Path:
        """EdgeNAS's own folder, so that nobody's tables are touched."""
        return self.folder / "home"

    @property
    def space(self) -> Path:
        return self.folder / "space.yaml"

    @property
    def table(self) -> Path:
        return self.folder / "table.csv"

    @property
    def data(self) -> Path:
        return self.folder / "data.npz"

    def recipe(
        self,
        *,
        trials: int = 6,
        workers: int = 1,
        device: str = "local-cpu",
        table: str | None = None,
        data: Path | None = None,
        space: Path | None = None,
    ) -> str:
        """The text of a recipe; a simulated device makes its own table in no time."""
        own = "null" if device != "local-cpu" else self.table
        return RECIPE.format(
            data=json.dumps(str(data or self.data)),
            space=json.dumps(str(space or self.space)),
            device=device,
            table=table or own,
            trials=trials,
            workers=workers,
        )

    @classmethod
    def make(cls, folder: Path) -> Scene:
        """Writes the files and points EdgeNAS's home into the folder."""
        scene = cls(folder)
        shutil.rmtree(folder, ignore_errors=True)
        scene.home.mkdir(parents=True)
        os.environ["EDGENAS_HOME"] = str(scene.home)
        os.environ.pop("EDGENAS_DATA_DIR", None)
        scene.space.write_text(SPACE, encoding="utf-8")
        scene.table.write_text(table_text(SearchSpace.load(scene.space)), encoding="utf-8")
        np.savez(scene.data, **arrays())
        return scene


def arrays(seed: int = 0, side: int = 12, classes: int = 4) -> dict[str, np.ndarray]:
    """Pictures of a bright quarter whose place is the class: learned in one epoch."""
    rng = np.random.default_rng(seed)
    found: dict[str, np.ndarray] = {}
    for part, count in (("train", 96), ("test", 48)):
        labels = np.arange(count) % classes
        images = rng.integers(0, 90, (count, side, side), dtype=np.uint8)
        half = side // 2
        for image, label in zip(images, labels, strict=True):
            row, column = divmod(int(label) % 4, 2)
            image[row * half : (row + 1) * half, column * half : (column + 1) * half] += 120
        found |= {f"x_{part}": images, f"y_{part}": labels.astype(np.int64)}
    return found


def table_text(space: SearchSpace, precision: str = "int8") -> str:
    """A table of this machine with made-up latencies: here only reading matters."""
    identity = get_device("local-cpu").identity()
    return LatencyTable(
        device=identity.device,
        precision=precision,
        runtime=identity.runtime,
        runtime_version=identity.runtime_version,
        threads=1,
        protocol="made up",
        anchor_ms=1.0,
        created="2000-01-01T00:00:00Z",
        rows={name: Row(1e-3 + entry.graph.macs * 1e-7) for name, entry in space.signatures(precision).items()},
        cpu_model=identity.cpu_model,
    ).to_text()
