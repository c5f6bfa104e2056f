"""Trains a small network on one device and on two logical CPU devices; prints how far the results are apart."""

import json


def main() -> None:
    import numpy as np
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    from edgenas.data.dataset import Split
    from edgenas.export.bundle.preprocessing import Preprocessing
    from edgenas.spaces.blocks import ClassifierHead, ConvBnAct, InvertedBottleneck
    from edgenas.spaces.network import chain
    from edgenas.tasks import get_task
    from edgenas.training import TrainingSettings, train

    blocks = {"stem": ConvBnAct(8, stride=2), "one": InvertedBottleneck(8, expansion=2), "head": ClassifierHead(4)}
    network = chain("small", (12, 12, 3), blocks)
    rng = np.random.default_rng(0)
    data = Split(rng.integers(0, 255, (96, 12, 12, 3)).astype(np.uint8), np.arange(96, dtype=np.int64) % 4)
    seen = Preprocessing.fit(data.images)

    def weights(steps: int, devices: tuple[str, ...]) -> np.ndarray:
        settings = TrainingSettings(
            max_steps=steps, epochs=9, batch_size=32, ema_decay=0.0, warmup=0.0, optimizer="sgd", learning_rate=0.02
        )
        task = get_task("classification")
        result = train(network, data, settings, task=task, seed=1, preprocessing=seen, devices=devices)
        return np.concatenate([value.ravel() for value in result.model.get_weights()])

    one, two = weights(6, ()), weights(6, ("CPU:0", "CPU:1"))
    found = {"devices": len(tf.config.list_logical_devices("CPU")), "apart": float(np.abs(one - two).max())}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
