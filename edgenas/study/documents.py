"""Texts that travel with a study: the recipe, tables, fingerprints.

They are packed, and in parts, because MySQL holds 64 KB a value.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping

from edgenas.spaces.errors import InputError
from edgenas.study.database import INTERNAL
from edgenas.study.store import StudyStore

_PART = 40_000


def write_documents(store: StudyStore, documents: Mapping[str, str]) -> None:
    """Keeps texts by name; the list of names comes last, so that whoever finds it finds all."""
    counts = {}
    for name, text in documents.items():
        packed = base64.b85encode(zlib.compress(text.encode(), 9)).decode()
        parts = [packed[at : at + _PART] for at in range(0, len(packed), _PART)] or [""]
        for number, part in enumerate(parts):
            store.remember(f"{INTERNAL}document:{name}:{number}", part)
        counts[name] = len(parts)
    store.remember(f"{INTERNAL}documents", counts)


def read_documents(store: StudyStore) -> dict[str, str]:
    """The texts by name; none for a study that has none. Raises InputError when they are damaged."""
    documents = {}
    for name, count in (store.recall(f"{INTERNAL}documents") or {}).items():
        try:
            packed = "".join(store.recall(f"{INTERNAL}document:{name}:{number}") for number in range(count))
            documents[name] = zlib.decompress(base64.b85decode(packed)).decode()
        except (TypeError, ValueError, zlib.error):
            raise InputError(f"the study's {name} is damaged; start a new study") from None
    return documents
