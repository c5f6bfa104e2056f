"""Whether the file of a study is whole: as a database, and trial by trial; and what can be saved when it is not.

Every trial carries two checksums, of what it is and of how it ended. So a changed byte is found even where the database
cannot notice. Trials of older versions have none: of these, types and ranges are checked.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edgenas.spaces.text import printable

STUDY_NAME = "edgenas"
IDENTITY, OUTCOME, FACTS = "checksum", "checksum_end", "checksum_facts"
_IDENTITY_KEYS = ("architecture", "choices", "seed", "predicted", "files")
_OUTCOME_KEYS = ("top1", "curve", "expected_reward", "seconds", "error")
#: The metric of studies of a user's own function: any number, where those of tasks are shares.
VALUE = "value"
_METRIC_KEYS = ("metric", "metrics")
_STATES = ("RUNNING", "WAITING", "COMPLETE", "FAIL", "PRUNED")


def connect(path: Path, timeout: float = 1.0) -> sqlite3.Connection:
    """A connection to an existing file, whatever characters its name has."""
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=rw", uri=True, timeout=timeout)


def checksum(values: Any) -> str:
    """Short checksum of what JSON holds."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def identity_checksum(attributes: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    """Of what a trial is: it never changes."""
    return checksum([{key: attributes.get(key) for key in _IDENTITY_KEYS}, dict(params)])


def outcome_checksum(attributes: Mapping[str, Any], state: str, reward: float | None) -> str:
    """Of how a trial ended."""
    found = {key: attributes.get(key) for key in _OUTCOME_KEYS}
    # Trials of before there were tasks have neither, and checksums without them.
    found |= {key: attributes[key] for key in _METRIC_KEYS if key in attributes}
    return checksum([attributes.get(IDENTITY), found, state, reward])


def _metric_problems(attributes: Mapping[str, Any]) -> Iterator[str]:
    metrics, metric = attributes["metrics"], attributes.get("metric")
    fine = _is_number if metric == VALUE else _is_share
    is_fine = isinstance(metrics, dict) and all(_is_number(value) for value in metrics.values())
    if not is_fine or not fine(metrics.get(metric, 0)):
        yield f"its metrics cannot be {_short(metrics)}"
    elif metric not in metrics:
        yield f"its metrics lack the primary one, {_short(metric)}"
    elif attributes.get("top1") != metrics.get("top1"):
        yield f"its top1 cannot be {_short(attributes.get('top1'))}"


def facts_checksums(facts: Mapping[str, Any]) -> dict[str, str]:
    """Of what a study was told when it was made, by key: what others add to it later is theirs."""
    return {key: checksum(value) for key, value in facts.items()}


# One trial, one set of facts ---------------------------------------------------------------------------------------


def trial_problem(
    state: str, attributes: Mapping[str, Any], values: Sequence[Any] | None, params: Mapping[str, Any]
) -> str | None:
    """What is wrong with a trial, in words; None when nothing is."""
    return next(_trial_problems(state, attributes, values or [], params), None)


def _trial_problems(
    state: str, attributes: Mapping[str, Any], values: Sequence[Any], params: Mapping[str, Any]
) -> Iterator[str]:
    if state not in _STATES:
        yield f"its state is {state!r}"
        return
    if not attributes.keys() & {*_IDENTITY_KEYS, IDENTITY, OUTCOME}:
        return  # a script or a dashboard put it in: what it holds is theirs
    known: dict[str, bool] = {
        "architecture": isinstance(attributes.get("architecture"), str) and bool(attributes["architecture"]),
        "choices": _all(attributes.get("choices"), lambda value: _is_int(value, 0)),
        "seed": _is_int(attributes.get("seed"), 0),
        "predicted": _are_costs(attributes.get("predicted")),
        "attempts": _is_int(attributes.get("attempts", 1), 1),
        "files": isinstance(attributes.get("files", ""), str),
        "curve": _all(attributes.get("curve", []), _is_share),
        "seconds": attributes.get("seconds") is None
        or (_is_number(attributes["seconds"]) and attributes["seconds"] >= 0),
        "expected_reward": attributes.get("expected_reward") is None or _is_number(attributes["expected_reward"]),
        "error": isinstance(attributes.get("error", ""), str),
    }
    for key, fine in known.items():
        if not fine:
            yield f"its {key} cannot be {_short(attributes.get(key))}"
            return
    if IDENTITY in attributes and attributes[IDENTITY] != identity_checksum(attributes, params):
        yield "its architecture, seed or prediction is not what was written"
    reward = values[0] if values else None
    if state == "COMPLETE":
        if "metrics" in attributes:
            yield from _metric_problems(attributes)
        elif not _is_share(attributes.get("top1")):
            yield f"its top1 cannot be {_short(attributes.get('top1'))}"
        if len(values) != 1 or not _is_number(reward):
            yield f"its reward cannot be {_short(reward)}"
    if state in ("RUNNING", "WAITING") and values:  # state and reward are written in one transaction
        yield "it has a reward and is said to be unfinished"
    ended = state in ("COMPLETE", "FAIL", "PRUNED") and IDENTITY in attributes
    if ended and attributes.get(OUTCOME) != outcome_checksum(attributes, state, reward):
        yield "its result is not what was written"


def facts_problem(facts: Mapping[str, Any]) -> str | None:
    """What is wrong with the facts of a study and the costs that were measured; None when nothing is."""
    for key, value in facts.items():
        if key.startswith("measured:") and not (key.removeprefix("measured:").isdecimal() and _are_costs(value)):
            return f"what was measured of a trial ({_short(key)}) cannot be {_short(value)}"
    limits = facts.get("limits", {})
    if not (_are_costs(limits) and all(value > 0 for value in limits.values())):
        return f"its limits cannot be {_short(limits)}"
    sums = facts.get(FACTS, {})
    if not isinstance(sums, Mapping) or any(checksum(facts.get(key)) != value for key, value in sums.items()):
        return "what it says about itself is not what was written"
    return None


def _all(values: Any, fine: Any) -> bool:
    return isinstance(values, (list, tuple)) and all(fine(value) for value in values)


def _is_int(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _are_costs(values: Any) -> bool:
    return isinstance(values, Mapping) and all(
        isinstance(name, str) and _is_number(value) and value >= 0 for name, value in values.items()
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


# The file ----------------------------------------------------------------------------------------------------------


def file_problem(path: Path) -> str | None:
    """What is wrong with the file of a study, in words; None when nothing is. Lets ``database is locked`` through."""
    try:
        with closing(connect(path)) as database:
            database.execute("BEGIN")  # all of it as at one moment: others may write meanwhile
            found = database.execute("PRAGMA integrity_check(1)").fetchone()
            if found != ("ok",):
                return "the database fails its integrity check: " + " ".join(str(found[0] if found else "?").split())
            return _content_problem(database)
    except sqlite3.Error as error:
        if "is locked" in str(error) or "disk is full" in str(error):
            raise
        return str(error)
    except (ValueError, TypeError, KeyError, LookupError, RecursionError) as error:
        return f"{type(error).__name__}: {_short(str(error))}"


def _content_problem(database: sqlite3.Connection) -> str | None:
    study_id = _study_id(database)
    if study_id is None:
        return f"it holds no study named {STUDY_NAME!r}"
    directions = database.execute("SELECT direction, objective FROM study_directions WHERE study_id = ?", (study_id,))
    if directions.fetchall() != [("MAXIMIZE", 0)]:
        return "its direction is not what was written"
    facts = {
        key: json.loads(value)
        for key, value in database.execute(
            "SELECT key, value_json FROM study_user_attributes WHERE study_id = ?", (study_id,)
        )
    }
    if problem := facts_problem(facts):
        return problem
    for place, (number, problem) in enumerate(_trials(database, study_id)):
        if number != place:
            return f"trial {place} is missing"
        if problem:
            return f"trial {number}: {problem}"
    return None


def _study_id(database: sqlite3.Connection) -> int | None:
    found = database.execute("SELECT study_id FROM studies WHERE study_name = ?", (STUDY_NAME,)).fetchall()
    return int(found[0][0]) if len(found) == 1 else None


def _trials(database: sqlite3.Connection, study_id: int) -> Iterator[tuple[Any, str | None]]:
    """(number, what is wrong with it) of every trial, in order."""
    attributes = _grouped(
        database, "SELECT trial_id, key, value_json FROM trial_user_attributes", lambda key, text: (key, _json(text))
    )
    params = _grouped(
        database,
        "SELECT trial_id, param_name, param_value, distribution_json FROM trial_params",
        lambda name, index, text: (name, _option(index, text)),
    )
    values = _grouped(
        database,
        "SELECT trial_id, objective, value, value_type FROM trial_values",
        lambda objective, value, kind: (objective, value if kind == "FINITE" and objective == 0 else None),
    )
    rows = database.execute(
        "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials WHERE study_id = ? "
        "ORDER BY number",
        (study_id,),
    )
    for trial_id, number, state, *times in rows:
        try:
            for time in times:
                _ = time is None or datetime.datetime.fromisoformat(time)
            found = [_checked(table.get(trial_id, {})) for table in (attributes, params, values)]
            yield number, trial_problem(state, found[0], list(found[2].values()), found[1])
        except (ValueError, TypeError, KeyError, LookupError, RecursionError) as error:
            yield number, f"cannot be read ({type(error).__name__}: {_short(str(error))})"


def _grouped(database: sqlite3.Connection, query: str, read: Any) -> dict[Any, dict[Any, Any]]:
    """By trial, what a table holds of it. A wrong value is kept as the exception that it causes."""
    groups: dict[Any, dict[Any, Any]] = {}
    for trial_id, *columns in database.execute(query):
        try:
            key, value = read(*columns)
        except (ValueError, TypeError, KeyError, LookupError, RecursionError) as error:
            key, value = str(columns[0]), error
        groups.setdefault(trial_id, {})[key] = value
    return groups


def _checked(found: dict[Any, Any]) -> dict[Any, Any]:
    for value in found.values():
        if isinstance(value, Exception):
            raise value
    return found


def _json(text: Any) -> Any:
    if not isinstance(text, str):
        raise TypeError(f"{_short(text)} is no text")
    return json.loads(text)


@lru_cache(maxsize=4096)
def _choices(text: str) -> tuple[Any, ...] | None:
    """The options in Optuna's text of a distribution; the same few texts stand in every trial."""
    if _json(text)["name"] != "CategoricalDistribution":
        return None  # none of our decisions
    choices = _json(text)["attributes"]["choices"]
    if not isinstance(choices, list):
        raise TypeError(f"{_short(choices)} are no options")
    return tuple(choices)


