"""Studies on a database server, PostgreSQL or MySQL: ``postgresql://USER:PASSWORD@HOST/DATABASE#NAME``.

NAME is that of the study in the database, which may hold many; ``edgenas`` where none is given. A server that is gone
for a while is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from edgenas.spaces.errors import EdgeNASError, InputError, WorkError
from edgenas.study.damage import STUDY_NAME
from edgenas.study.database import DatabaseStudy
from edgenas.study.errors import UnreachableError
from edgenas.study.patience import Wait, call_again, chain_of, say_on_stderr
from edgenas.study.study import optuna_study, quiet
from edgenas.study.turns import Turns

Value = TypeVar("Value")
#: The driver that each kind of database is reached with, its module, and the extra that brings it.
_DRIVERS = {
    "postgresql": ("postgresql+psycopg", "psycopg", "postgres"),
    "mysql": ("mysql+pymysql", "pymysql", "mysql"),
    "mariadb": ("mysql+pymysql", "pymysql", "mysql"),
}
#: What a server says of two transactions that wait for each other, or that it serialises: the loser tries again.
_CONFLICTS = (
    "deadlock",
    "could not serialize",
    "lock wait timeout",
    "duplicate key",
    "duplicate entry",
    "already exists",
)

#: What a server says of who it does not let in, and of what it does not have: waiting does not help.
_LASTING = ("authentication", "access denied", "does not exist", "unknown database", "pg_hba.conf", "not permitted")


class ServerStudy(DatabaseStudy):
    """Trials on a database server. Made with :meth:`create` or :meth:`open`."""

    def __init__(self, url: str, *, new: bool, say: Callable[[str], None] = say_on_stderr) -> None:
        quiet()
        address, self.name = split_name(url)
        where = shown(url)
        check_port(address, where)
        patiently = ServerPatience(where, say)
        # A connection that broke is noticed when it is used: asking each time beforehand doubles the round trips.
        connect, engine = _with_driver(address), {"pool_pre_ping": False, "pool_size": 4, "pool_recycle": 1800}

        def begin() -> tuple[Any, Any]:
            import optuna

            storage = optuna.storages.RDBStorage(connect, engine_kwargs=dict(engine))
            return storage, optuna_study(storage, where, self.name, new=new)

        super().__init__(where, patiently, *ServerPatience(where, say, first=True)(begin))
        self._turns = Turns(self._storage.engine, self._study_id)

    def turn(self) -> AbstractContextManager[Any]:
        """One worker's turn to suggest; the others wait for it."""
        return self._turns()

    def close(self) -> None:
        """Releases the database."""
        self._turns.close()
        super().close()

    @classmethod
    def create(cls, url: str, facts: Mapping[str, Any] | None = None) -> ServerStudy:
        """A new study with ``facts`` about it. Raises InputError when there is one of this name already."""
        study = cls(url, new=True)
        study.write_facts(facts or {})
        return study

    @classmethod
    def open(cls, url: str, say: Callable[[str], None] = say_on_stderr) -> ServerStudy:
        """The study behind a URL. Raises InputError when there is none, or the server cannot be reached."""
        return cls(url, new=False, say=say)


def split_name(url: str) -> tuple[str, str]:
    """The address of the database and the name of the study in it.

    >>> split_name("postgresql://me@host/studies#quickstart")
    ('postgresql://me@host/studies', 'quickstart')
    """
    address, _, name = url.partition("#")
    return address, name or STUDY_NAME


def shown(url: str) -> str:
    """A URL without its password, for messages and logs.

    >>> shown("postgresql://me:secret@host:5432/studies#a")
    'postgresql://me:***@host:5432/studies#a'
    """
    password = urlsplit(url).password
    return url.replace(f":{password}@", ":***@", 1) if password else url


def check_port(address: str, where: str) -> None:
    """Raises InputError when what stands for the port in an address is none."""
    try:
        _ = urlsplit(address).port
    except ValueError as error:
        scheme = address.partition("://")[0]
        raise InputError(f"{where}: expected {scheme}://USER:PASSWORD@HOST:PORT/DATABASE ({error})") from None


def _with_driver(address: str) -> str:
    """The address with the driver that we install; one that the user names stays. Raises InputError without it."""
    scheme, _, rest = address.partition("://")
    kind = scheme.partition("+")[0]
    driver, module, extra = _DRIVERS[kind]
    if "+" in scheme:
        return address
    try:
        __import__(module)
    except ImportError:
        raise InputError(f"studies on {kind} need the extra edgenas[{extra}]: pip install 'edgenas[{extra}]'") from None
    return f"{driver}://{rest}"


class ServerPatience:
    """Calls what uses a database on a server, again while it cannot be reached. A function, as Patience is.

    Raises WorkError when the server stays away for too long. ``first``: at the very beginning, what cannot be reached
    may be a wrong address, so that is an UnreachableError at once.
    """

    def __init__(self, where: str, say: Callable[[str], None] = say_on_stderr, *, first: bool = False) -> None:
        self.where = where
        self.say = say
        self.first = first

    def __call__(self, work: Callable[[], Value]) -> Value:
        given_up = (
            "not to be reached for {seconds} s ({words}); everything finished so far is in it. Continue when it is "
            "back, with --resume"
        )
        wait = Wait(self.where, "not to be reached", given_up, 0.1, 5.0)
        return call_again(work, self._final, wait, self.say, _words)

    def _final(self, error: Exception) -> EdgeNASError | None:
        if _is_conflict(error):
            return None
        away, words = _is_away(error), f"{self.where}: {_words(error)}"
        if self.first:
            lasting = any(text in words.lower() for text in _LASTING)
            return UnreachableError(words) if away and not lasting else InputError(words)
        return None if away else WorkError(f"{words}; everything finished so far is kept")


def _is_away(error: BaseException) -> bool:
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError

    return any(
        isinstance(one, (OperationalError, InterfaceError, PoolTimeoutError, ConnectionError))
        or (isinstance(one, DBAPIError) and one.connection_invalidated)
        for one in chain_of(error)
    )


def _is_conflict(error: BaseException) -> bool:
    from sqlalchemy.exc import DBAPIError

    return any(
        isinstance(one, DBAPIError) and any(words in str(one.orig).lower() for words in _CONFLICTS)
        for one in chain_of(error)
    )


def _words(error: BaseException) -> str:
    """What the driver said, in one line and without the statement."""
    first = next((one.orig for one in chain_of(error) if getattr(one, "orig", None) is not None), error)  # type: ignore[attr-defined]
    text = " ".join(str(first).split())[:300]
    return text or type(first).__name__
