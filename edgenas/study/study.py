"""The persistent record of a search: every trial, whatever became of it, in one SQLite file.

The file is an ordinary Optuna study (name :data:`STUDY_NAME`): its parameters are the decisions of the space, its
value is the reward, and the user attributes hold the rest, so Optuna's own tools and dashboard read it. A trial is
written in one transaction when it starts and in one when it ends; a trial that is ``running`` while no process works
on it was interrupted and is evaluated again under the same number and seed.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.spaces.errors import InputError, WorkError
from edgenas.study.damage import (
    FACTS,
    IDENTITY,
    OUTCOME,
    STUDY_NAME,
    back_up,
    damage_report,
    facts_checksums,
    file_problem,
    identity_checksum,
    outcome_checksum,
    trial_problem,
)
from edgenas.study.patience import BUSY_SECONDS, Patience, StudyDamagedError, say_on_stderr
from edgenas.study.rows import TrialRow, read_rows, take_waiting

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from edgenas.spaces.space.decision import Decision

__all__ = ["STUDY_NAME", "Study", "StudyDamagedError", "Trial"]

_STATES = {"RUNNING": "running", "WAITING": "waiting", "COMPLETE": "complete", "FAIL": "failed", "PRUNED": "stopped"}


@dataclass(frozen=True)
class Trial:
    """One candidate of a search.

    Attributes:
        number: place in the study, from 0; names the folder ``trials/<number>`` of the run.
        architecture: text that the space reads back.
        choices: the same as one option index per decision.
        state: ``waiting``, ``running``, ``complete``, ``failed``, or ``stopped`` early. Failed and
            stopped ones are not repeated.
        seed: seed of everything random in its evaluation.
        predicted: costs by name with the unit in the name (``latency_ms``, ``macs``, ...), exact or from the table.
        attempts: how often its evaluation was started; above 1 after interruptions.
        top1: of classifiers, the accuracy in [0, 1] on the validation split after the short training.
        reward: what the search maximises.
        seconds: time that the last attempt took.
        measured: costs measured on the device, where that was done.
        error: why it failed.
        curve: accuracy after each epoch, where the search stops early.
        metric: name of the primary one of the metrics.
        metrics: figures in [0, 1] on the validation split after the short training, by name.
        expected_reward: of a stopped one, the reward at the accuracy that its curve was heading for.
        files: folder with what its evaluation left, relative to the run's folder; empty when it left nothing.
    """

    number: int
    architecture: str
    choices: tuple[int, ...]
    state: str
    seed: int
    predicted: Mapping[str, float]
    attempts: int = 1
    top1: float | None = None
    reward: float | None = None
    seconds: float | None = None
    measured: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    curve: tuple[float, ...] = ()
    expected_reward: float | None = None
    metric: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    files: str = ""

    @property
    def score(self) -> float | None:
        """The primary metric; None before the evaluation has ended."""
        return self.metrics.get(self.metric, self.top1)


class Study:
    """Trials in ``study.db``. One process writes; any number may read.

    Make one with :meth:`create` or :meth:`open`. A file that another program holds is waited for, and this is told to
    ``say``. Everything that uses the file raises WorkError when that takes too long or the disk is full, and
    :class:`StudyDamagedError` when the file is damaged.
    """

    def __init__(self, path: Path, *, new: bool, say: Callable[[str], None] = say_on_stderr) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        # A cursor that Ctrl-C left open is no error to tell users of: transactions are whole or not there at all.
        logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
        self.path = path
        self._patiently = Patience(path, say)
        self._ids: dict[int, int] = {}
        self._finished: dict[int, Trial] = {}
        if not new and (problem := self._patiently(lambda: file_problem(path))):
            raise StudyDamagedError(damage_report(path, problem))
        self._storage, self._study = self._patiently(lambda: self._connect(new))
        if not new:
            _ = self.trials  # what Optuna cannot read is found now, not in the middle of the work

    def _connect(self, new: bool) -> tuple[Any, Any]:
        import optuna

        # Connections are made here, because a path may hold what has a meaning in a URL.
        storage = optuna.storages.RDBStorage(
            "sqlite:///study.db",
            engine_kwargs={
                "creator": lambda: sqlite3.connect(self.path, timeout=BUSY_SECONDS, check_same_thread=False)
            },
        )
        try:
            if new:
                return storage, optuna.create_study(study_name=STUDY_NAME, storage=storage, direction="maximize")
            return storage, optuna.load_study(study_name=STUDY_NAME, storage=storage)
        except KeyError:
            raise InputError(f"{self.path}: holds no study named {STUDY_NAME!r}") from None
        except optuna.exceptions.DuplicatedStudyError:
            raise InputError(f"{self.path}: exists already; open it to continue") from None

    @classmethod
    def create(cls, path: Path | str, facts: Mapping[str, Any] | None = None) -> Study:
        """A new study with ``facts`` about it (seed, space, ...). Raises InputError when there is one already."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        study = cls(path, new=True)
        facts = dict(facts or {})
        for name, value in (facts | {FACTS: facts_checksums(facts)}).items():
            study._set_fact(name, value)
        return study

    @classmethod
    def open(cls, path: Path | str, say: Callable[[str], None] = say_on_stderr) -> Study:
        """The study in a file. Raises InputError when there is none, and when it is damaged."""
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: there is no study")
        return cls(path, new=False, say=say)

    def back_up(self) -> None:
        """Copies the study to ``study.db.bak``, as a whole. A full disk costs the backup, not the run.

        Raises :class:`StudyDamagedError` when the study is damaged; the backup before it is kept then.
        """
        try:
            self._patiently(lambda: back_up(self.path))
        except StudyDamagedError:
            raise
        except WorkError as error:
            self._patiently.say(f"  the study is not backed up this time: {error}")

    def close(self) -> None:
        """Releases the file."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    @property
    def facts(self) -> dict[str, Any]:
        """What :meth:`create` was told."""
        facts = self._patiently(lambda: self._study.user_attrs)
        return {key: value for key, value in facts.items() if key != FACTS and not key.startswith("measured:")}

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials by number, as they are in the file now."""
        facts = self._patiently(lambda: self._study.user_attrs)
        measured = {
            int(key.removeprefix("measured:")): costs for key, costs in facts.items() if key.startswith("measured:")
        }
        numbers, rows = self._patiently(self._read_rows)
        found = dict(self._finished)
        for row in rows:
            self._ids[row.number] = row.trial_id
            trial = found[row.number] = self._patiently(
                lambda row=row: _trial(row.number, row.state, row.attributes, row.value)  # type: ignore[misc]
            )
            if trial.state not in ("running", "waiting"):
                self._finished[row.number] = trial
        return tuple(
            dataclasses.replace(found[number], measured=measured[number]) if number in measured else found[number]
            for number in numbers
        )

    def trial(self, number: int) -> Trial:
        """One trial. Raises InputError when there is none of this number."""
        if number in self._ids and number not in self._finished:  # one being evaluated: read alone, not with all others
            return self._with_measured(self._read(self._patiently(lambda: self._storage.get_trial(self._ids[number]))))
        trials = self.trials
        for trial in trials:
            if trial.number == number:
                return trial
        raise InputError(f"{self.path}: there is no trial {number}; it holds {len(trials)} trials, numbered from 0")

    def _with_measured(self, trial: Trial) -> Trial:
        costs = self._patiently(lambda: self._study.user_attrs).get(f"measured:{trial.number}")
        return trial if costs is None else dataclasses.replace(trial, measured=costs)

    @property
    def ranking(self) -> tuple[Trial, ...]:
        """Complete trials, best reward first; the earlier of two equal ones first."""
        complete = [trial for trial in self.trials if trial.state == "complete" and trial.reward is not None]
        return tuple(sorted(complete, key=lambda trial: (-(trial.reward or 0.0), trial.number)))

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
    ) -> Trial:
        """Records a new trial as running, or as ``waiting`` for :meth:`claim`, and returns it.

        ``{number}`` in ``files`` becomes its number.
        """
        from optuna.distributions import CategoricalDistribution
        from optuna.trial import TrialState, create_trial

        params = {d.name: d.options[choice] for d, choice in zip(decisions, choices, strict=True)}
        attributes: dict[str, Any] = {
            "architecture": architecture,
            "choices": [int(choice) for choice in choices],
            "seed": int(seed),
            "predicted": {name: _plain(value) for name, value in predicted.items()},
            "attempts": 1,
            "files": files,
        }
        template = create_trial(
            state=TrialState.WAITING if waiting else TrialState.RUNNING,
            params=params,
            distributions={d.name: CategoricalDistribution(d.options) for d in decisions},
            user_attrs=attributes | {IDENTITY: identity_checksum(attributes, params)},
        )
        trial_id = self._patiently(
            lambda: self._storage.create_new_trial(self._study._study_id, template_trial=template)
        )
        frozen = self._patiently(lambda: self._storage.get_trial(trial_id))
        self._ids[frozen.number] = trial_id
        return self._read(frozen)

    def claim(self) -> Trial | None:
        """Takes the first waiting trial, which is then running, before anybody else does; None when none waits."""
        for trial in self.trials:
            taken = trial.state == "waiting" and self._patiently(
                lambda t=trial: take_waiting(self._storage.engine, self._ids[t.number])  # type: ignore[misc]
            )
            if taken:
                return self.trial(trial.number)
        return None

    def retry(self, number: int) -> Trial:
        """Records that an interrupted trial is evaluated again."""
        trial = self._running(number)
        self._set(number, "attempts", trial.attempts + 1)
        return self.trial(number)

    def complete(
        self,
        number: int,
        *,
        metric: str,
        metrics: Mapping[str, float],
        reward: float,
        seconds: float,
        curve: Sequence[float] = (),
    ) -> Trial:
        """Ends a running trial with its metrics, ``metric`` the primary one. Raises WorkError unless all are finite."""
        found = {name: float(value) for name, value in metrics.items()}
        if not all(math.isfinite(value) for value in (found[metric], reward, *found.values())):
            words = ", ".join(f"{name} {value}" for name, value in found.items())
            raise WorkError(f"trial {number}: {words} and reward {reward} must be finite")
        self._end(
            number,
            "COMPLETE",
            float(reward),
            top1=found.get("top1"),
            metric=metric,
            metrics=found,
            curve=[float(value) for value in curve] or None,
            seconds=round(float(seconds), 3),
        )
        return self.trial(number)

    def stop(self, number: int, *, curve: Sequence[float], expected_reward: float, error: str, seconds: float) -> Trial:
        """Ends a running trial that was not worth finishing; ``error`` says why. It is never a result."""
        self._end(
            number,
            "PRUNED",
            curve=[float(value) for value in curve],
            expected_reward=float(expected_reward),
            error=error,
            seconds=round(float(seconds), 3),
        )
        return self.trial(number)

    def fail(self, number: int, *, error: str, seconds: float) -> Trial:
        """Ends a running trial that has no result, for good."""
        self._end(number, "FAIL", error=error, seconds=round(float(seconds), 3))
        return self.trial(number)

    def _end(self, number: int, state: str, reward: float | None = None, **found: Any) -> None:
        """Writes how a trial ended; the state comes last, so that a trial with one has everything."""
        from optuna.trial import TrialState

        self._running(number)
        values = {key: value for key, value in found.items() if value is not None}
        frozen = self._patiently(lambda: self._storage.get_trial(self._ids[number]))
        # What an earlier attempt left half written belongs to the trial too.
        attributes = frozen.user_attrs | values
        if IDENTITY in attributes:
            values[OUTCOME] = outcome_checksum(attributes, state, reward)
        for key, value in values.items():
            self._set(number, key, value)
        self._patiently(lambda: self._study.tell(number, reward, state=TrialState[state]))

    def record_measured(self, number: int, costs: Mapping[str, float]) -> None:
        """Adds costs measured on the device to a trial, whatever its state."""
        known = dict(self.trial(number).measured)
        self._set_fact(f"measured:{number}", known | {name: _plain(v) for name, v in costs.items()})

    def _running(self, number: int) -> Trial:
        trial = self.trial(number)
        if trial.state != "running":
            raise WorkError(f"trial {number} is {trial.state} already")
        return trial

    def _set(self, number: int, key: str, value: Any) -> None:
        self._patiently(lambda: self._storage.set_trial_user_attr(self._ids[number], key, value))

    def _set_fact(self, key: str, value: Any) -> None:
        self._patiently(lambda: self._study.set_user_attr(key, value))

    def _read_rows(self) -> tuple[list[int], list[TrialRow]]:
        return read_rows(self._storage.engine, self._study._study_id, self._finished)

    def _read(self, frozen: FrozenTrial) -> Trial:
        """A trial as Optuna has it. Raises StudyDamagedError when it is not what was written."""
        problem = trial_problem(frozen.state.name, frozen.user_attrs, frozen.values, frozen.params)
        if problem:
            raise StudyDamagedError(damage_report(self.path, f"trial {frozen.number}: {problem}"))
        return _from_optuna(frozen)


