"""Stores of studies: ours pass what every store must keep, and URLs find them."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgenas.spaces.errors import InputError
from edgenas.study.conformance import StoreConformance, begin, finish
from edgenas.study.errors import NumberTakenError
from edgenas.study.schema import SCHEMA
from edgenas.study.store import check_url, create_study, open_study
from edgenas.study.tuning import minimize


class TestFile(StoreConformance):
    def url(self, folder: Path) -> Path:
        return folder / "study.db"


class TestFileByUrl(StoreConformance):
    def url(self, folder: Path) -> str:
        return f"sqlite:///{folder / 'why? 100%.db'}"


class TestServed(StoreConformance):
    """A file behind a server of ours."""

    @pytest.fixture(autouse=True)
    def server(self, tmp_path: Path) -> Iterator[None]:
        from edgenas.run.serving import serving

        with serving(f"sqlite:///{tmp_path / 'served.db'}", port=0) as (self.its_url, _):
            yield

    def url(self, folder: Path) -> str:
        return self.its_url


class TestPostgres(StoreConformance):
    @pytest.fixture(autouse=True)
    def one_study(self, postgres_url: Callable[[], str]) -> None:
        self.its_url = postgres_url()

    def url(self, folder: Path) -> str:
        return self.its_url


@pytest.mark.skipif(
    "EDGENAS_TEST_MYSQL" not in os.environ,
    reason="EDGENAS_TEST_MYSQL names no database, as mysql://USER:PASSWORD@HOST/NAME",
)
class TestMySQL(StoreConformance):
    @pytest.fixture(autouse=True)
    def one_study(self) -> None:
        pytest.importorskip("pymysql", reason="needs the extra edgenas[mysql]")
        self.its_url = f"{os.environ['EDGENAS_TEST_MYSQL']}#{uuid.uuid4().hex}"

    def url(self, folder: Path) -> str:
        return self.its_url


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(InputError, match=r"unknown kind of study 'redis': expected one of .*postgresql, sqlite"):
        open_study("redis://host/study")


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(InputError, match=r"postgresql://me:\*\*\*@localhost:1/studies: .*refused") as caught:
        open_study("postgresql://me:secret@localhost:1/studies")
    assert "secret" not in str(caught.value)


def test_addresses_that_are_none_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=r"me:\*\*\*@host:abc/x: expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
    ):
        open_study("postgresql://me:secret@host:abc/x")
    for call in (open_study, create_study):
        with pytest.raises(InputError, match="expected sqlite:///FILE, with three slashes"):
            call("sqlite://study.db")
        with pytest.raises(InputError, match="is a folder; name the file of a study"):
            call(tmp_path)
    with pytest.raises(InputError, match="--study: unknown kind of study 'redis'"):
        check_url("redis://host", "--study")
    assert list(tmp_path.iterdir()) == []


def test_a_study_says_its_schema_and_a_newer_one_is_refused(tmp_path: Path) -> None:
    store = create_study(tmp_path / "s.db", {"seed": 1})
    assert store.recall("edgenas:schema") == SCHEMA
    assert store.facts == {"seed": 1}
    store.remember("edgenas:schema", SCHEMA + 1)
    store.close()
    words = (
        rf"s\.db: the study has the schema version {SCHEMA + 1}; this version of EdgeNAS reads versions up to {SCHEMA}"
    )
    with pytest.raises(InputError, match=words):
        open_study(tmp_path / "s.db")
    with pytest.raises(InputError, match=words):
        minimize(lambda values: 0.0, {"x": [1, 2]}, study=tmp_path / "s.db")


def test_two_studies_in_one_database_are_two(postgres_url: Callable[[], str]) -> None:
    first, second = create_study(postgres_url(), {"a": 1}), create_study(postgres_url(), {"b": 2})
    begin(first, 0, worker="a")
    assert (len(first.trials), len(second.trials)) == (1, 0)
    begin(second, 0, worker="a")
    assert begin(first, 1, worker="a").number == 1
    first.close()
    second.close()


def test_a_database_that_is_gone_for_a_while_is_waited_for(postgres: Any, postgres_url: Callable[[], str]) -> None:
    store = create_study(postgres_url())
    begin(store, 0, worker="a")
    postgres.stop(signal.SIGQUIT)
    again = threading.Timer(2.0, postgres.start)
    again.start()
    began = time.monotonic()
    finish(store, 0, worker="a")
    assert time.monotonic() - began > 1.5
    again.join()
    assert [trial.state for trial in store.trials] == ["complete"]
    store.close()


@pytest.mark.slow
def test_a_database_that_is_gone_for_half_a_minute_costs_its_workers_nothing(postgres: Any, tmp_path: Path) -> None:
    url, log = f"{postgres.url('gone')}#gone", tmp_path / "log"
    program = Path(__file__).parents[3] / "tools" / "studies" / "worker.py"
    command = [sys.executable, str(program), url, "--trials", "60", "--seconds", "0.2", "--log", str(log)]
    running = [subprocess.Popen([*command, "--name", f"w{n}", "--beat", "1", "--grace", "20"]) for n in range(4)]
    while not (log.is_file() and log.read_text().count("ends") >= 10):
        time.sleep(0.1)
    postgres.stop(signal.SIGQUIT)
    time.sleep(30.0)
    postgres.start()
    assert [process.wait(250) for process in running] == [0] * 4
    store = open_study(url)
    assert [trial.state for trial in store.trials] == ["complete"] * 60
    assert len({trial.architecture for trial in store.trials}) == 60
    store.close()
    assert log.read_text().count("begins") == 60, "nothing was evaluated twice"


def test_who_takes_turns_suggests_nothing_in_vain(postgres_url: Callable[[], str]) -> None:
    url = postgres_url()
    create_study(url).close()
    in_vain: list[int] = []

    def work(name: str) -> None:
        store = open_study(url)
        done = 0
        while done < 8:
            with store.turn():
                number = len(store.trials)
                time.sleep(0.005)
                try:
                    begin(store, number, worker=name)
                    done += 1
                except NumberTakenError:
                    in_vain.append(number)
        store.close()

    together(work, "abc")
    assert in_vain == []


def test_a_turn_that_does_not_end_is_passed_by(
    postgres_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgenas.study.turns.WAIT_SECONDS", 0.2)
    url = postgres_url()
    store, other = create_study(url), open_study(url)
    with store.turn() as mine, other.turn() as theirs:
        assert (mine, theirs) == (True, False)
        assert begin(other, 0, worker="b").number == 0
    with other.turn() as again:
        assert not again, "it rests, so that not every suggestion waits"
    store.close()
    other._turns._rests_until = 0.0  # type: ignore[attr-defined]
    with other.turn() as at_last:
        assert at_last, "the lock went with its holder's connection"
    other.close()


def together(work: Callable[[str], None], names: str) -> None:
    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
