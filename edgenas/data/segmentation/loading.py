"""From what a recipe says about its data to images with masks."""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import Any

import numpy as np

from edgenas.data.columns import Converted
from edgenas.data.examples import ArrayExamples, is_streamed
from edgenas.data.loading import convert_images, data_directory
from edgenas.data.segmentation.folder import load_mask_folder
from edgenas.data.segmentation.masks import resize_mask
from edgenas.data.segmentation.npz import load_mask_npz
from edgenas.data.segmentation.shapes import GENERATED, SIDE, generated_shapes
from edgenas.data.task_data import DataRequest, ExampleSet
from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_path


def load_segmentation(request: DataRequest) -> ExampleSet:
    """The data of a path (an ``.npz`` file or a folder) or of a name; ``generated_shapes`` comes with EdgeNAS.

    Raises InputError when nothing of that name exists or the files are wrong.
    """
    spec, size, channels = request.spec, request.image_size, request.channels
    if spec == GENERATED:
        return generated_shapes(size or (SIDE, SIDE), channels or 3)
    folder = functools.partial(load_mask_folder, image_size=size, channels=channels, seed=request.seed)
    if spec.endswith(".npz"):
        return _converted(load_mask_npz(check_path(spec, "data"), seed=request.seed), size, channels)
    if "/" in spec or os.sep in spec or check_path(spec, "data").is_dir():
        return folder(check_path(spec, "data"))
    directory = data_directory(request.directory)
    if directory is not None and (directory / f"{spec}.npz").is_file():
        found = load_mask_npz(directory / f"{spec}.npz", name=spec, seed=request.seed)
        return _converted(found, size, channels)
    if directory is not None and (directory / spec).is_dir():
        return folder(directory / spec, name=spec)
    looked = (
        f"looked for {directory / f'{spec}.npz'} and {directory / spec}/" if directory else "no --data-dir was given"
    )
    raise InputError(
        f"data set {spec!r} not found: {looked}; expected {GENERATED}, or a path of an .npz file or of a folder with "
        "images/ and masks/"
    )


def _converted(data: ExampleSet, size: tuple[int, int] | None, channels: int | None) -> ExampleSet:
    """The same images and masks in another size and number of channels."""
    shape = data.train.inputs["image"].shape[1:]
    wanted = (*(size or shape[:2]), channels or shape[2])
    if wanted == tuple(shape):
        return data
    train, test = (
        ArrayExamples(
            {"image": convert_images(examples.inputs["image"], wanted[:2], wanted[2])},
            _resized(examples.targets, wanted[:2]),
        )
        for examples in (data.train, data.test)
    )
    return dataclasses.replace(data, train=train, test=test)


def _resized(masks: Any, size: tuple[int, int]) -> Any:
    if is_streamed(masks):
        return Converted(masks, size, np.uint8, functools.partial(_resized, size=size))
    return np.stack([resize_mask(mask, size) for mask in masks])
