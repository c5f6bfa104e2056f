"""What is evaluated, what an evaluator may answer, and how its answer or its failure is read.

An evaluator is anybody's function: whatever it returns or raises becomes an :class:`Outcome`, never an error of the
search.
"""

from __future__ import annotations

import math
import numbers
import reprlib
import sysconfig
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from edgenas.spaces.errors import EdgeNASError
from edgenas.spaces.text import printable

_LONGEST_MESSAGE = 500
#: Errors that may not come again: of Python, and of TensorFlow, whose names are known without importing it.
_TRANSIENT = {"MemoryError", "ConnectionError", "TimeoutError", "ResourceExhaustedError", "UnavailableError"}
_PACKAGE = Path(__file__).resolve().parents[1]
_OWN_FOLDERS = tuple(
    f"{folder.resolve()}/"
    for folder in (_PACKAGE, *(_PACKAGE / name for name in ("spaces", "export", "devices", "latency")))
)
_LIBRARY_FOLDERS = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


@dataclass(frozen=True)
class Lesson:
    """What a candidate may take from finished trials.

    Attributes:
        sources: numbers of those whose weights it begins with, the one to be preferred first.
        teacher: number and architecture of the one whose answers it learns; None: there is none.
        share: how far the search is, from 0 at its first candidate to 1 at its last.
    """

    sources: tuple[int, ...] = ()
    teacher: tuple[int, str] | None = None
    share: float = 1.0


@dataclass(frozen=True)
class Candidate:
    """What is evaluated: a trial's number, its architecture as text, and its seed.

    ``earlier`` holds, by number, the accuracies after each epoch of earlier trials, for early stopping. ``folder`` is
    where its evaluation may leave files, and need not exist yet; those of the best trials are kept. Empty: none are.
    ``lesson`` is what it learns from earlier trials.
    """

    number: int
    architecture: str
    seed: int
    earlier: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    folder: str = ""
    lesson: Lesson = field(default_factory=Lesson)


@dataclass(frozen=True)
class Evaluation:
    """What an evaluator found: the primary metric as ``score`` in [0, 1], the same after each epoch, and whether it
    stopped early; ``metrics`` holds all figures of the task, where it tells them.
    """

    score: float
    curve: tuple[float, ...] = ()
    stopped: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How it went: ``score`` in [0, 1] with what an :class:`Evaluation` holds besides, or ``error`` in words.

    ``where`` is the line of the evaluator that raised the error and ``details`` the whole traceback. ``killed``: it
    ended for what says nothing about the candidate: the worker was ended from outside, or :func:`is_transient`.
    """

    number: int
    seconds: float
    score: float | None = None
    error: str | None = None
    curve: tuple[float, ...] = ()
    stopped: bool = False
    where: str = ""
    details: str = ""
    killed: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """The error with its place."""
        words = self.error or "no reason given"
        return f"{words} ({self.where})" if self.where else words


class Evaluator(Protocol):
    """Judges candidates: short training, a table, or the user's own."""

    def __call__(self, candidate: Candidate, /) -> float | Evaluation:
        """Its accuracy, a number in [0, 1], or an Evaluation. An exception fails the candidate."""


class EvaluatorFactory(Protocol):
    """Makes the evaluator where it works. For worker processes it must be picklable: at a module's top level."""

    def __call__(self) -> Evaluator:
        """Called once a worker. An exception ends the search: the setup is wrong, not a candidate."""


def outcome_of(evaluate: Evaluator, candidate: Candidate) -> Outcome:
    """Evaluates a candidate here, in this process; ``seconds`` is left 0.

    >>> outcome_of(lambda candidate: 2, Candidate(0, "", 0)).error
    'the evaluator returned 2 as accuracy, expected a number from 0 to 1'
    """
    try:
        found: Any = evaluate(candidate)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit() in an evaluator is a failure of the candidate, too
        return failure(candidate.number, error)
    try:
        return _read(candidate.number, found)
    except _WrongAnswerError as wrong:
        return Outcome(candidate.number, 0.0, error=str(wrong))
    except Exception as error:  # an object that fails when it is looked at
        return failure(candidate.number, error)


