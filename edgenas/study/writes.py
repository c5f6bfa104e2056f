"""What is written into the database of a study, each as one transaction: seen whole by all, or not at all.

Optuna's own interface writes a trial attribute by attribute, and reads before it writes: two callers can both succeed
where only one may. The tables are Optuna's, so its tools read what is written here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from edgenas.spaces.errors import WorkError
from edgenas.study.damage import IDENTITY, OUTCOME, identity_checksum, outcome_checksum
from edgenas.study.errors import LostTrialError, NumberTakenError
from edgenas.study.rows import TrialRow, read_row
from edgenas.study.trial import STATES, Trial

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from edgenas.spaces.space.decision import Decision


@dataclass(frozen=True)
class Content:
    """What a trial is: its user attributes, and (option, distribution as text) by decision."""

    attributes: Mapping[str, Any]
    params: Mapping[str, tuple[int, str]]


def content_of(
    architecture: str,
    choices: Sequence[int],
    decisions: Sequence[Decision],
    seed: int,
    predicted: Mapping[str, float],
    files: str,
) -> Content:
    """What is written of a new trial, with the checksum of it."""
    attributes: dict[str, Any] = {
        "architecture": architecture,
        "choices": [int(choice) for choice in choices],
        "seed": int(seed),
        "predicted": {name: plain(value) for name, value in predicted.items()},
        "attempts": 1,
        "files": files,
    }
    labels = {d.name: d.options[choice] for d, choice in zip(decisions, choices, strict=True)}
    attributes[IDENTITY] = identity_checksum(attributes, labels)
    params = {
        d.name: (int(choice), _distribution(tuple(d.options))) for d, choice in zip(decisions, choices, strict=True)
    }
    return Content(attributes, params)


@lru_cache(maxsize=4096)
def _distribution(options: tuple[str, ...]) -> str:
    from optuna.distributions import CategoricalDistribution, distribution_to_json

    return distribution_to_json(CategoricalDistribution(options))


def plain(value: float) -> float:
    """A Python number, so that it can be written as JSON; integers stay integers."""
    return int(value) if float(value).is_integer() and abs(value) >= 1e3 else float(value)


def now() -> datetime:
    """As Optuna keeps times: UTC, without saying so."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


# Statements --------------------------------------------------------------------------------------------------------


def _models() -> Any:
    from optuna.storages._rdb import models

    return models


def lock_study(connection: Connection, study_id: int) -> None:
    """Until the end of the transaction no other one that takes this lock goes on; Optuna's new trials take it too."""
    from sqlalchemy import select, text

    if connection.dialect.name == "sqlite":  # the whole file, by writing first
        connection.execute(text("UPDATE studies SET study_name = study_name WHERE study_id = :id"), {"id": study_id})
        return
    studies = _models().StudyModel.__table__
    connection.execute(select(studies.c.study_id).where(studies.c.study_id == study_id).with_for_update())


def insert_trial(
    connection: Connection, study_id: int, number: int | None, content: Content, worker: str | None
) -> Any:
    """A new trial, ``worker``'s, or waiting when that is None; under the lock. Returns its row.

    Raises NumberTakenError when the next number is not ``number``. One that this worker has written already, and did
    not hear of because the connection broke, is returned.
    """
    from optuna.trial import TrialState
    from sqlalchemy import insert, text

    last = connection.execute(
        text("SELECT trial_id, number FROM trials WHERE study_id = :study ORDER BY trial_id DESC LIMIT 1"),
        {"study": study_id},
    ).first()
    following = last.number + 1 if last else 0
    if number is not None and number != following:
        row = read_row(connection, study_id, last.trial_id) if last and last.number == number and worker else None
        if row and row.state == "RUNNING" and row.attributes == {**content.attributes, "worker": worker}:
            return row
        raise NumberTakenError(f"trial {number}: another one has been started under this number")
    models, state = _models(), TrialState.WAITING if worker is None else TrialState.RUNNING
    trials = models.TrialModel.__table__
    started = {} if worker is None else {"datetime_start": now()}
    result = connection.execute(insert(trials).values(study_id=study_id, number=following, state=state, **started))
    key = result.inserted_primary_key
    assert key is not None
    trial_id = int(key[0])
    attributes = dict(content.attributes) | ({"worker": worker} if worker else {})
    write_content(connection, trial_id, Content(attributes, content.params))
    if worker:
        beat(connection, trial_id, fresh=True)
    return TrialRow(trial_id, following, state.name, None, attributes)


