"""Tasks by name: those that come with EdgeNAS, those of installed packages, and a user's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, TypeVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.task_names import ENTRY_POINT_GROUP, add_task_name, check_task_name, task_names
from edgenas.tasks.task import Task

__all__ = ["get_task", "register_task", "task_names"]

_REGISTRY: dict[str, type[Task]] = {}
TaskType = TypeVar("TaskType", bound="type[Task]")


def register_task(kind: str) -> Callable[[TaskType], TaskType]:
    """Class decorator that makes a task known under ``kind``. Raises InputError when the name is taken."""

    def register(cls: TaskType) -> TaskType:
        known = _REGISTRY.get(kind)
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise InputError(f"task {kind!r} is already registered by {known.__qualname__}")
        cls.kind = kind
        _REGISTRY[kind] = cls
        add_task_name(kind)
        return cls

    return register


def get_task(kind: str, options: Mapping[str, Any] | None = None) -> Task:
    """The task registered under ``kind`` with its options.

    Raises InputError with the known names, or with the options that the task has.
    """
    check_task_name(kind)
    if kind not in _REGISTRY:
        for entry in entry_points(group=ENTRY_POINT_GROUP, name=kind):
            entry.load()
    if kind not in _REGISTRY:
        raise InputError(f"task {kind!r} is declared by an installed package that does not register it")
    cls = _REGISTRY[kind]
    fields: tuple[Any, ...] = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    known = [field.name for field in fields if field.init]
    for name in options or {}:
        if name not in known:
            raise InputError(
                f"task_options: task {kind!r} has no option {name!r}; "
                + (f"expected one of {', '.join(known)}" if known else "it has none")
            )
    try:
        return cls(**(options or {}))
    except (TypeError, ValueError) as error:
        raise InputError(f"task_options: {error}") from None
