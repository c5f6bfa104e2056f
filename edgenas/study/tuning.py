"""A study for anything: a user's own evaluator and space, with our algorithms, stores and workers.

:func:`minimize` does it all; :class:`Tuning` is the same by hand. Both may run in any number of processes, on any
number of machines, with the same arguments and the URL of one study: each takes trials, and a trial whose process died
is taken by another.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.search.algorithm import create_algorithm
from edgenas.search.option_space import OptionSpace
from edgenas.search.problem import Problem
from edgenas.spaces.errors import InputError, WorkError
from edgenas.study.candidates import is_transient, words_of
from edgenas.study.damage import VALUE
from edgenas.study.desk import IDLE_SECONDS, Desk, wished_choices
from edgenas.study.errors import NoStudyError, StudyExistsError
from edgenas.study.feed import Feed
from edgenas.study.leases import BEAT_SECONDS, GRACE_SECONDS, Lease
from edgenas.study.leases import PATIENCE_SECONDS as LEASE_SECONDS
from edgenas.study.patience import say_on_stderr
from edgenas.study.store import StudyStore, create_study, open_study
from edgenas.study.trial import Trial

#: A trial whose evaluator fails for reasons that say nothing about it is evaluated this often in all.
MAX_TRIES = 3


@dataclass(frozen=True)
class Suggestion:
    """What to evaluate: the trial's number, its values by name, and a seed for everything random in its evaluation."""

    number: int
    values: Mapping[str, Any]
    seed: int


@dataclass(frozen=True)
class TuningResult:
    """What a study has found: the best values, theirs, and how many trials there are and failed."""

    values: Mapping[str, Any]
    value: float
    number: int
    trials: int
    failed: int


