"""Where a study is kept, behind a URL: what a store must do, and which one a URL stands for.

A path, or ``sqlite:///PATH``, is :class:`~edgenas.study.study.Study`, one file. Another kind of store registers its
scheme and passes :class:`edgenas.study.conformance.StoreConformance`::

    @register_store("my-service")
    class MyStore: ...      # StudyStore, with the class methods create(url, facts) and open(url, say)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edgenas.spaces.registry import Registry
from edgenas.study.patience import say_on_stderr
from edgenas.study.study import Study, Trial

if TYPE_CHECKING:
    from edgenas.spaces.space.decision import Decision

_SQLITE = "sqlite"


class StudyStore(Protocol):
    """The record of a search, for one process that suggests and any number that evaluate.

    A trial is ``waiting`` until somebody claims it, then ``running``, then ended once. Every method is whole or not at
    all, and what it wrote is seen by all who open the store.
    """

    @property
    def facts(self) -> dict[str, Any]:
        """What the study was created with."""

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials by number."""

    @property
    def ranking(self) -> tuple[Trial, ...]:
        """Complete trials, best reward first; the earlier of two equal ones first."""

    def trial(self, number: int) -> Trial:
        """One trial. Raises InputError when there is none of this number."""

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
        """Records a new trial: running, by who calls; ``waiting`` leaves it to whoever claims it."""

    def claim(self) -> Trial | None:
        """Takes the first waiting trial, which is then running; never one that somebody else takes."""

    def retry(self, number: int) -> Trial:
        """Records that a running trial is evaluated again after an interruption."""

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
        """Ends a running trial with its accuracy. Raises WorkError when it has ended, or a number is not finite."""

    def stop(self, number: int, *, curve: Sequence[float], expected_reward: float, error: str, seconds: float) -> Trial:
        """Ends a running trial that was not worth finishing."""

    def fail(self, number: int, *, error: str, seconds: float) -> Trial:
        """Ends a running trial that has no result, for good."""

    def record_measured(self, number: int, costs: Mapping[str, float]) -> None:
        """Adds costs measured on a device to a trial, whatever its state."""

    def back_up(self) -> None:
        """Keeps a second copy, where the store is a file."""

    def close(self) -> None:
        """Releases what the store holds."""


_STORES: Registry[Any] = Registry("kind of study")


def register_store(scheme: str) -> Callable[[Any], Any]:
    """Class decorator that makes a store known by the scheme of its URLs."""
    return _STORES.decorator(scheme)


def create_study(url: Path | str, facts: Mapping[str, Any] | None = None) -> StudyStore:
    """A new study. Raises InputError when there is one already or the scheme is unknown."""
    store: StudyStore = _STORES.get(_scheme(url)).create(_place(url), facts)
    return store


def open_study(url: Path | str, say: Callable[[str], None] = say_on_stderr) -> StudyStore:
    """The study behind a URL. Raises InputError when there is none, it is damaged, or the scheme is unknown."""
    store: StudyStore = _STORES.get(_scheme(url)).open(_place(url), say)
    return store


def _scheme(url: Path | str) -> str:
    return str(url).partition("://")[0] if isinstance(url, str) and "://" in url else _SQLITE


def _place(url: Path | str) -> Path | str:
    """What the store is opened with: a path for files, the URL itself for others."""
    if _scheme(url) != _SQLITE:
        return url
    return Path(str(url).removeprefix(f"{_SQLITE}:///")) if isinstance(url, str) else url


register_store(_SQLITE)(Study)
