"""A study in a database of Optuna: what holds for SQLite, PostgreSQL and MySQL alike.

Its parameters are the decisions of the space, its value is the reward, and the user attributes hold the rest, so
Optuna's own tools and dashboard read it. Every method is one transaction.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from edgenas.spaces.errors import InputError, WorkError
from edgenas.study import lease_rows, writes
from edgenas.study.damage import FACTS, facts_checksums
from edgenas.study.known import KnownTrials
from edgenas.study.rows import TrialRow, read_news, read_row
from edgenas.study.trial import Trial, trial_of
from edgenas.study.writes import Content, content_of, plain

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from edgenas.spaces.space.decision import Decision

Value = TypeVar("Value")
_MEASURED = "measured:"
#: Facts that the study keeps for its own use begin with this.
INTERNAL = "edgenas:"


class DatabaseStudy(KnownTrials):
    """Trials in a database. Subclasses say how it is reached and what its errors mean.

    Args:
        where: the study in words, for messages.
        patiently: calls what uses the database: waits for what passes, and makes our errors of the others.
        storage: Optuna's storage.
        study: Optuna's study in it.
    """

    def __init__(self, where: str, patiently: Callable[[Callable[[], Any]], Any], storage: Any, study: Any) -> None:
        super().__init__()
        self.where = where
        self._patiently = patiently
        self._storage, self._study = storage, study
        self._study_id: int = study._study_id
        self._ids: dict[int, int] = {}
        self._last = -1

    def close(self) -> None:
        """Releases the database."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def back_up(self) -> None:
        """Databases of their own are backed up by who runs them."""

    def turn(self) -> contextlib.AbstractContextManager[Any]:
        """A file is written by one after the other anyway."""
        return contextlib.nullcontext()

    def take_lease(self, name: str, holder: str, known: str = "") -> str:
        """Takes or renews a lease on what workers share; returns the beat of who has it now, empty when nobody."""

        def work(connection: Connection) -> str:
            writes.lock_study(connection, self._study_id)
            return lease_rows.take_lease(connection, self._study_id, name, holder, known)

        return str(self._write(work))

    def end_lease(self, name: str, holder: str) -> None:
        """Gives a lease back, if it is the holder's."""

        def work(connection: Connection) -> None:
            writes.lock_study(connection, self._study_id)
            lease_rows.end_lease(connection, self._study_id, name, holder)

        self._write(work)

    # Facts ---------------------------------------------------------------------------------------------------------

    @property
    def facts(self) -> dict[str, Any]:
        """What the study was created with."""
        hidden = (_MEASURED, INTERNAL)
        return {key: value for key, value in self._facts().items() if key != FACTS and not key.startswith(hidden)}

    def _facts(self) -> dict[str, Any]:
        return dict(self._patiently(lambda: self._study.user_attrs))

    @property
    def storage(self) -> Any:
        """Optuna's storage that the study is in."""
        return self._storage

    def write_facts(self, facts: Mapping[str, Any]) -> None:
        """What a new study is told about itself."""
        for name, value in (dict(facts) | {FACTS: facts_checksums(facts)}).items():
            self.remember(name, value)

    def remember(self, key: str, value: Any) -> None:
        """Keeps something about the study as a whole."""
        self._patiently(lambda: self._study.set_user_attr(key, value))

    def recall(self, key: str) -> Any:
        """What :meth:`remember` was told; None when it was told nothing."""
        return self._facts().get(key)

    def record_measured(self, number: int, costs: Mapping[str, float]) -> None:
        """Adds costs measured on the device to a trial, whatever its state."""
        known = dict(self.trial(number).measured)
        self.remember(f"{_MEASURED}{number}", known | {name: plain(v) for name, v in costs.items()})

    # Reading -------------------------------------------------------------------------------------------------------

    def _read_news(self) -> None:
        still_open = [self._ids[number] for number in self._open]
        for row in self._read(lambda connection: read_news(connection, self._study_id, self._last, still_open)):
            self._keep(row)
            self._last = max(self._last, row.trial_id)

    def _read_measured(self) -> dict[int, dict[str, float]]:
        return {
            int(key.removeprefix(_MEASURED)): costs for key, costs in self._facts().items() if key.startswith(_MEASURED)
        }

    def _keep(self, row: TrialRow) -> Trial:
        trial = self._patiently(lambda: trial_of(row.number, row.state, row.attributes, row.value, row.wishes))
        self._ids[row.number] = row.trial_id
        return self._note(trial)

    def trial(self, number: int) -> Trial:
        """One trial. Raises InputError when there is none of this number."""
        if number not in self._known:
            self._read_news()
        elif number in self._open:
            trial_id = self._ids[number]
            row = self._read(lambda connection: read_row(connection, self._study_id, trial_id))
            if row is not None:
                self._keep(row)
        if number not in self._known:
            count = len(self._known)
            raise InputError(f"{self.where}: there is no trial {number}; it holds {count} trials, numbered from 0")
        costs = self._facts().get(f"{_MEASURED}{number}")
        trial = self._known[number]
        return trial if costs is None else dataclasses.replace(trial, measured=costs)

    # Beginning and taking ------------------------------------------------------------------------------------------

    def start(
        self,
        architecture: str,
        choices: Sequence[int],
        decisions: Sequence[Decision],
        *,
        seed: int,
        predicted: Mapping[str, float],
        files: str = "",
        waiting: bool = False,
        number: int | None = None,
        worker: str = "",
    ) -> Trial:
        """Records a new trial as running, or as ``waiting`` for :meth:`claim`, and returns it.

        ``{number}`` in ``files`` becomes its number. Raises NumberTakenError when ``number`` is not the next.
        """
        content = content_of(architecture, choices, decisions, seed, predicted, files)

        def work(connection: Connection) -> TrialRow:
            writes.lock_study(connection, self._study_id)
            taker = None if waiting else worker
            row: TrialRow = writes.insert_trial(connection, self._study_id, number, content, taker)
            return row

        return self._found(self._write(work))

    def _found(self, row: TrialRow) -> Trial:
        """A trial that was just written; those before it are still to be read."""
        self._ids[row.number] = row.trial_id
        return trial_of(row.number, row.state, row.attributes, row.value, row.wishes)

    def claim(self, worker: str = "") -> Trial | None:
        """Takes the first waiting trial, which is then running, before anybody else does; None when none waits."""
        first = self._read(lambda connection: writes.first_waiting(connection, self._study_id))
        return None if first is None else self._taken(lambda connection: _claim(connection, self._study_id, worker))

    def take_back(self, worker: str) -> Trial | None:
        """The first running trial of a worker of this name that came back; its attempts are counted."""
        mine = sorted(t.number for t in self.trials if t.state == "running" and t.worker == worker and not t.foreign)
        return self._take_again(mine[0], worker, worker) if mine else None

    @property
    def beats(self) -> dict[int, str]:
        """When workers were last heard of, by number of their running trials: compare it, do not compute with it."""
        found: dict[int, str] = self._read(lambda connection: writes.read_beats(connection, self._study_id))
        return found

    def beat(self, numbers: Sequence[int], worker: str) -> tuple[int, ...]:
        """Says that a worker is at work on trials of its own; returns those that are not its own any more."""
        lost: list[int] = []

        def work(connection: Connection) -> None:
            lost.clear()
            for number in numbers:
                row = read_row(connection, self._study_id, self._ids[number])
                if row is None or row.state != "RUNNING" or row.attributes.get("worker", "") != worker:
                    lost.append(number)
                else:
                    writes.beat(connection, row.trial_id)

        self._write(work)
        return tuple(lost)

    def take_over(self, number: int, worker: str, beat: str) -> Trial | None:
        """Takes a running trial whose worker was last heard of at ``beat``; None when it was heard of since."""
        self.trial(number)
        if self.beats.get(number) != beat:
            return None
        return self._take_again(number, worker, None, beat)

    def _take_again(self, number: int, worker: str, owner: str | None, beat: str | None = None) -> Trial | None:
        def work(connection: Connection) -> TrialRow | None:
            writes.lock_study(connection, self._study_id)
            row = read_row(connection, self._study_id, self._ids[number])
            if row is None or row.state != "RUNNING":
                return None
            if owner is not None and row.attributes.get("worker", "") != owner:
                return None
            if beat is not None and writes.read_beats(connection, self._study_id).get(number) != beat:
                return None
            writes.take(connection, row.trial_id, worker, again=True)
            return read_row(connection, self._study_id, row.trial_id)

        return self._taken(work)

    def _taken(self, work: Callable[[Connection], TrialRow | None]) -> Trial | None:
        row = self._write(work)
        return None if row is None else self._keep(row)

    def adopt(
        self,
        number: int,
        architecture: str,
        choices: Sequence[int],
        decisions: Sequence[Decision],
        *,
        seed: int,
        predicted: Mapping[str, float],
        files: str = "",
    ) -> Trial:
        """Gives a running trial that somebody else put in what a trial of ours has."""
        content = content_of(architecture, choices, decisions, seed, predicted, files)
        self.trial(number)

        def work(connection: Connection) -> TrialRow | None:
            row = read_row(connection, self._study_id, self._ids[number])
            if row is not None and "architecture" not in row.attributes:
                writes.write_content(connection, row.trial_id, Content(content.attributes, content.params))
            return read_row(connection, self._study_id, self._ids[number])

        row = self._write(work)
        assert row is not None
        return self._keep(row)

    def release(self, number: int, worker: str) -> None:
        """Gives a running trial back, for whoever claims it next. Raises LostTrialError when it is not the worker's."""
        self.trial(number)

        def work(connection: Connection) -> None:
            row = read_row(connection, self._study_id, self._ids[number])
            if row is None or row.state != "RUNNING":
                return
            writes.check_owner(row.attributes, number, worker)
            writes.set_waiting(connection, row.trial_id, row.attributes)

        self._write(work)

    def retry(self, number: int) -> Trial:
        """Records that a running trial is evaluated again."""
        trial = self.trial(number)
        if trial.state != "running":
            raise WorkError(f"trial {number} is {trial.state} already")
        attempts = {"attempts": trial.attempts + 1}
        self._write(lambda connection: writes.set_attributes(connection, self._ids[number], attempts))
        return self.trial(number)

    # Ending --------------------------------------------------------------------------------------------------------

    def complete(
        self,
        number: int,
        *,
        metric: str,
        metrics: Mapping[str, float],
        reward: float,
        seconds: float,
        curve: Sequence[float] = (),
        worker: str = "",
    ) -> Trial:
        """Ends a running trial with its metrics, ``metric`` the primary one. Raises WorkError unless all are finite."""
        found = {name: float(value) for name, value in metrics.items()}
        if not all(math.isfinite(value) for value in (found[metric], reward, *found.values())):
            words = ", ".join(f"{name} {value}" for name, value in found.items())
            raise WorkError(f"trial {number}: {words} and reward {reward} must be finite")
        return self._end(
            number,
            worker,
            "COMPLETE",
            float(reward) + 0.0,  # databases have no minus zero, and the checksum would
            top1=found.get("top1"),
            metric=metric,
            metrics=found,
            curve=[float(value) for value in curve] or None,
            seconds=round(float(seconds), 3),
        )

    def stop(
        self,
        number: int,
        *,
        curve: Sequence[float],
        expected_reward: float,
        error: str,
        seconds: float,
        worker: str = "",
    ) -> Trial:
        """Ends a running trial that was not worth finishing; ``error`` says why. It is never a result."""
        return self._end(
            number,
            worker,
            "PRUNED",
            curve=[float(value) for value in curve],
            expected_reward=float(expected_reward),
            error=error,
            seconds=round(float(seconds), 3),
        )

    def fail(self, number: int, *, error: str, seconds: float, worker: str = "") -> Trial:
        """Ends a running trial that has no result, for good."""
        return self._end(number, worker, "FAIL", error=error, seconds=round(float(seconds), 3))

    def _end(self, number: int, worker: str, state: str, reward: float | None = None, **found: Any) -> Trial:
        if number not in self._ids:
            self.trial(number)
        trial_id = self._ids[number]
        values = {key: value for key, value in found.items() if value is not None}

        def work(connection: Connection) -> TrialRow:
            row: TrialRow = writes.end_trial(connection, trial_id, number, worker, state, reward, values)
            return row

        return self._keep(self._write(work))

    def add_copies(self, trials: Sequence[Trial], decisions: Sequence[Decision]) -> None:
        """Adds trials of another study as they are, under the same numbers, to this one, which has none."""

        def work(connection: Connection) -> None:
            for trial in trials:
                writes.insert_copy(connection, self._study_id, trial, decisions)

        self._write(work)
        for trial in trials:
            if trial.measured:
                self.record_measured(trial.number, trial.measured)

    # The database --------------------------------------------------------------------------------------------------

    def _read(self, work: Callable[[Connection], Value]) -> Value:
        def call() -> Value:
            with self._storage.engine.connect() as connection:
                return work(connection)

        found: Value = self._patiently(call)
        return found

    def _write(self, work: Callable[[Connection], Value]) -> Value:
        def call() -> Value:
            with self._storage.engine.begin() as connection:
                return work(connection)

        found: Value = self._patiently(call)
        return found


def _claim(connection: Connection, study_id: int, worker: str) -> TrialRow | None:
    writes.lock_study(connection, study_id)
    trial_id = writes.first_waiting(connection, study_id)
    if trial_id is None:
        return None
    writes.take(connection, trial_id, worker, again=False)
    row = read_row(connection, study_id, trial_id)
    return row
