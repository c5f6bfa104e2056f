"""Makes ``edgenas/data/bundled/fashion_mnist_subset.npz`` from the whole Fashion-MNIST.

    python tools/make_bundled_data.py --source fashion_mnist.npz

The source holds ``x_train, y_train, x_test, y_test`` (as keras.datasets.fashion_mnist does). Images are drawn per class
with a fixed seed: training images from the official training part, test images from the official test part.
Running it again gives the same bytes.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from edgenas.data.bundled import FASHION_MNIST_CLASSES, FOLDER, pack_images, unpack_images
from edgenas.data.npz import load_npz

SIZE_LIMIT_BYTES = 4_000_000
LICENCE = "MIT, copyright 2017 Zalando SE (https://github.com/zalandoresearch/fashion-mnist)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="npz of the whole Fashion-MNIST")
    parser.add_argument("--train", type=int, default=8_600, help="training images")
    parser.add_argument("--test", type=int, default=2_000, help="test images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=FOLDER / "fashion_mnist_subset.npz")
    options = parser.parse_args()

    full = load_npz(options.source)
    arrays: dict[str, np.ndarray] = {
        "class_names": np.array(FASHION_MNIST_CLASSES),
        "licence": np.array(LICENCE),
        "source": np.array(
            f"{options.train:,} of the {len(full.train):,} training and {options.test:,} of the {len(full.test):,} "
            f"test images of Fashion-MNIST, drawn per class with seed {options.seed}; bundled with EdgeNAS"
        ),
    }
    rng = np.random.default_rng(options.seed)
    for part, split, count in (("train", full.train, options.train), ("test", full.test, options.test)):
        chosen = _draw(split.labels, count, rng)
        images, labels = split.images[chosen, ..., 0], split.labels[chosen]
        arrays[f"x_{part}_lzma"], arrays[f"x_{part}_shape"] = pack_images(images), np.array(images.shape)
        arrays[f"y_{part}"] = labels.astype(np.uint8)
        assert (unpack_images(arrays[f"x_{part}_lzma"], arrays[f"x_{part}_shape"])[..., 0] == images).all()

    temporary = options.output.with_suffix(".tmp.npz")
    np.savez(temporary, **arrays)  # type: ignore[arg-type]
    size = temporary.stat().st_size
    if size > SIZE_LIMIT_BYTES:
        temporary.unlink()
        raise SystemExit(f"{size:,} bytes are more than {SIZE_LIMIT_BYTES:,}: ask for fewer images")
    os.replace(temporary, options.output)
    print(f"{options.output}: {options.train:,} training and {options.test:,} test images, {size:,} bytes")


def _draw(labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """The same number of every class, class after class, each in the order of the source."""
    classes = np.unique(labels)
    if count % len(classes):
        raise SystemExit(f"{count} images cannot be shared equally by {len(classes)} classes")
    share = count // len(classes)
    return np.concatenate(
        [np.sort(rng.choice(np.flatnonzero(labels == label), share, replace=False)) for label in classes]
    )


if __name__ == "__main__":
    main()