class Tuning:
    """The life of a study by hand: :meth:`suggest`, then :meth:`report` or :meth:`fail`. A context manager.

    >>> with Tuning({"x": [-1, 0, 1, 2], "y": [0, 3]}, trials=8, seed=1) as tuning:
    ...     while (suggestion := tuning.suggest()) is not None:
    ...         _ = tuning.report(suggestion, suggestion.values["x"] ** 2 + suggestion.values["y"])
    ...     tuning.result().value
    0.0

    Args:
        space: a list of values for each setting.
        study: where the trials are kept: a file's path or a URL, begun when it is not there; None keeps nothing.
        trials: how many there will be, at most as many as there are combinations.
        algorithm: by name, as in a recipe, with its ``options``.
        seed: same seed, same suggestions, as long as one worker does all.
        maximize: whether more is better.
        worker: this process' name, which no other may have at a time; one that comes back under it gets its trial back.
        beat_seconds, grace_seconds: how often it says that it is alive, and for how long others may be silent.

    Raises InputError when the study is of another space, direction, algorithm or seed, or another process works in it
    under this name.
    """

    def __init__(
        self,
        space: Mapping[str, Sequence[Any]],
        *,
        study: str | Path | None = None,
        trials: int = 100,
        algorithm: str = "auto",
        options: Mapping[str, Any] | None = None,
        seed: int = 0,
        maximize: bool = False,
        worker: str | None = None,
        beat_seconds: float = BEAT_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        if trials < 1:
            raise InputError(f"trials: expected at least 1, found {trials}")
        self.space = OptionSpace(space)
        self.trials = min(trials, self.space.size)
        self.seed = seed
        self._sign = 1.0 if maximize else -1.0
        searcher = create_algorithm(algorithm, Problem(self.space, self.trials), seed, options)
        self._temporary = tempfile.TemporaryDirectory(prefix="edgenas-study-") if study is None else None
        place = Path(self._temporary.name) / "study.db" if self._temporary else study
        assert place is not None
        facts = {
            "space": {decision.name: list(decision.options) for decision in self.space.decisions},
            "maximize": maximize,
            "algorithm": algorithm,
            "seed": seed,
        }
        self.store = begin_or_open(place, facts)
        name = worker or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._beat_seconds, self._grace_seconds = beat_seconds, grace_seconds
        self._desk = Desk(self.store, name, beat_seconds=beat_seconds, grace_seconds=grace_seconds)
        self._feed = Feed(self.store, searcher)
        try:
            self._desk.__enter__()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Tuning:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives back what was suggested and not reported, and releases the study."""
        self._desk.__exit__()
        self.store.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    # Suggesting ----------------------------------------------------------------------------------------------------

    def suggest(self, *, wait: bool = True) -> Suggestion | None:
        """What to evaluate next; None when the study has all its trials.

        Trials that other workers are at may yet come here, if one dies: ``wait`` waits for their end, else None.
        """
        while True:
            trial = self._next()
            if trial is not None:
                return Suggestion(trial.number, self.space.values(trial.choices), trial.seed)
            others = [one for number, one in self._feed.open.items() if number not in self._desk.mine]
            if not others or not wait or self._desk.mine:
                return None
            time.sleep(IDLE_SECONDS)

    def _next(self) -> Trial | None:
        while (taken := self._desk.take()) is not None:
            if adopted := self._adopted(taken):
                return adopted
        while True:
            with self._desk.turn():
                number = self._feed.update()
                if self._feed.ours >= self.trials:
                    return None
                suggestions = self._feed.algorithm.suggest(1) if self._feed.algorithm else []
                if not suggestions:
                    return None
                if (started := self._desk.start(number, **self._content(number, suggestions[0]))) is not None:
                    return started

    def _content(self, number: int, choices: Sequence[int]) -> dict[str, Any]:
        return {
            "architecture": "-".join(str(choice) for choice in choices),
            "choices": tuple(choices),
            "decisions": self.space.decisions,
            "seed": int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0] >> 1),
            "predicted": {},
        }

    def _adopted(self, trial: Trial) -> Trial | None:
        if not trial.foreign:
            return trial
        try:
            wished = wished_choices(trial.wishes, self.space.decisions)
        except WorkError as error:
            self._desk.end(trial.number, self.store.fail, error=f"this trial of somebody else's {error}", seconds=0.0)
            return None
        drawn = self.space.sample(np.random.default_rng([self.seed, trial.number]), 1)[0]
        choices = [int(drawn[i]) if wish is None else wish for i, wish in enumerate(wished)]
        return self._desk.adopt(trial, **self._content(trial.number, choices))

    # Reporting -----------------------------------------------------------------------------------------------------

    def report(self, suggestion: Suggestion, value: float, *, seconds: float = 0.0) -> bool:
        """Ends a trial with its value; False when it is another worker's by now, and the value is not used.

        Raises InputError when it is no finite number, WorkError when the trial has ended.
        """
        if isinstance(value, bool) or not math.isfinite(float(value)):
            raise InputError(
                f"trial {suggestion.number}: expected a finite number, found {value!r}; use fail() for none"
            )
        found = {VALUE: float(value)}
        complete, reward = self.store.complete, self._sign * float(value)
        ended = self._desk.end(suggestion.number, complete, metric=VALUE, metrics=found, reward=reward, seconds=seconds)
        return ended is not None

    def fail(self, suggestion: Suggestion, reason: str, *, seconds: float = 0.0) -> bool:
        """Ends a trial that has no value: it does not fit, or computes no number. It is not repeated."""
        return self._desk.end(suggestion.number, self.store.fail, error=reason, seconds=seconds) is not None

    def give_back(self, suggestion: Suggestion) -> None:
        """Leaves a trial to another worker, or to this one later: what happened says nothing about it."""
        self._desk.give_back(suggestion.number)

    def attempts(self, suggestion: Suggestion) -> int:
        """How often the trial was begun."""
        return self.store.trial(suggestion.number).attempts

    def lease(self, name: str, *, patience_seconds: float = LEASE_SECONDS) -> Lease:
        """A context in which only this process, of all that share the study, uses what ``name`` says: a board, say.

        Raises WorkError when the others take longer than ``patience_seconds``, and LostLeaseError at the end when this
        process was not heard of meanwhile, so that another one may have used it too.
        """
        return Lease(
            self.store,
            name,
            beat_seconds=self._beat_seconds,
            grace_seconds=self._grace_seconds,
            patience_seconds=patience_seconds,
            say=say_on_stderr,
        )

    @property
    def in_vain(self) -> int:
        """How many suggestions came to nothing here, because another worker had begun a trial meanwhile."""
        return self._desk.in_vain

    def result(self) -> TuningResult:
        """The best so far. Raises WorkError when no trial has a value."""
        trials = [trial for trial in self.store.trials if not trial.foreign]
        failed = [trial for trial in trials if trial.state == "failed"]
        ranking = self.store.ranking
        if not ranking:
            reason = failed[-1].error if failed else "none has ended"
            raise WorkError(f"none of {len(trials)} trials has a value; the last reason: {reason}")
        best = ranking[0]
        return TuningResult(
            self.space.values(best.choices),
            self._sign * (best.reward or 0.0) + 0.0,
            best.number,
            len(trials),
            len(failed),
        )


def minimize(
    evaluate: Callable[[Mapping[str, Any]], float],
    space: Mapping[str, Sequence[Any]],
    **settings: Any,
) -> TuningResult:
    """Finds the values of a space for which a function is least (or greatest, with ``maximize=True``).

    >>> minimize(lambda values: (values["x"] - 3) ** 2, {"x": [0, 1, 2, 3, 4], "unused": [1, 2]}, trials=10).values["x"]
    3

    Args:
        evaluate: gets the values by name; returns a number. What it raises fails the trial for good, but for lost
            connections and memory that ran out: these are tried again, :data:`MAX_TRIES` times in all.
        space: a list of values for each setting.
        settings: as of :class:`Tuning`.
    """
    with Tuning(space, **settings) as tuning:
        while (suggestion := tuning.suggest()) is not None:
            began = time.monotonic()
            try:
                value = float(evaluate(suggestion.values))
                problem = None if math.isfinite(value) else f"the value is {value}"
            except Exception as error:
                if is_transient(error) and tuning.attempts(suggestion) < MAX_TRIES:
                    tuning.give_back(suggestion)
                    continue
                problem = words_of(error)
            seconds = time.monotonic() - began
            if problem is None:
                tuning.report(suggestion, value, seconds=seconds)
            else:
                tuning.fail(suggestion, problem, seconds=seconds)
        return tuning.result()


def begin_or_open(place: Path | str, facts: Mapping[str, Any]) -> StudyStore:
    """The study at a path or URL, begun when it is not there. Raises InputError when it is of something else."""
    with _alone(place):
        try:
            store = open_study(Path(place) if "://" not in str(place) else place)
        except NoStudyError:
            store = _created(place, facts)
    found = store.facts
    wanted = json.loads(json.dumps(dict(facts)))
    for key, value in wanted.items():
        if found.get(key) != value:
            store.close()
            raise InputError(f"{place}: is the study of another {key}: {found.get(key)!r} there, {value!r} here")
    return store


def _created(place: Path | str, facts: Mapping[str, Any]) -> StudyStore:
    with contextlib.suppress(StudyExistsError):
        return create_study(Path(place) if "://" not in str(place) else place, facts)
    deadline = time.monotonic() + 30.0
    while True:  # another worker begins it at this moment: the facts come last
        store = open_study(place)
        if set(facts) <= set(store.facts) or time.monotonic() > deadline:
            return store
        store.close()
        time.sleep(0.2)


@contextlib.contextmanager
def _alone(place: Path | str) -> Iterator[None]:
    """One process at a time begins or opens a file: SQLite's tables cannot be made by two."""
    path = str(place).removeprefix("sqlite:///")
    if "://" in path or Path(path).is_dir():
        yield
        return
    import fcntl

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            say_on_stderr(
                f"{path}: cannot be locked ({error.strerror}): its file system has no locks. Begin the study in one "
                "process, and let others join then"
            )
        yield
