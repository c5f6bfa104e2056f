"""The form of what a study of ours holds, as a number in it: one of a newer form is refused by whoever opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgenas.spaces.errors import InputError

if TYPE_CHECKING:
    from edgenas.study.store import StudyStore

#: Rises when a version of EdgeNAS before it would misread what is written.
SCHEMA = 1
_KEY = "edgenas:schema"


def mark_schema(store: StudyStore) -> None:
    """Says which form a new study has."""
    store.remember(_KEY, SCHEMA)


def check_schema(store: StudyStore, where: str) -> None:
    """Raises InputError for a study of a newer form. One that does not say is of the first."""
    found = store.recall(_KEY)
    if found is not None and (not isinstance(found, int) or found > SCHEMA):
        raise InputError(
            f"{where}: the study has the schema version {found!r}; this version of EdgeNAS reads versions up to "
            f"{SCHEMA}: update it"
        )
