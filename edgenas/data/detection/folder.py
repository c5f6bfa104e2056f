"""Folders of images with annotations, in the arrangements that COCO, Pascal VOC, YOLO and labelling tools write.

Looked for, in this order:

- COCO: ``train*.json`` and ``test*.json`` (else ``val*.json``) in the folder or in ``annotations/``, with
  ``instances_`` before them or not; or one JSON file, of which a test part is split off;
- Pascal VOC: ``Annotations/*.xml`` beside ``JPEGImages/`` with ``ImageSets/Main/{trainval or train, test or val}.txt``;
- YOLO: ``images/{train,test or val}`` and ``labels/`` likewise;
- ``train/`` and ``test/`` (else ``valid/`` or ``val/``), each with one JSON file, XML files or text files;
- the same without parts, of which a test part is split off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgenas.data.detection.annotations import AnnotatedImage, Annotations
from edgenas.data.detection.coco import is_coco, read_coco
from edgenas.data.detection.documents import read_json, read_text
from edgenas.data.detection.example_set import Part, check_images, example_set
from edgenas.data.detection.pictures import Size, picture_stack
from edgenas.data.detection.voc import read_voc
from edgenas.data.detection.yolo import read_names, read_yolo
from edgenas.data.folders import SUFFIXES, pictures_under
from edgenas.data.task_data import ExampleSet
from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_path

#: Names of the part for the end, the first that is there.
TEST_NAMES = ("test", "val", "valid", "validation")
_EXPECTED = "COCO's .json, Pascal VOC's .xml or YOLO's .txt files, beside or below the images"


def load_box_folder(
    root: Path,
    *,
    name: str | None = None,
    image_size: Size | None = None,
    channels: int | None = None,
    seed: int = 0,
    classes: Sequence[str] = (),
) -> ExampleSet:
    """Reads a folder; see the module for the arrangements, and the readers for the formats.

    ``image_size`` (height, width) resizes images (bilinear); boxes are shares of the sides, so they stay. ``classes``
    names those that are kept, in order. Raises InputError naming file and box.
    """
    if not check_path(root).is_dir():
        raise InputError(f"{root}: no such folder; expected {_EXPECTED}")
    read = _read_parts(root)
    for part, told in read.items():
        check_images(told.images, f"{root} ({part} part)")
    every = sum(len(told.images) for told in read.values())
    parts = {}
    for part, told in read.items():
        images, sizes = picture_stack(told.images, image_size, channels or 3, every)
        parts[part] = Part(images, sizes, told)
    licence = next((p for p in (root / "LICENSE", root / "LICENSE.txt") if p.is_file()), None)
    return example_set(
        parts,
        name=name or root.resolve().name,
        licence=f"see {licence}" if licence else "not stated in the folder",
        source=str(root),
        seed=seed,
        classes=classes,
    )


def _read_parts(root: Path) -> dict[str, Annotations]:
    for find in (_coco_files, _voc_lists, _yolo_folders, _part_folders):
        if parts := find(root):
            return parts
    return {"train": _read_folder(root, root)}


# COCO --------------------------------------------------------------------------------------------------------------


def _coco_files(root: Path) -> dict[str, Annotations]:
    for folder in (root, root / "annotations"):
        found = sorted(folder.glob("*.json")) if folder.is_dir() else []
        by_part: dict[str, Path] = {}
        for part, names in (("train", ("train",)), ("test", TEST_NAMES)):
            for wanted in names:
                some = [path for path in found if path.stem.removeprefix("instances_").startswith(wanted)]
                if some:
                    by_part[part] = some[0]
                    break
        if "train" not in by_part and len(found) == 1:
            by_part = {"train": found[0]}
        if "train" in by_part:
            return {part: _coco_file(path, root) for part, path in by_part.items()}
    return {}


def _coco_file(path: Path, root: Path) -> Annotations:
    """Images are looked for beside the file, in ``images/``, and in the folder of the part's name."""
    stem = path.stem.removeprefix("instances_")
    folders = [path.parent, path.parent / "images", root, root / "images", root / stem, root / "images" / stem]
    return read_coco(path, lambda record, _: _found_image(record, folders, path))


def _found_image(record: Mapping[str, Any], folders: Sequence[Path], file: Path) -> Path:
    name = str(record["file_name"])
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(f"{file}: the image {name!r} lies outside of the folder; write its name in it")
    for folder in folders:
        if (check_path(folder / name)).is_file():
            return folder / name
    raise InputError(f"{file}: there is no image {name!r}; expected it beside the file, or in images/")