def write_content(connection: Connection, trial_id: int, content: Content) -> None:
    """Attributes and parameters of a trial that has none."""
    from sqlalchemy import insert

    set_attributes(connection, trial_id, content.attributes, fresh=True)
    params = [
        {"trial_id": trial_id, "param_name": name, "param_value": float(option), "distribution_json": distribution}
        for name, (option, distribution) in content.params.items()
    ]
    if params:
        connection.execute(insert(_models().TrialParamModel.__table__), params)


def set_attributes(
    connection: Connection, trial_id: int, attributes: Mapping[str, Any], *, fresh: bool = False
) -> None:
    """Writes user attributes over what there is; ``fresh``: there is nothing."""
    from sqlalchemy import delete, insert

    table = _models().TrialUserAttributeModel.__table__
    if not fresh:
        connection.execute(delete(table).where(table.c.trial_id == trial_id, table.c.key.in_(list(attributes))))
    connection.execute(
        insert(table),
        [{"trial_id": trial_id, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items()],
    )


def beat(connection: Connection, trial_id: int, *, fresh: bool = False) -> None:
    """Says that a trial is being worked on. Others look only at whether it changes, so clocks may differ."""
    from sqlalchemy import func, insert, update

    table = _models().TrialHeartbeatModel.__table__
    change = update(table).where(table.c.trial_id == trial_id).values(heartbeat=func.current_timestamp())
    if fresh or connection.execute(change).rowcount == 0:
        connection.execute(insert(table).values(trial_id=trial_id, heartbeat=func.current_timestamp()))


def read_beats(connection: Connection, study_id: int) -> dict[int, str]:
    """When workers were last heard of, by number of the trial that they have."""
    from sqlalchemy import text

    query = (
        "SELECT t.number, h.heartbeat FROM trials t JOIN trial_heartbeats h ON h.trial_id = t.trial_id "
        "WHERE t.study_id = :study AND t.state = 'RUNNING'"
    )
    return {number: str(heard) for number, heard in connection.execute(text(query), {"study": study_id})}


def first_waiting(connection: Connection, study_id: int) -> int | None:
    """Id of the first trial that nobody has taken."""
    from sqlalchemy import text

    found = connection.execute(
        text("SELECT trial_id FROM trials WHERE study_id = :study AND state = 'WAITING' ORDER BY trial_id LIMIT 1"),
        {"study": study_id},
    ).scalar()
    return None if found is None else int(found)


def take(connection: Connection, trial_id: int, worker: str, *, again: bool) -> None:
    """Gives a trial to a worker, under the lock. ``again``: it has been begun before, which is counted."""
    from optuna.trial import TrialState
    from sqlalchemy import delete, update

    trials = _models().TrialModel.__table__
    connection.execute(
        update(trials).where(trials.c.trial_id == trial_id).values(state=TrialState.RUNNING, datetime_start=now())
    )
    row = read_row_attributes(connection, trial_id)
    changes: dict[str, Any] = {"worker": worker} if worker or row.get("worker") else {}
    if again:
        changes["attempts"] = row.get("attempts", 1) + 1
    if changes:
        set_attributes(connection, trial_id, changes)
    if worker:
        beat(connection, trial_id)
    else:  # nobody is to listen for beats of the search itself
        table = _models().TrialHeartbeatModel.__table__
        connection.execute(delete(table).where(table.c.trial_id == trial_id))


def read_row_attributes(connection: Connection, trial_id: int) -> dict[str, Any]:
    """User attributes of a trial."""
    from sqlalchemy import select

    table = _models().TrialUserAttributeModel.__table__
    found = connection.execute(select(table.c.key, table.c.value_json).where(table.c.trial_id == trial_id))
    return {key: json.loads(value) for key, value in found}


def end_trial(
    connection: Connection, trial_id: int, number: int, worker: str, state: str, reward: float | None, found: Any
) -> TrialRow:
    """Ends a running trial with everything that belongs to it, and returns its row.

    Raises WorkError when it has ended, LostTrialError when another worker has it. The same end twice is one: the
    connection may have broken before the first was confirmed.
    """
    from optuna.trial import TrialState
    from sqlalchemy import delete, insert, select, update

    models = _models()
    trials, values = models.TrialModel.__table__, models.TrialValueModel.__table__
    running = connection.execute(
        update(trials)
        .where(trials.c.trial_id == trial_id, trials.c.state == TrialState.RUNNING)
        .values(state=TrialState[state], datetime_complete=now())
    ).rowcount
    known = read_row_attributes(connection, trial_id)
    changes = dict(found)
    if IDENTITY in known:
        changes[OUTCOME] = outcome_checksum(known | changes, state, reward)
    if not running:
        is_state = connection.execute(select(trials.c.state).where(trials.c.trial_id == trial_id)).scalar()
        name = getattr(is_state, "name", str(is_state))
        if (
            worker
            and name == state
            and known.get("worker", "") == worker
            and known.get(OUTCOME) == changes.get(OUTCOME)
        ):
            return TrialRow(trial_id, number, state, reward, known)
        raise WorkError(f"trial {number} is {STATES.get(name, name)} already")
    check_owner(known, number, worker)
    set_attributes(connection, trial_id, changes)
    if reward is not None:
        connection.execute(delete(values).where(values.c.trial_id == trial_id))
        connection.execute(
            insert(values).values(
                trial_id=trial_id, objective=0, value=reward, value_type=models.TrialValueModel.TrialValueType.FINITE
            )
        )
    return TrialRow(trial_id, number, state, reward, known | changes)


def check_owner(attributes: Mapping[str, Any], number: int, worker: str) -> None:
    """Raises LostTrialError when a trial is another worker's. The search itself may end any."""
    owner = attributes.get("worker", "")
    if worker and owner != worker:
        raise LostTrialError(f"trial {number} is {owner or 'the search'}'s by now, no longer {worker}'s")


def set_waiting(connection: Connection, trial_id: int, attributes: Mapping[str, Any]) -> None:
    """Leaves a running trial to whoever claims it next; the attempt that ends here is counted."""
    from optuna.trial import TrialState
    from sqlalchemy import update

    trials = _models().TrialModel.__table__
    connection.execute(update(trials).where(trials.c.trial_id == trial_id).values(state=TrialState.WAITING))
    set_attributes(connection, trial_id, {"worker": "", "attempts": attributes.get("attempts", 1) + 1})


def insert_copy(connection: Connection, study_id: int, trial: Trial, decisions: Sequence[Decision]) -> None:
    """Writes a trial of another study, under its number; of one that is not ours only the state."""
    from optuna.trial import TrialState
    from sqlalchemy import insert

    models, state = _models(), TrialState[next(name for name, ours in STATES.items() if ours == trial.state)]
    trials, values = models.TrialModel.__table__, models.TrialValueModel.__table__
    found = connection.execute(insert(trials).values(study_id=study_id, number=trial.number, state=state))
    key = found.inserted_primary_key
    assert key is not None
    if trial.foreign:
        if trial.error is not None:
            set_attributes(connection, int(key[0]), {"error": trial.error}, fresh=True)
        return
    content = content_of(trial.architecture, trial.choices, decisions, trial.seed, trial.predicted, trial.files)
    attributes = dict(content.attributes) | {"attempts": trial.attempts, "worker": trial.worker} | _outcome_of(trial)
    if not trial.is_open:
        attributes[OUTCOME] = outcome_checksum(attributes, state.name, trial.reward)
    write_content(connection, int(key[0]), Content(attributes, content.params))
    if trial.state == "complete" and trial.reward is not None:
        kind = models.TrialValueModel.TrialValueType.FINITE
        connection.execute(
            insert(values).values(trial_id=int(key[0]), objective=0, value=trial.reward, value_type=kind)
        )


def _outcome_of(trial: Trial) -> dict[str, Any]:
    """The user attributes that a trial has since it ended."""
    found: dict[str, Any] = {
        "top1": trial.top1,
        "metrics": dict(trial.metrics) or None,
        "metric": trial.metric if trial.metrics else None,
        "curve": list(trial.curve) or None,
        "expected_reward": trial.expected_reward,
        "seconds": trial.seconds,
        "error": trial.error,
    }
    return {key: value for key, value in found.items() if value is not None}
