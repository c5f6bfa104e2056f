"""Two images in one: mixup (arXiv 1710.09412) and cutmix (arXiv 1905.04899), each image by its own draw.

The labels of a mixed batch are three arrays: each image's label, its partner's, and the label's share. The loss is the
same mixture of the losses of both, which for cross-entropy is that of the mixed label. ``keras.layers.MixUp`` and
``CutMix`` do the same to batches of one-hot labels with one draw for all of them.
"""

from __future__ import annotations

import numpy as np

Mixed = tuple[np.ndarray, np.ndarray, np.ndarray]


def mixed(
    images: np.ndarray, labels: np.ndarray, mixup: float, cutmix: float, rng: np.random.Generator
) -> tuple[np.ndarray, Mixed]:
    """(images, (labels, labels of the partners, shares of the labels)).

    Args:
        images: uint8 (N, height, width, channels).
        labels: (N,).
        mixup: both parameters of the Beta distribution of shares; 0: off.
        cutmix: likewise; where both are on, every batch draws one of them.
        rng: of the shares and partners.
    """
    partners = rng.permutation(len(images))
    cuts = cutmix > 0 and (mixup <= 0 or rng.random() < 0.5)
    alpha = cutmix if cuts else mixup
    share = rng.beta(alpha, alpha, len(images)).astype(np.float32) if alpha > 0 else np.ones(len(images), np.float32)
    if cuts:
        changed, share = _cut(images, images[partners], share, rng)
    else:
        weight = share[:, None, None, None]
        changed = np.round(weight * images + (1 - weight) * images[partners]).astype(images.dtype)
    return changed, (labels, labels[partners], share)


def _cut(
    images: np.ndarray, others: np.ndarray, share: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A window of the other image, whose area is 1 - share but for what lies outside; the share that is left."""
    count, height, width, _ = images.shape
    inside = []
    for side in (height, width):
        length = np.round(side * np.sqrt(1 - share)).astype(np.intp)
        first = rng.integers(0, side, count) - length // 2
        place = np.arange(side)[None]
        inside.append((place >= first[:, None]) & (place < (first + length)[:, None]))
    window = inside[0][:, :, None] & inside[1][:, None, :]
    left = 1 - window.mean((1, 2), dtype=np.float32)
    return np.where(window[..., None], others, images), left.astype(np.float32)
