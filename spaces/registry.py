"""Names and what they stand for: the one registry behind blocks, devices, tasks, algorithms and quantizations.

An extension point makes one, and its decorator and look-ups from that::

    _REGISTRY: Registry[type[Block]] = Registry("block")
    register_block = _REGISTRY.decorator
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Generic, TypeVar

from edgenas.spaces.errors import InputError
from edgenas.spaces.text import did_you_mean

Entry = TypeVar("Entry")
Registered = TypeVar("Registered")


class Registry(Generic[Entry]):
    """What is known by name under one heading.

    >>> animals: Registry[type] = Registry("animal")
    >>> @animals.decorator("cat")
    ... class Cat: ...
    >>> animals.names(), animals.get("cat") is Cat
    (('cat',), True)
    >>> animals.get("dog")
    Traceback (most recent call last):
    edgenas.spaces.errors.InputError: unknown animal 'dog': expected one of cat

    Args:
        what: what an entry is, for messages.
        attribute: class attribute that :meth:`decorator` sets to the name; empty sets none.
        entry_point_group: entries that other installed packages declare are found there, imported when asked for.
        make: what is kept of a decorated class, such as an instance; the class itself where None.
        also: what else is expected where a name is unknown, after the known ones.
        origin: what tells two classes of one name apart; their qualified names where None.
        own: module that registers what comes with EdgeNAS, imported before the first look-up; empty where importing
            the registry does so.
    """

    def __init__(
        self,
        what: str,
        *,
        attribute: str = "",
        entry_point_group: str = "",
        also: str = "",
        make: Callable[[Any], Entry] | None = None,
        origin: Callable[[Any], str] | None = None,
        own: str = "",
    ) -> None:
        self.what = what
        self.attribute = attribute
        self.also = also
        self.entry_point_group = entry_point_group
        self._make = make
        self._origin = origin or (lambda cls: str(cls.__qualname__))
        self._own = own
        self._entries: dict[str, Entry] = {}
        self._origins: dict[str, str] = {}

    def decorator(self, name: str) -> Callable[[Registered], Registered]:
        """Class decorator that makes a class known under a name. Raises InputError when the name is taken.

        A class that is defined again (a module that is loaded twice) takes its own place.
        """

        def register(cls: Registered) -> Registered:
            self._load_own()  # so that it is the later one that is told of a taken name
            origin = self._origin(cls)
            if self._origins.get(name, origin) != origin:
                raise InputError(f"{self.what} {name!r} is already registered by {self._origins[name]}")
            if self.attribute:
                setattr(cls, self.attribute, name)
            entry: Any = cls if self._make is None else self._make(cls)
            self._entries[name], self._origins[name] = entry, origin
            return cls

        return register

    def remove(self, name: str) -> None:
        """Forgets a name, where it is known."""
        self._load_own()
        self._entries.pop(name, None)
        self._origins.pop(name, None)

    def names(self) -> tuple[str, ...]:
        """All names, those of other installed packages included, sorted."""
        self._load_own()
        return tuple(sorted({*self._entries, *(point.name for point in self._points())}))

    def get(self, name: str) -> Entry:
        """What is registered under a name. Raises InputError with the known names."""
        if name not in self:
            raise InputError(
                f"unknown {self.what} {name!r}: expected one of {', '.join(self.names())}{self.also}"
                + did_you_mean(name, self.names())
            )
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        self._load_own()
        if name not in self._entries:
            for point in self._points():
                if point.name == name:
                    self.decorator(point.name)(point.load())
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _load_own(self) -> None:
        if self._own:
            import_module(self._own)

    def _points(self) -> Any:
        if not self.entry_point_group:
            return ()
        from importlib.metadata import entry_points  # slow to import, and most registries have none

        return entry_points(group=self.entry_point_group)
