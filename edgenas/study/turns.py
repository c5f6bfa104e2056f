"""One worker at a time suggests, on database servers: of several at once, all but one would suggest in vain.

A lock of the server's own, which it releases when the connection of its holder ends. It saves work and nothing else:
whoever goes on without it may find that another worker has started a trial under the same number, and suggests again.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

#: How long a turn is waited for. A holder that stands still for longer (a suspended process, a cut cable) is passed by.
WAIT_SECONDS = 10.0
#: For so long nobody who waited in vain waits again.
REST_SECONDS = 60.0
#: First of the two numbers of an advisory lock of PostgreSQL; the second is the study's.
_KIND = 0x45444745


class Turns:
    """Turns at one study. An instance is a function that gives a context: ``with turns(): suggest``."""

    def __init__(self, engine: Engine, study_id: int) -> None:
        self._engine = engine
        self._study_id = study_id
        self._connection: Connection | None = None
        self._rests_until = 0.0

    @contextlib.contextmanager
    def __call__(self) -> Iterator[bool]:
        """Waits for the others; gives whether it is this one's turn, which it need not be."""
        mine = time.monotonic() >= self._rests_until and self._take()
        try:
            yield mine
        finally:
            if mine:
                self._give()

    def close(self) -> None:
        """Ends the connection, and with it the turn."""
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.invalidate()
                self._connection.close()
            self._connection = None

    def _take(self) -> bool:
        try:
            if self._connection is None:
                self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                if self._is_postgres:
                    self._do(f"SET lock_timeout = {int(1e3 * WAIT_SECONDS)}")
            if self._is_postgres:
                self._do("SELECT pg_advisory_lock(:kind, :study)", kind=_KIND, study=self._study_id)
                return True
            if self._do("SELECT GET_LOCK(:name, :seconds)", name=self._name, seconds=WAIT_SECONDS) == 1:
                return True
        except Exception:  # whatever it is, the suggestion itself meets it too, and tells or waits
            self.close()
        except BaseException:  # Ctrl-C: nobody knows whether the lock is ours by now
            self.close()
            raise
        self._rests_until = time.monotonic() + REST_SECONDS
        return False

    def _give(self) -> None:
        try:
            if self._is_postgres:
                self._do("SELECT pg_advisory_unlock(:kind, :study)", kind=_KIND, study=self._study_id)
            else:
                self._do("SELECT RELEASE_LOCK(:name)", name=self._name)
        except BaseException as error:
            self.close()
            if not isinstance(error, Exception):
                raise

    @property
    def _is_postgres(self) -> bool:
        return self._engine.dialect.name == "postgresql"

    @property
    def _name(self) -> str:
        """Locks of MySQL are the whole server's, so the database is part of the name."""
        digest = hashlib.sha256(str(self._engine.url.database).encode()).hexdigest()[:16]
        return f"edgenas-{digest}-{self._study_id}"

    def _do(self, statement: str, **values: Any) -> Any:
        from sqlalchemy import text

        assert self._connection is not None
        return (
            self._connection.execute(text(statement), values).scalar()
            if values
            else self._connection.execute(text(statement))
        )
