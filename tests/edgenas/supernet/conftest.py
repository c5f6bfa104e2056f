"""Small spaces, pictures of three classes that can be told apart, and supernets of them."""

import numpy as np
import pytest
import yaml

from edgenas.data.augmentation import NO_AUGMENTATION
from edgenas.data.dataset import Split
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.spaces.space.search_space import SearchSpace
from edgenas.spaces.space.spec import parse_spec
from edgenas.supernet.lesson import Lesson
from edgenas.tasks import get_task

SPACE = """\
name: tiny_supernet
task: classification
input_shape: [12, 12, 1]
classes: 3
stem: {block: conv, filters: [4, 8], kernel: [3, 5], stride: 1}
stages:
  - stride: 2
    filters: [8, 16]
    depth: [1, 2]
    layers:
      - blocks:
          - {block: ibn, kernel: [3, 5], expansion: [1, 2], se_ratio: [0, 0.25]}
          - {block: fused_ibn, expansion: [1, 2]}
          - {block: gc_ibn, expansion: [2, 4], groups: [2, 4]}
head:
  - {block: classifier, hidden: [0, 8], dropout: 0.5}
"""


@pytest.fixture(scope="session")
def space() -> SearchSpace:
    """Every way of sharing weights: kernels, widths, groups, depth, squeeze-excite, a hidden layer."""
    return SearchSpace(parse_spec(yaml.safe_load(SPACE), "tiny_supernet"))


#: One of each: every branch takes long to trace.
ATTENTION = """\
name: tiny_attention
input_shape: [8, 8, 1]
classes: 3
stem: {block: conv, filters: [8, 16], kernel: 3, stride: 2, activation: hard_swish}
stages:
  - filters: [8, 16]
    depth: 1
    layers:
      - blocks:
          - {block: pre_norm_ibn, kernel: [3, 5], expansion: [1, 2]}
          - {block: relative_attention, head_size: 4, expansion: [1, 2]}
          - {block: uib, start_kernel: [3, 5], kernel: 3, expansion: [1, 2]}
head:
  - {block: classifier, hidden: 8, hidden_norm: true, norm: true, activation: tanh}
"""


@pytest.fixture(scope="session")
def attention_space() -> SearchSpace:
    """The blocks of CoAtNet and MobileNetV4: relative attention, layer norms, pre-norm and universal bottlenecks."""
    return SearchSpace(parse_spec(yaml.safe_load(ATTENTION), "tiny_attention"))


@pytest.fixture(scope="session")
def lesson(space: SearchSpace) -> Lesson:
    """Bright squares in one of three corners."""

    def split(count: int, seed: int) -> Split:
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 120, (count, 12, 12, 1)).astype(np.uint8)
        labels = np.arange(count, dtype=np.int64) % 3
        for image, label in zip(images, labels, strict=True):
            image[(label % 2) * 6 :, (label // 2) * 6 :][:5, :5] += 60
        return Split(images, labels)

    training = split(240, 0)
    task = get_task("classification")
    return Lesson(task, space, training, split(90, 1), Preprocessing.fit(training.images), NO_AUGMENTATION, seed=3)
