"""Trains on one device and on two logical CPU devices; prints how far the results are apart.

A process of its own, because TensorFlow must hear of logical devices before it begins.
"""

import json
from typing import Any

import numpy as np

TWO = ("CPU:0", "CPU:1")
SPACE = """
name: few
task: classification
input_shape: [12, 12, 3]
classes: 4
stem: {block: conv, filters: [4, 8], kernel: [3, 5], stride: 2}
stages: [{filters: [4, 8], depth: 1, layers: [{blocks: [{block: conv}]}]}]
head: [{block: classifier}]
"""


def examples() -> Any:
    from edgenas.data.dataset import Split

    rng = np.random.default_rng(0)
    return Split(rng.integers(0, 255, (96, 12, 12, 3)).astype(np.uint8), np.arange(96, dtype=np.int64) % 4)


def trained(devices: tuple[str, ...]) -> np.ndarray:
    """The weights of a network after six steps."""
    from edgenas.export.bundle.preprocessing import Preprocessing
    from edgenas.spaces.blocks import ClassifierHead, ConvBnAct, InvertedBottleneck
    from edgenas.spaces.network import chain
    from edgenas.tasks import get_task
    from edgenas.training import TrainingSettings, train

    blocks = {"stem": ConvBnAct(8, stride=2), "one": InvertedBottleneck(8, expansion=2), "head": ClassifierHead(4)}
    settings = TrainingSettings(
        max_steps=6, epochs=9, batch_size=32, ema_decay=0.0, warmup=0.0, optimizer="sgd", learning_rate=0.02
    )
    data = examples()
    result = train(
        chain("small", (12, 12, 3), blocks),
        data,
        settings,
        task=get_task("classification"),
        seed=1,
        preprocessing=Preprocessing.fit(data.images),
        devices=devices,
    )
    return np.concatenate([value.ravel() for value in result.model.get_weights()])


def shared(devices: tuple[str, ...]) -> np.ndarray:
    """The weights of a supernet after two steps of three networks."""
    import yaml

    from edgenas.data.augmentation import NO_AUGMENTATION
    from edgenas.export.bundle.preprocessing import Preprocessing
    from edgenas.spaces.space.search_space import SearchSpace
    from edgenas.spaces.space.spec import parse_spec
    from edgenas.supernet.learning import Learner, StepNetwork
    from edgenas.supernet.lesson import Lesson
    from edgenas.supernet.network import Supernet
    from edgenas.supernet.settings import SupernetSettings
    from edgenas.tasks import get_task
    from edgenas.training.runtime import light_graphs

    space, data = SearchSpace(parse_spec(yaml.safe_load(SPACE), "few")), examples()
    task = get_task("classification")
    lesson = Lesson(task, space, data, data, Preprocessing.fit(data.images), NO_AUGMENTATION, seed=3)
    learner = Learner(Supernet(space, seed=1), lesson, SupernetSettings(random_networks=3), devices=devices)
    rows = space.sample(np.random.default_rng(0), 3)
    plans = [learner.supernet.plan(space.architecture(row)) for row in rows]
    with light_graphs():
        for step in range(2):
            batch = lesson.batch(step, 32)
            learner.train([StepNetwork(plan, batch, np.zeros(3)) for plan in plans], 0.0, 0.001)
    return np.asarray(learner.supernet.weights.numpy())


def main() -> None:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    found: dict[str, float] = {"devices": len(tf.config.list_logical_devices("CPU"))}
    for name, weights in (("trained", trained), ("shared", shared)):
        found[name] = float(np.abs(weights(()) - weights(TWO)).max())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
