"""The form of what a study of ours holds, as a number in it: one of a newer form is refused by whoever opens it."""

from __future__ import annotations

from typing import Any, Protocol

from edgenas.spaces.errors import InputError

#: Rises when a version of EdgeNAS before it would misread what is written.
SCHEMA = 1
_KEY = "edgenas:schema"


class Notes(Protocol):
    """What a study keeps beside its trials, by name."""

    def remember(self, key: str, value: Any) -> None: ...

    def recall(self, key: str) -> Any: ...


def mark_schema(store: Notes) -> None:
    """Says which form a new study has."""
    store.remember(_KEY, SCHEMA)


def check_schema(store: Notes, where: str) -> None:
    """Raises InputError for a study of a newer form. One that does not say is of the first."""
    found = store.recall(_KEY)
    if found is not None and (not isinstance(found, int) or found > SCHEMA):
        raise InputError(
            f"{where}: the study has the schema version {found!r}; this version of EdgeNAS reads versions up to "
            f"{SCHEMA}: update it"
        )
