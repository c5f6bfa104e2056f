"""Image folders: ``train/<class>/*.png`` and ``test/<class>/*.png`` (also .jpg, .jpeg, .bmp, .webp)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgenas.data.dataset import Dataset
from edgenas.spaces.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


def load_folder(
    root: Path, *, name: str | None = None, image_size: tuple[int, int] | None = None, channels: int | None = None
) -> Dataset:
    """Reads every image under ``root/train`` and ``root/test``; the folders there are the classes, sorted by name.

    ``image_size`` (height, width) resizes (bilinear, without keeping the aspect); without it all images must have
    one size. ``channels`` 1 or 3; without it 1 if every image is grey, else 3. Raises InputError naming the folder or
    file that is wrong.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; expected train/<class>/ and test/<class>/ in it")
    class_names = _class_names(root / "train")
    extra = sorted(set(_class_names(root / "test")) - set(class_names))
    if extra:
        raise InputError(f"{root / 'test' / extra[0]}: a class without training images; expected train/{extra[0]}/")
    files = {part: _files(root / part, class_names) for part in ("train", "test")}
    every_file = [path for part in files.values() for path, _ in part]
    if channels is None:
        channels = 1 if all(_is_grey(path) for path in every_file) else 3
    images = {part: _stack(root, [path for path, _ in files[part]], image_size, channels) for part in files}
    labels = {part: np.array([label for _, label in files[part]], np.int64) for part in files}
    licence = next((p for p in (root / "LICENSE", root / "LICENSE.txt") if p.is_file()), None)
    return Dataset(
        name=name or root.resolve().name,
        images=images["train"],
        labels=labels["train"],
        test_images=images["test"],
        test_labels=labels["test"],
        class_names=class_names,
        licence=f"see {licence}" if licence else "not stated in the folder",
        source=str(root),
    )


def _class_names(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one folder per class in it, with images")
    names = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))
    if not names:
        raise InputError(f"{folder}: no class folders; expected one folder per class, with images")
    return names


def _files(folder: Path, class_names: tuple[str, ...]) -> list[tuple[Path, int]]:
    found = []
    for label, name in enumerate(class_names):
        class_folder = folder / name
        paths = sorted(class_folder.rglob("*")) if class_folder.is_dir() else []
        images = [path for path in paths if path.suffix.lower() in SUFFIXES]
        if not images and folder.name == "train":
            raise InputError(f"{class_folder}: no images; expected files ending in {', '.join(SUFFIXES)}")
        found += [(path, label) for path in images]
    if not found:
        raise InputError(f"{folder}: no images in any class; expected files ending in {', '.join(SUFFIXES)}")
    return found


def _open(path: Path):  # type: ignore[no-untyped-def]  # Pillow is imported late
    from PIL import Image

    try:
        return Image.open(path)
    except OSError as error:  # UnidentifiedImageError is one
        raise InputError(f"{path}: not a readable image ({error}); remove or replace it") from None


def _is_grey(path: Path) -> bool:
    with _open(path) as image:
        return image.mode in ("1", "L", "I", "I;16", "LA")


def _stack(root: Path, paths: list[Path], image_size: tuple[int, int] | None, channels: int) -> np.ndarray:
    from PIL import Image

    images: np.ndarray | None = None
    for index, path in enumerate(paths):
        with _open(path) as image:
            try:
                pixels = image.convert("L" if channels == 1 else "RGB")
            except (OSError, SyntaxError, ValueError) as error:
                raise InputError(f"{path}: a damaged image ({error}); remove or replace it") from None
            if image_size is not None:
                pixels = pixels.resize((image_size[1], image_size[0]), Image.Resampling.BILINEAR)
            array = np.asarray(pixels, np.uint8).reshape(pixels.height, pixels.width, channels)
        if images is None:
            images = np.empty((len(paths), *array.shape), np.uint8)
        if array.shape != images.shape[1:]:
            raise InputError(
                f"{path}: {array.shape[0]}x{array.shape[1]} pixels, but {paths[0].relative_to(root)} is "
                f"{images.shape[1]}x{images.shape[2]}; set image_size to resize all of them"
            )
        images[index] = array
    assert images is not None
    return images
