"""Devices of the user's own: descriptions in ``devices/`` of the EdgeNAS home, written and removed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edgenas.devices.device import CATALOG, DeviceSpec, device_files
from edgenas.devices.home import edgenas_home
from edgenas.export.files import write_atomically
from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.yaml_reading import dump_yaml

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")


def check_device_name(name: str) -> None:
    """Raises InputError for a name that no device can have."""
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of a device: letters, digits, '.', '_' and '-' are, up to 61 of them")


def check_new_name(name: str) -> Path:
    """The file that a new device is going to have. Raises InputError when the name is taken or none."""
    check_device_name(name)
    taken = device_files().get(name)
    if taken is not None:
        way_out = (
            "choose another name"
            if taken.parent == CATALOG
            else f"choose another name, or remove it first: edgenas devices remove {name}"
        )
        raise InputError(f"there is a device {name!r} already ({taken}): {way_out}")
    path = edgenas_home() / "devices" / f"{name}.yaml"
    if path.exists():
        raise InputError(f"{path} exists already and describes another device: choose another name")
    return path


def save_device(spec: DeviceSpec) -> Path:
    """Writes the description of a new device. Raises InputError rather than overwrite one."""
    path = check_new_name(spec.name)
    write_description(path, spec)
    return path


def write_description(path: Path, spec: DeviceSpec, **more: Any) -> None:
    """Writes a device's YAML file, with more keys where there are any."""
    content: dict[str, Any] = {
        "name": spec.name,
        "kind": spec.kind,
        "description": spec.description,
        "precisions": list(spec.precisions),
        "options": dict(spec.options),
        **more,
    }
    if power := spec.power.to_yaml():
        content["power"] = power
    write_atomically(path, dump_yaml(content))


def remove_device(name: str) -> Path:
    """Removes a description; tables that were measured stay. Raises InputError for a device that is not the user's."""
    path = device_files().get(name)
    if path is None:
        raise InputError(f"there is no device {name!r}: expected one of {', '.join(sorted(device_files()))}")
    if path.parent == CATALOG:
        raise InputError(f"{name!r} comes with EdgeNAS and cannot be removed: {path}")
    try:
        path.unlink()
    except OSError as error:
        raise WorkError(f"{path}: cannot be removed ({error.strerror})") from None
    return path
