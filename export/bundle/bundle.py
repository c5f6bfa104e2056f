"""The bundle: the folder that is shipped. A model, and everything that is needed to use it and to trust it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from edgenas.export.bundle.android import kotlin_classifier
from edgenas.export.bundle.android_detector import kotlin_detector
from edgenas.export.bundle.c_header import c_header
from edgenas.export.bundle.check import (
    bundle_files,
    file_checksum,
    metrics_checksum,
    run_self_test,
    verify_bundle,
)
from edgenas.export.bundle.contents import METRICS_SCHEMA, BundleContents, DataCard
from edgenas.export.bundle.model_card import model_card
from edgenas.export.bundle.preprocessing import Preprocessing
from edgenas.export.bundle.programs import array_program
from edgenas.export.micro.agreement import check_micro
from edgenas.spaces.errors import EdgeNASError, InputError, WorkError

__all__ = [
    "BundleContents",
    "DataCard",
    "check_replaceable",
    "copy_bundle",
    "read_metrics",
    "verify_bundle",
    "write_bundle",
]


def write_bundle(folder: Path | str, contents: BundleContents) -> Path:
    """Writes a bundle, checks it, and only then puts it in place; returns its folder.

    An earlier bundle in ``folder`` is replaced as a whole; files of the user's own beside it are kept.

    Raises:
        InputError: ``folder`` holds other things and no bundle.
        WorkError: the new bundle does not pass :func:`verify_bundle`, or cannot be written. What was there before
            is then still there.
    """
    with _put_in_place(folder) as temporary:
        for name, content in _files(contents).items():
            (temporary / name).write_bytes(content)
        problems = verify_bundle(temporary)
        if problems:
            raise WorkError(
                f"the bundle for {Path(folder).absolute()} was not written, because it would be wrong: "
                f"{'; '.join(problems)}"
            )
    return Path(folder).absolute()


def copy_bundle(bundle: Path, folder: Path | str) -> Path:
    """Copies a bundle; one that is there already is replaced as a whole. Raises as :func:`write_bundle` does."""
    with _put_in_place(folder) as temporary:
        for name in bundle_files(bundle):
            if (bundle / name).is_file():
                shutil.copyfile(bundle / name, temporary / name)
    return Path(folder).absolute()


@contextlib.contextmanager
def _put_in_place(folder: Path | str) -> Iterator[Path]:
    """An empty folder to fill; at the end it replaces the bundle in ``folder`` as a whole, or nothing has changed."""
    folder = Path(folder).absolute()
    check_replaceable(folder)
    workspace: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        workspace = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.new-"))
        temporary = workspace / folder.name  # unlike the workspace, with the permissions the user's umask asks for
        temporary.mkdir()
        yield temporary
        _keep_other_files(folder, temporary)
        _replace(temporary, folder)
    except OSError as error:
        raise WorkError(f"{folder}: the bundle cannot be written ({error}); nothing was changed") from error
    finally:
        if workspace is not None:
            shutil.rmtree(workspace, ignore_errors=True)


def read_metrics(folder: Path | str) -> dict[str, Any]:
    """``metrics.json`` of a bundle. Raises InputError when it is missing or not JSON."""
    path = Path(folder) / "metrics.json"
    try:
        metrics = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not the metrics of a bundle ({error})") from error
    if not isinstance(metrics, dict):
        raise InputError(f"{path}: not the metrics of a bundle (expected an object)")
    schema = metrics.get("schema", METRICS_SCHEMA)
    if not isinstance(schema, int) or schema > METRICS_SCHEMA:
        raise InputError(
            f"{path}: has schema {schema!r}; this version of EdgeNAS reads bundles up to {METRICS_SCHEMA}: update it"
        )
    return metrics


def _files(contents: BundleContents) -> dict[str, bytes]:
    document = {"space": contents.space, "architecture": contents.architecture, **contents.network.to_dict()}
    metrics = contents.metrics()
    files = {
        "model.tflite": contents.model,
        **contents.other_models,
        **contents.further_files,
        **contents.board_files,
        "architecture.yaml": yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode(),
        "labels.txt": "".join(f"{label}\n" for label in contents.labels).encode(),
        "run.py": (contents.words.program or array_program()).encode(),
    }
    # A model that is none is found, and named, by the check of the finished folder.
    with contextlib.suppress(EdgeNASError):
        metrics["self_test"] = run_self_test(contents.model, metrics)
    given = contents.preprocessing if isinstance(contents.preprocessing, Preprocessing) else None
    micro = check_micro(contents.model)
    if micro is not None:
        metrics["micro"] = micro.to_json()
    with contextlib.suppress(EdgeNASError):
        files["model.h"] = c_header(
            contents.model,
            name=contents.network.name,
            labels=contents.labels,
            preprocessing=given,
            arena=None if micro is None else micro.arena,
        ).encode()
    with contextlib.suppress(EdgeNASError):
        pictures = given is not None and contents.words.task == "classification"
        kotlin = kotlin_classifier(contents.model, given) if pictures and given is not None else None
        files |= {} if kotlin is None else {"Classifier.kt": kotlin.encode()}
    with contextlib.suppress(EdgeNASError):
        detects = given is not None and contents.words.task == "detection"
        kotlin = kotlin_detector(contents.model, given) if detects and given is not None else None
        files |= {} if kotlin is None else {"Detector.kt": kotlin.encode()}
    checksums = {name: file_checksum(content) for name, content in files.items()}
    files["README.md"] = model_card(contents, checksums).encode()
    checksums |= {"README.md": file_checksum(files["README.md"]), "metrics.json": metrics_checksum(metrics)}
    files["metrics.json"] = (json.dumps(metrics | {"checksums": checksums}, indent=2) + "\n").encode()
    return files


def check_replaceable(folder: Path) -> None:
    """Raises InputError when a folder holds other things than a bundle."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file, a bundle needs a folder")
    present = {path.name for path in folder.iterdir()}
    if present and "metrics.json" not in present and "model.tflite" not in present:
        raise InputError(f"{folder}: holds other things than a bundle; choose an empty or a new folder")


def _keep_other_files(folder: Path, temporary: Path) -> None:
    if not folder.exists():
        return
    for path in folder.iterdir():
        if path.name in bundle_files(folder):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, temporary / path.name, symlinks=True)
        else:
            shutil.copy2(path, temporary / path.name, follow_symlinks=False)


def _replace(temporary: Path, folder: Path) -> None:
    """Two renames: whoever looks in between finds no bundle, never half of one."""
    if not folder.exists():
        os.rename(temporary, folder)
        return
    previous = folder.with_name(f".{folder.name}.previous")
    shutil.rmtree(previous, ignore_errors=True)
    os.rename(folder, previous)
    try:
        os.rename(temporary, folder)
    except OSError:
        os.rename(previous, folder)
        raise
    shutil.rmtree(previous, ignore_errors=True)
