"""Names that the key ``task`` of a search space may have. What a task is, spaces do not know."""

from __future__ import annotations

from importlib.metadata import entry_points

from edgenas.spaces.errors import InputError
from edgenas.spaces.text import did_you_mean

#: Packages that declare an entry point in this group bring a task of its name.
ENTRY_POINT_GROUP = "edgenas.tasks"
_NAMES = {
    "audio_classification",
    "classification",
    "detection",
    "regression",
    "segmentation",
    "tabular_classification",
}


def add_task_name(name: str) -> None:
    """Makes a name known: what registers a task does that."""
    _NAMES.add(name)


def task_names() -> tuple[str, ...]:
    """All known names, sorted, those of installed packages included."""
    return tuple(sorted(_NAMES | {entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)}))


def check_task_name(name: str) -> str:
    """The name. Raises InputError with the known ones when it is none of them.

    >>> check_task_name("classification")
    'classification'
    """
    if name in _NAMES or name in task_names():
        return name
    known = task_names()
    raise InputError(f"unknown task {name!r}: expected one of {', '.join(known)}{did_you_mean(name, known)}")