def _from_optuna(frozen: FrozenTrial) -> Trial:
    return _trial(frozen.number, frozen.state.name, frozen.user_attrs, frozen.values[0] if frozen.values else None)


def _trial(number: int, state: str, attributes: Mapping[str, Any], value: float | None) -> Trial:
    return Trial(
        number=number,
        architecture=attributes.get("architecture", ""),
        choices=tuple(attributes.get("choices", ())),
        state=_STATES[state],
        seed=attributes.get("seed", 0),
        predicted=attributes.get("predicted", {}),
        attempts=attributes.get("attempts", 1),
        top1=attributes.get("top1"),
        metric=attributes.get("metric", "top1"),  # older trials are of classifiers
        metrics=attributes.get("metrics") or _older_metrics(attributes),
        reward=value,
        seconds=attributes.get("seconds"),
        error=attributes.get("error"),
        curve=tuple(attributes.get("curve", ())),
        expected_reward=attributes.get("expected_reward"),
        files=str(attributes.get("files", "")).replace("{number}", str(number)),
    )


def _older_metrics(attributes: Mapping[str, Any]) -> dict[str, float]:
    return {"top1": attributes["top1"]} if attributes.get("top1") is not None else {}


def _plain(value: float) -> float:
    """A Python number, so that it can be written as JSON; integers stay integers."""
    return int(value) if float(value).is_integer() and abs(value) >= 1e3 else float(value)
