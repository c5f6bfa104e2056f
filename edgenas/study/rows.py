"""Trials of a study as rows of its database, read at once.

Optuna builds an object with its distributions for every parameter of every trial: 25 s for 3,000 trials of 47
decisions. What we need stands in the trials' user attributes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

#: Up to so many trials are read one by one, by their keys; more are read as one range.
_FEW = 200
#: Where Optuna keeps what somebody asked to be evaluated.
_WISHES = "fixed_params"


@dataclass
class TrialRow:
    """One trial: Optuna's name of its state, its value (None: none, or not finite), and its user attributes."""

    trial_id: int
    number: int
    state: str
    value: float | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    wishes: dict[str, Any] = field(default_factory=dict)


def read_news(connection: Connection, study_id: int, last: int, still_open: Collection[int]) -> list[TrialRow]:
    """Trials with an id above ``last``, and those that were open, as they are now; with everything they hold.

    Raises SQLAlchemyError when the database cannot be read.
    """
    from sqlalchemy import bindparam, text

    columns = "SELECT trial_id, number, state FROM trials WHERE study_id = :study"
    where: dict[str, Any] = {"study": study_id, "last": last}
    found = list(connection.execute(text(f"{columns} AND trial_id > :last ORDER BY trial_id"), where))
    if still_open:
        query = text(f"{columns} AND trial_id IN :open").bindparams(bindparam("open", expanding=True))
        found += connection.execute(query, {"study": study_id, "open": list(still_open)})
    rows = {row.trial_id: TrialRow(row.trial_id, row.number, str(row.state)) for row in found}
    if rows:
        _read_content(connection, study_id, rows)
    return sorted(rows.values(), key=lambda row: row.number)


def read_row(connection: Connection, study_id: int, trial_id: int) -> TrialRow | None:
    """One trial; None when there is none of this id."""
    rows = read_news(connection, study_id, 2**62, [trial_id])
    return rows[0] if rows else None


def _read_content(connection: Connection, study_id: int, rows: Mapping[int, TrialRow]) -> None:
    from sqlalchemy import bindparam, text

    if len(rows) <= _FEW:
        of_trial = "WHERE a.trial_id IN :ids"
        where: dict[str, Any] = {"ids": list(rows)}
    else:
        of_trial = "JOIN trials t ON t.trial_id = a.trial_id WHERE t.study_id = :study AND a.trial_id >= :first"
        where = {"study": study_id, "first": min(rows)}

    def all_of(columns: str, table: str) -> Any:
        query = text(f"SELECT a.trial_id, {columns} FROM {table} a {of_trial}")
        if "ids" in where:
            query = query.bindparams(bindparam("ids", expanding=True))
        return connection.execute(query, where)

    for trial_id, key, value in all_of("a.key, a.value_json".replace("key", KEY[connection.dialect.name]), _ATTRIBUTES):
        if trial_id in rows:
            rows[trial_id].attributes[key] = json.loads(value)
    for trial_id, value, kind in all_of("a.value, a.value_type", "trial_values"):
        if trial_id in rows and kind == "FINITE":
            rows[trial_id].value = value
    unfinished = [row for row in rows.values() if row.state in ("WAITING", "RUNNING")]
    foreign = [row for row in unfinished if "architecture" not in row.attributes]
    if foreign:
        _read_wishes(connection, foreign)


#: ``key`` is a word of MySQL's own.
KEY = {"sqlite": "key", "postgresql": "key", "mysql": "`key`", "mariadb": "`key`"}
_ATTRIBUTES = "trial_user_attributes"


def _read_wishes(connection: Connection, rows: list[TrialRow]) -> None:
    from sqlalchemy import text

    key = KEY[connection.dialect.name]
    for row in rows:
        found = connection.execute(
            text(f"SELECT value_json FROM trial_system_attributes WHERE trial_id = :id AND {key} = :key"),
            {"id": row.trial_id, "key": _WISHES},
        ).scalar()
        wishes = json.loads(found) if found else {}
        row.wishes = wishes if isinstance(wishes, dict) else {}
