"""One worker's place at a study: which trial it takes next, and that the others know that it is alive.

A worker that is free takes, in this order: a trial of its own that it was at when it died; one that waits, because a
script put it in or another worker gave it back; one of a worker that was not heard of for :data:`GRACE_SECONDS`; and
else starts a new one. Silence is counted by the listener's own clock: clocks of several machines may differ and jump.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgenas.spaces.errors import EdgeNASError, WorkError
from edgenas.study.errors import LostTrialError, NumberTakenError
from edgenas.study.leases import BEAT_SECONDS, GRACE_SECONDS
from edgenas.study.store import StudyStore
from edgenas.study.trial import Trial
from edgenas.study.worker_names import WorkerName

if TYPE_CHECKING:
    from edgenas.spaces.space.decision import Decision

#: A trial that was begun this often is its workers' end, and is not given to another.
MAX_ATTEMPTS = 10
#: How long a free worker waits before it looks again whether there is something to do.
IDLE_SECONDS = 0.5
#: Silent workers are looked for this often in a period of grace.
_LOOKS = 5


@dataclass
class Silence:
    """Since when each trial's worker was not heard of, by the clock of this process.

    >>> silence = Silence(60.0)
    >>> silence.longer({3: "12:00:00"}, at=0.0), silence.longer({3: "12:00:00"}, at=59.0)
    ([], [])
    >>> silence.longer({3: "12:00:00"}, at=61.0), silence.longer({3: "12:00:09"}, at=62.0)
    ([3], [])
    """

    grace_seconds: float
    heard: dict[int, tuple[str, float]] = field(default_factory=dict)

    def longer(self, beats: dict[int, str], at: float) -> list[int]:
        """Numbers of the trials whose beat did not change for the period of grace."""
        kept = {number: known for number, known in self.heard.items() if known[0] == beats.get(number)}
        self.heard = {number: kept.get(number, (beat, at)) for number, beat in beats.items()}
        return sorted(number for number, (_, since) in self.heard.items() if at - since >= self.grace_seconds)


class Desk:
    """Takes and ends trials under one worker's name. A context manager; leaving it gives back what is not ended.

    Args:
        store: the study.
        worker: a name that no other worker has; empty: the search itself, alone with its study. Entering raises
            NameInUseError when another process works under it.
        beat_seconds: how often it says that it is alive.
        grace_seconds: how long another one may be silent.
        say: told what the user should know.

    Attributes:
        mine: numbers of the trials that it is at.
        in_vain: how many of its suggestions came to nothing, because another worker had begun a trial meanwhile.
    """

    def __init__(
        self,
        store: StudyStore,
        worker: str = "",
        *,
        beat_seconds: float = BEAT_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
        say: Callable[[str], None] = lambda words: None,
    ) -> None:
        if worker and grace_seconds < 2 * beat_seconds:
            raise WorkError(f"grace of {grace_seconds} s: expected at least twice the {beat_seconds} s between beats")
        self.store = store
        self.worker = worker
        self.say = say
        self.mine: set[int] = set()
        self.in_vain = 0
        self._beat_seconds = beat_seconds
        self._silence = Silence(grace_seconds)
        self._study_was_away = False
        self._looked = -1e9
        self._come_back = bool(worker)
        self._name = WorkerName(store, worker, beat_seconds, say) if worker else None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Desk:
        if self._name is not None:
            self._name.__enter__()
            self._thread = threading.Thread(target=self._beat, daemon=True, name="study-beat")
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5.0)
        if self._name is not None and not self._name.lost:  # else they are those of who has the name now
            for number in sorted(self.mine):
                with contextlib.suppress(EdgeNASError):
                    self.store.release(number, self.worker)
        self.mine.clear()
        if self._name is not None:
            self._name.__exit__(None, None, None)

    def _beat(self) -> None:
        while not self._stop.wait(self._beat_seconds):
            numbers = sorted(self.mine)
            if not numbers:
                continue
            try:
                with self._noting_absence():
                    lost = self.store.beat(numbers, self.worker)
            except Exception as error:  # the next one may get through; until then others may take the trial over
                self.say(f"  not heard of by the study: {error}")
                continue
            for number in set(lost) & self.mine:
                self.say(f"  trial {number} was given to another worker, because this one was not heard of")

    # Taking --------------------------------------------------------------------------------------------------------

    def take(self) -> Trial | None:
        """A trial that is there already and that nobody works on; None when there is none.

        Raises WorkError when another process works under this name by now.
        """
        if self._name is not None:
            self._name.check()
        with self._noting_absence():
            trial = self._own() or self.store.claim(self.worker)
        return self._at_work(trial or self._silent())

    @contextlib.contextmanager
    def _noting_absence(self) -> Iterator[None]:
        """While a study is away nobody can be heard of in it: that is no silence of the workers."""
        began = time.monotonic()
        yield
        if time.monotonic() - began > self._silence.grace_seconds / 2:
            self._study_was_away = True

    def _own(self) -> Trial | None:
        while self._come_back:
            trial = self.store.take_back(self.worker)
            if trial is None or trial.number in self.mine:
                self._come_back = False
                return None
            if usable := self._not_too_often(trial):
                self.mine.add(usable.number)  # the next is asked for by the same name
                self._come_back = False
                return usable
        return None

    def _silent(self) -> Trial | None:
        """A trial whose worker was silent for too long."""
        now = time.monotonic()
        if now - self._looked < self._silence.grace_seconds / _LOOKS:
            return None
        self._looked = now
        with self._noting_absence():
            beats = self.store.beats
        if self._study_was_away:
            self._silence.heard.clear()
            self._study_was_away = False
        for number in self._silence.longer(beats, now):
            if number in self.mine:
                continue
            trial = self.store.take_over(number, self.worker, beats[number])
            if trial is not None and (usable := self._not_too_often(trial)):
                self._looked = -1e9  # there may be more
                return usable
        return None

    def _not_too_often(self, trial: Trial) -> Trial | None:
        if trial.attempts <= MAX_ATTEMPTS:
            return trial
        words = f"{trial.attempts - 1} workers ended while they evaluated this"
        self.store.fail(trial.number, error=words, seconds=0.0, worker=self.worker)
        return None

    def start(self, number: int, **content: Any) -> Trial | None:
        """A new trial under this number; None when somebody else has started one under it meanwhile."""
        try:
            return self._at_work(self.store.start(**content, number=number, worker=self.worker))
        except NumberTakenError:
            self.in_vain += 1
            return None

    def turn(self) -> contextlib.AbstractContextManager[Any]:
        """A context for a suggestion and its :meth:`start`, which other workers wait for."""
        return contextlib.nullcontext() if self.alone else self.store.turn()

    @property
    def alone(self) -> bool:
        """Whether it is the search itself, which no other worker waits for."""
        return not self.worker

    def _at_work(self, trial: Trial | None) -> Trial | None:
        if trial is not None and self.worker:
            self.mine.add(trial.number)
        return trial

    # Ending --------------------------------------------------------------------------------------------------------

    def end(self, number: int, how: Callable[..., Trial], **found: Any) -> Trial | None:
        """Ends a trial with ``how``: a method of the store. None when it is another worker's by now.

        Raises WorkError when another process works under this name by now.
        """
        if self._name is not None:
            self._name.check()
        try:
            trial = how(number, **found, worker=self.worker)
        except LostTrialError as error:
            self.say(f"  {error}; this result is not used")
            trial = None
        self.mine.discard(number)
        return trial

    def give_back(self, number: int) -> None:
        """Leaves a trial to another worker."""
        self.mine.discard(number)
        with contextlib.suppress(LostTrialError):
            self.store.release(number, self.worker)

    def adopt(self, trial: Trial, architecture: str, choices: Sequence[int], **content: Any) -> Trial:
        """Makes a trial that somebody else put in one of ours."""
        return self.store.adopt(trial.number, architecture, choices, **content)


def wished_choices(wishes: Any, decisions: Sequence[Decision]) -> tuple[int | None, ...]:
    """The options that somebody asked for, by decision; None where they left it open.

    Raises WorkError naming what is no decision or no option of it.
    """
    names = [decision.name for decision in decisions]
    for name in wishes:
        if name not in names:
            raise WorkError(f"asks for {str(name)[:60]!r}, which is no decision of the space: {', '.join(names)[:300]}")
    choices: list[int | None] = []
    for decision in decisions:
        if decision.name not in wishes:
            choices.append(None)
            continue
        wish = str(wishes[decision.name])
        if wish not in decision.options:
            raise WorkError(f"asks for {wish[:60]!r} as {decision.name}: expected one of {', '.join(decision.options)}")
        choices.append(decision.options.index(wish))
    return tuple(choices)