def is_transient(error: BaseException) -> bool:
    """Whether an error says nothing about the candidate: memory ran out, a connection was lost."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & _TRANSIENT)


def failure(number: int, error: BaseException) -> Outcome:
    """The outcome of a candidate whose evaluator raised this."""
    try:
        details = "".join(traceback.format_exception(error))
    except Exception:
        details = ""
    where = "" if isinstance(error, EdgeNASError) else _own_line(error)
    return Outcome(
        number,
        0.0,
        error=words_of(error),
        where=where,
        details=printable(details, lines=True),
        killed=is_transient(error),
    )


def words_of(error: BaseException) -> str:
    """An exception in one line: its own message, after its type where it is none of ours."""
    try:
        message = printable(str(error))
    except Exception:
        message = ""
    if len(message) > _LONGEST_MESSAGE:
        message = message[: _LONGEST_MESSAGE - 3] + "..."
    message = message or "no message"
    return message if isinstance(error, EdgeNASError) else f"{type(error).__name__}: {message}"


class _WrongAnswerError(Exception):
    """What an evaluator returned is no accuracy."""


def _read(number: int, found: Any) -> Outcome:
    if not isinstance(found, Evaluation):
        return Outcome(number, 0.0, _accuracy(found, "as accuracy"))
    score = _accuracy(found.score, "as accuracy")
    try:
        curve = tuple(found.curve)
    except TypeError:
        raise _WrongAnswerError(
            f"the evaluator returned {_shown(found.curve)} as curve, expected the accuracies after each epoch"
        ) from None
    curve = tuple(
        _accuracy(value, f"as accuracy after epoch {epoch} of the curve") for epoch, value in enumerate(curve, 1)
    )
    if found.stopped and not curve:
        raise _WrongAnswerError("the evaluator stopped early without a curve, expected the accuracies so far")
    return Outcome(number, 0.0, score, None, curve, bool(found.stopped), metrics=_metrics(found.metrics))


def _metrics(metrics: Any) -> dict[str, float]:
    if not isinstance(metrics, Mapping) or not all(isinstance(name, str) for name in metrics):
        raise _WrongAnswerError(f"the evaluator returned {_shown(metrics)} as metrics, expected numbers by name")
    return {name: _figure(value, f"as {printable(name)}") for name, value in metrics.items()}


def _accuracy(value: Any, role: str) -> float:
    """A plain number in [0, 1]."""
    plain = _plain(value)
    if not 0.0 <= plain <= 1.0:
        raise _WrongAnswerError(f"the evaluator returned {_shown(value)} {role}, expected a number from 0 to 1")
    return plain


def _figure(value: Any, role: str) -> float:
    """A plain finite number: errors, of which less is better, have any unit."""
    plain = _plain(value)
    if not math.isfinite(plain):
        raise _WrongAnswerError(f"the evaluator returned {_shown(value)} {role}, expected a finite number")
    return plain


def _plain(value: Any) -> float:
    """A plain number, NaN for what is none. Scalars of NumPy or TensorFlow count as the numbers that they hold."""
    scalar = value
    if not isinstance(value, numbers.Real) and getattr(value, "shape", None) == ():
        scalar = value.item() if hasattr(value, "item") else value.numpy().item()
    real = isinstance(scalar, numbers.Real) and not isinstance(scalar, bool)
    try:
        return float(scalar) if real else math.nan
    except OverflowError:
        return math.inf


def _shown(value: Any) -> str:
    return printable(reprlib.repr(value) if isinstance(value, (str, bytes, list, tuple, dict)) else repr(value))[:80]


def _own_line(error: BaseException) -> str:
    """Where in the evaluator's own code it happened: the innermost line outside of libraries and of EdgeNAS."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_library(frame.filename)]
    if not own:
        return ""
    frame = own[-1]
    line = f": {printable(frame.line)}" if frame.line else ""
    return f"{printable(Path(frame.filename).name)}, line {frame.lineno}, in {frame.name}{line}"


def _is_library(filename: str) -> bool:
    if filename.startswith("<"):
        return True
    if filename.startswith(_LIBRARY_FOLDERS):
        return True
    return str(Path(filename).resolve()).startswith(_OWN_FOLDERS)
