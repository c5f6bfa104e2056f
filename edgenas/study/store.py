"""Where a study is kept, behind a URL: what a store must do, and which one a URL stands for.

A path, or ``sqlite:///PATH``, is :class:`~edgenas.study.study.Study`, one file; ``postgresql://`` and ``mysql://`` are
:class:`~edgenas.study.sql_server.ServerStudy`, a database on a server; ``grpc://`` is
:class:`~edgenas.study.remote.RemoteStudy`, what ``edgenas serve`` serves. Another kind of store registers its
scheme and passes :class:`edgenas.study.conformance.StoreConformance`::

    @register_store("my-service")
    class MyStore: ...      # StudyStore, with the class methods create(url, facts) and open(url, say)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edgenas.spaces.errors import InputError
from edgenas.spaces.registry import Registry
from edgenas.study.patience import say_on_stderr
from edgenas.study.remote import RemoteStudy
from edgenas.study.schema import check_schema, mark_schema
from edgenas.study.sql_server import ServerStudy, shown
from edgenas.study.study import Study
from edgenas.study.trial import Trial

if TYPE_CHECKING:
    from edgenas.spaces.space.decision import Decision

_SQLITE = "sqlite"


class StudyStore(Protocol):
    """The record of a search, for any number of processes that suggest and evaluate.

    A trial is ``waiting`` until somebody claims it, then ``running``, then ended once. It belongs to the worker whose
    name it was taken under, and no other can end it; without a name it is the search's own. Every method is whole or
    not at all, and what it wrote is seen by all who open the store.
    """

    @property
    def facts(self) -> dict[str, Any]:
        """What the study was created with."""

    def remember(self, key: str, value: Any) -> None:
        """Keeps something about the whole study; :attr:`facts` does not show keys that begin with ``edgenas:``."""

    def recall(self, key: str) -> Any:
        """What :meth:`remember` was told; None when it was told nothing."""

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials by number; those of others, which no search has adopted, are ``foreign``."""

    def refresh(self) -> tuple[Trial, ...]:
        """Trials that are new or may have changed since the last call on this object, as they are now."""

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
        number: int | None = None,
        worker: str = "",
    ) -> Trial:
        """Records a new trial: running, by who calls; ``waiting`` leaves it to whoever claims it.

        Raises NumberTakenError, and records nothing, when ``number`` is not the next.
        """

    def claim(self, worker: str = "") -> Trial | None:
        """Takes the first waiting trial, which is then running; never one that somebody else takes."""

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
        """Makes a running trial that somebody else put in one of ours."""

    def take_back(self, worker: str) -> Trial | None:
        """The first running trial of a worker of this name, which came back; counts an attempt."""

    @property
    def beats(self) -> dict[int, str]:
        """When workers were last heard of, by number of their running trials: to compare, not to compute with."""

    def beat(self, numbers: Sequence[int], worker: str) -> tuple[int, ...]:
        """Says that a worker works on these trials; returns those that are not its own any more."""

    def take_over(self, number: int, worker: str, beat: str) -> Trial | None:
        """Takes the running trial of a worker last heard of at ``beat``; None when it was heard of since."""

    def release(self, number: int, worker: str) -> None:
        """Gives a running trial back for whoever claims it next; counts an attempt."""

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
        worker: str = "",
    ) -> Trial:
        """Ends a running trial with its accuracy. Raises WorkError when it has ended, or a number is not finite.

        Raises LostTrialError when it is another worker's by now.
        """

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
        """Ends a running trial that was not worth finishing."""

    def fail(self, number: int, *, error: str, seconds: float, worker: str = "") -> Trial:
        """Ends a running trial that has no result, for good."""

    def record_measured(self, number: int, costs: Mapping[str, float]) -> None:
        """Adds costs measured on a device to a trial, whatever its state."""

    def turn(self) -> AbstractContextManager[Any]:
        """A context in which one suggests, and others wait for it where the store can see to that.

        It saves suggestions in vain; :meth:`start` is safe without it.
        """

    def take_lease(self, name: str, holder: str, known: str = "") -> str:
        """Takes or renews a lease on what workers share, and returns the *beat* of who has it now; empty: nobody.

        It is taken when nobody has it and ``known`` is empty, when it is the holder's own already, and when its beat
        is ``known``: that of somebody who was silent for too long. See :class:`edgenas.study.leases.Lease`.
        """

    def end_lease(self, name: str, holder: str) -> None:
        """Gives a lease back, if it is the holder's."""

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
    mark_schema(store)
    return store


def open_study(url: Path | str, say: Callable[[str], None] = say_on_stderr) -> StudyStore:
    """The study behind a URL.

    Raises InputError when there is none, it is damaged or of a newer version, or the scheme is unknown.
    """
    store: StudyStore = _STORES.get(_scheme(url)).open(_place(url), say)
    try:
        check_schema(store, shown(str(url)))
    except BaseException:
        store.close()
        raise
    return store


def check_url(url: str, key: str = "") -> None:
    """Raises InputError unless this can be the URL of a study that several share."""
    prefix = f"{key}: " if key else ""
    if "://" not in url:
        raise InputError(f"{prefix}expected the URL of a study, such as postgresql://HOST/DATABASE, found {url!r}")
    try:
        _STORES.get(_scheme(url))
        _place(url)
    except InputError as error:
        raise InputError(f"{prefix}{error}") from None


def _scheme(url: Path | str) -> str:
    return str(url).partition("://")[0].partition("+")[0] if isinstance(url, str) and "://" in url else _SQLITE


def _place(url: Path | str) -> Path | str:
    """What the store is opened with: a path for files, the URL itself for others."""
    if _scheme(url) != _SQLITE or not isinstance(url, str):
        return url
    path = url.removeprefix(f"{_SQLITE}:///")
    if "://" in path or not path:
        raise InputError(f"{url}: expected {_SQLITE}:///FILE, with three slashes, or four before a path from the root")
    return Path(path)


register_store(_SQLITE)(Study)
for _name in ("postgresql", "mysql", "mariadb"):
    register_store(_name)(ServerStudy)
register_store("grpc")(RemoteStudy)