# Pascal VOC --------------------------------------------------------------------------------------------------------


def _voc_lists(root: Path) -> dict[str, Annotations]:
    lists = root / "ImageSets" / "Main"
    if not (root / "Annotations").is_dir() or not lists.is_dir():
        return {}
    parts = {}
    for part, names in (("train", ("trainval", "train")), ("test", TEST_NAMES)):
        path = next((lists / f"{name}.txt" for name in names if (lists / f"{name}.txt").is_file()), None)
        if path is not None:
            parts[part] = _voc_list(root, path)
    if parts and "train" not in parts:
        raise InputError(f"{lists}: no trainval.txt or train.txt; expected the names of the training images in it")
    return parts


def _voc_list(root: Path, path: Path) -> Annotations:
    pictures = _by_stem(pictures_under(root / "JPEGImages") if (root / "JPEGImages").is_dir() else [])
    found = []
    for line, text in enumerate(read_text(path, "a list of images").splitlines(), start=1):
        if not (name := text.split()[0] if text.split() else ""):
            continue
        if name not in pictures:
            raise InputError(f"{path}: line {line}: there is no image {name!r} in {root / 'JPEGImages'}")
        found.append(read_voc(root / "Annotations" / f"{name}.xml", pictures[name], pictures[name].name))
    return Annotations(tuple(found))


# Folders -----------------------------------------------------------------------------------------------------------


def _yolo_folders(root: Path) -> dict[str, Annotations]:
    images = root / "images"
    if not (images / "train").is_dir():
        return {}
    names = read_names([root])
    tests = next((name for name in TEST_NAMES if (images / name).is_dir()), None)
    parts = {"train": "train"} | ({"test": tests} if tests else {})
    return {
        part: _yolo(pictures_under(images / folder), images / folder, root / "labels" / folder, names)
        for part, folder in parts.items()
    }


def _part_folders(root: Path) -> dict[str, Annotations]:
    if not (root / "train").is_dir():
        return {}
    tests = next((name for name in TEST_NAMES if (root / name).is_dir()), None)
    parts = {"train": "train"} | ({"test": tests} if tests else {})
    return {part: _read_folder(root / folder, root) for part, folder in parts.items()}


def _read_folder(folder: Path, root: Path) -> Annotations:
    """The annotations of one folder, in the format of the files that are there."""
    documents = sorted(folder.glob("*.json"))
    coco = [path for path in documents if is_coco(read_json(path))] if len(documents) > 1 else documents
    if len(coco) == 1:
        return _coco_file(coco[0], root)
    if len(coco) > 1:
        raise InputError(f"{folder}: {len(coco)} files of annotations ({coco[0].name}, {coco[1].name}); expected one")
    place = next((folder / name for name in ("images", "JPEGImages") if (folder / name).is_dir()), folder)
    pictures = pictures_under(place)
    if not pictures:
        raise InputError(f"{place}: no images; expected files ending in {', '.join(SUFFIXES)}")
    xml = [path for name in ("", "Annotations", "annotations") for path in (folder / name).glob("*.xml")]
    if xml:
        return _voc(folder, pictures, xml)
    labels = folder / "labels" if (folder / "labels").is_dir() else place
    if any(labels.rglob("*.txt")):
        return _yolo(pictures, place, labels, read_names([folder, root, labels]))
    raise InputError(f"{folder}: images, but no annotations; expected {_EXPECTED}")


def _voc(folder: Path, pictures: Sequence[Path], files: Sequence[Path]) -> Annotations:
    by_stem = _by_stem(files)
    found = []
    for picture in pictures:
        path = by_stem.pop(picture.stem, None)
        told = AnnotatedImage(picture, picture.name, folder) if path is None else read_voc(path, picture, picture.name)
        found.append(told)
    if by_stem:
        left = min(by_stem.values())
        raise InputError(f"{left}: annotations of no image; expected an image {left.stem}, or remove it")
    return Annotations(tuple(found))


def _yolo(pictures: Sequence[Path], images: Path, labels: Path, names: Sequence[str]) -> Annotations:
    found = []
    for picture in pictures:
        path = (labels / picture.relative_to(images)).with_suffix(".txt")
        found.append(read_yolo(path, picture, picture.name, names))
    return Annotations(tuple(found), tuple(names))


def _by_stem(paths: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise InputError(
                f"{path}: {found[path.stem].name} has the same name but for the ending; rename one of them"
            )
        found[path.stem] = path
    return found