def _option(index: Any, text: Any) -> Any:
    choices = _choices(text)
    if choices is None:
        return index
    if index != int(index) or not 0 <= index < len(choices):
        raise ValueError(f"option {index} of a decision is none")
    return choices[int(index)]


# What to do --------------------------------------------------------------------------------------------------------


def backup_path(path: Path) -> Path:
    """Where the backup of a study is."""
    return path.with_name(f"{path.name}.bak")


def back_up(path: Path) -> None:
    """Copies a whole study beside itself, as a whole; the backup before it is replaced.

    Raises sqlite3.Error or OSError, and ValueError when the study is damaged: then the backup before it stays.
    """
    target = backup_path(path)
    temporary = target.with_name(f".{target.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        with closing(connect(path)) as source, closing(sqlite3.connect(temporary)) as copy:
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()  # waits for a lock here, not in backup()
            copy.execute("PRAGMA synchronous = OFF")
            source.backup(copy)
        if problem := file_problem(temporary):
            raise ValueError(problem)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def damage_report(path: Path, problem: str) -> str:
    """One line about a damaged study: what is wrong, what can still be read, and from where to go on."""
    readable, total = _readable(path)
    problem = printable(problem, instead="?")[:200]
    words = f"{path}: the study is damaged ({problem}); nothing was changed. "
    words += f"{readable} of its {total} trials can still be read. " if total else "None of its trials can be read. "
    backup = backup_path(path)
    if backup.is_file() and _is_whole(backup):
        made = datetime.datetime.fromtimestamp(backup.stat().st_mtime).strftime("%Y-%m-%d %H:%M:%S")
        journal = path.with_name(f"{path.name}-journal")
        remove = f" && rm '{journal}'" if journal.exists() else ""
        return words + (
            f"The backup {backup} of {made} holds {_readable(backup)[1]} trials; go on from it with: "
            f"mv '{path}' '{path}.damaged'{remove} && cp '{backup}' '{path}', then --resume (later trials are "
            "evaluated again)"
        )
    results = len(list(path.parent.glob("trials/*/trial.json")))
    return words + (
        f"There is no whole backup beside it ({backup.name}); {results} results are in "
        f"{path.parent / 'trials'}/*/trial.json. Restore the file from a backup of your own, or start a new run"
    )


def _is_whole(path: Path) -> bool:
    try:
        return file_problem(path) is None
    except sqlite3.Error:
        return False


def _readable(path: Path) -> tuple[int, int]:
    """(trials without a problem, trials that can be seen at all) of a damaged file."""
    readable = total = 0
    try:
        with closing(connect(path)) as database:
            study_id = _study_id(database)
            for _, problem in _trials(database, 0 if study_id is None else study_id):
                total += 1
                readable += problem is None
    except (sqlite3.Error, ValueError, TypeError, LookupError, RecursionError, OverflowError):
        pass
    return readable, total
