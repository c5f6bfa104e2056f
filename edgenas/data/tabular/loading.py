"""From what a recipe says about its data to the rows of a table."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from edgenas.data.loading import data_directory
from edgenas.data.tabular.columns import ColumnChoice, listed
from edgenas.data.tabular.csv_file import read_csv
from edgenas.data.tabular.example_set import Origin, table_set
from edgenas.data.tabular.generated import GENERATED, generated_table
from edgenas.data.tabular.npz import TARGET, read_npz
from edgenas.data.task_data import DataRequest, ExampleSet
from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_path

_ENDINGS = (".csv", ".tsv", ".npz")


def load_table(request: DataRequest, choice: ColumnChoice, *, is_regression: bool) -> ExampleSet:
    """The rows of a ``.csv`` or ``.npz`` file, of a folder with ``train.csv`` and ``test.csv``, or of a name.

    ``generated_table`` comes with EdgeNAS. An empty ``choice.target`` is refused where there is no default. Raises
    InputError when nothing of that name exists or the files are wrong.
    """
    if request.image_size is not None or request.channels is not None:
        raise InputError("data: image_size and channels are for images, not for tables; remove them")
    if request.spec == GENERATED:
        table, target = generated_table(is_regression=is_regression)
        origin = Origin(GENERATED, "made by edgenas.data.tabular.generated", "CC0", request.seed)
        return table_set({"train": table}, _with_target(choice, target), origin, is_regression=is_regression)
    path = _path(request)
    licence, name = "not stated", path.name if path.is_dir() else path.stem
    if path.suffix == ".npz":
        parts, texts, licence = read_npz(path)
        choice = _with_target(choice, TARGET)
        free = {*choice.numeric, *choice.categorical, *choice.ignore, choice.split, choice.target}
        choice = dataclasses.replace(choice, categorical=(*choice.categorical, *(t for t in texts if t not in free)))
    elif path.is_dir():
        parts = {part: read_csv(path / f"{part}.csv") for part in ("train", "test") if _has(path, part)}
    else:
        parts = {"train": read_csv(path)}
    if not choice.target:
        raise InputError(
            f"{path}: which column is to be predicted? Name it as task_options.target; there are "
            f"{listed(parts['train'].names)}"
        )
    if choice.split and "test" in parts:
        raise InputError(f"{path}: has a test part already; remove task_options.split")
    return table_set(parts, choice, Origin(name, str(path), licence, request.seed), is_regression=is_regression)


def _with_target(choice: ColumnChoice, target: str) -> ColumnChoice:
    return choice if choice.target else dataclasses.replace(choice, target=target)


def _has(folder: Path, part: str) -> bool:
    if part == "train" and not (folder / "train.csv").is_file():
        raise InputError(
            f"{folder}: no train.csv; expected it, and test.csv beside it unless a part is to be split off"
        )
    return (folder / f"{part}.csv").is_file()


def _path(request: DataRequest) -> Path:
    spec = request.spec
    if "/" in spec or os.sep in spec or spec.endswith(_ENDINGS) or check_path(spec, "data").is_dir():
        path = check_path(spec, "data")
        if path.is_dir() or path.suffix in _ENDINGS:
            return path
        raise InputError(f"{path}: expected a file that ends in {', '.join(_ENDINGS)}, or a folder with train.csv")
    folder = data_directory(request.directory)
    for ending in ("", *_ENDINGS) if folder is not None else ():
        path = folder / f"{spec}{ending}"  # type: ignore[operator]
        if path.is_dir() if not ending else path.is_file():
            return path
    looked = f"looked for it in {folder}" if folder else "no --data-dir to look in was given"
    raise InputError(
        f"data set {spec!r} not found: {looked}; expected {GENERATED}, or a path of a .csv or .npz file or of a folder "
        "with train.csv"
    )
