"""Leases in the database of a study: who has what, as one attribute of the study each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

#: Keys of leases begin with this; facts of a study that begin with ``edgenas:`` are not shown.
PREFIX = "edgenas:lease:"


def take_lease(connection: Connection, study_id: int, name: str, holder: str, known: str) -> str:
    """Takes or renews a lease, under the lock of the study. Returns the beat of who has it now; empty: nobody.

    A lease is taken when nobody has it and ``known`` is empty, when it is the holder's own, and when its beat is
    ``known``: that of somebody who was silent for too long.
    """
    found = _read(connection, study_id, name)
    mine = found is not None and found["holder"] == holder
    if found is None:
        if known:
            return ""
    elif not mine and _beat(found) != known:
        return _beat(found)
    lease = {"holder": holder, "count": found["count"] + 1 if found is not None and mine else 0}
    _write(connection, study_id, name, lease, there=found is not None)
    return _beat(lease)


def end_lease(connection: Connection, study_id: int, name: str, holder: str) -> None:
    """Gives a lease back, if it is the holder's; under the lock of the study."""
    from sqlalchemy import delete

    found = _read(connection, study_id, name)
    if found is not None and found["holder"] == holder:
        table = _table()
        connection.execute(delete(table).where(table.c.study_id == study_id, table.c.key == PREFIX + name))


def holder_of(beat: str) -> str:
    """Who a beat is of.

    >>> holder_of("host-12 #3")
    'host-12'
    """
    return beat.rpartition(" #")[0]


def _beat(lease: dict[str, Any]) -> str:
    return f"{lease['holder']} #{lease['count']}"


def _table() -> Any:
    from optuna.storages._rdb import models

    return models.StudyUserAttributeModel.__table__


def _read(connection: Connection, study_id: int, name: str) -> dict[str, Any] | None:
    from sqlalchemy import select

    table = _table()
    found = connection.execute(
        select(table.c.value_json).where(table.c.study_id == study_id, table.c.key == PREFIX + name)
    ).scalar()
    return None if found is None else dict(json.loads(found))


def _write(connection: Connection, study_id: int, name: str, lease: dict[str, Any], *, there: bool) -> None:
    from sqlalchemy import insert, update

    table, text = _table(), json.dumps(lease)
    if there:
        change = update(table).where(table.c.study_id == study_id, table.c.key == PREFIX + name)
        connection.execute(change.values(value_json=text))
    else:
        connection.execute(insert(table).values(study_id=study_id, key=PREFIX + name, value_json=text))
