"""A PostgreSQL server for the tests that need one: Debian's package, started here, on a free port."""

import importlib.util
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_spec = importlib.util.spec_from_file_location(
    "studies_postgres", Path(__file__).parents[3] / "tools" / "studies" / "postgres.py"
)
assert _spec is not None
assert _spec.loader is not None
postgres_server = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(postgres_server)

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A server; the tests are skipped where PostgreSQL or its driver is missing."""
    pytest.importorskip("psycopg", reason="needs the extra edgenas[postgres]")
    if postgres_server.postgres_programs() is None:
        pytest.skip("no PostgreSQL on this machine: apt-get install postgresql")
    with postgres_server.PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Any) -> Callable[[], str]:
    """Makes URLs of studies that do not exist yet, all in one database."""
    address = postgres.url("studies")
    return lambda: f"{address}#study-{next(_numbers)}"
