"""Another program's lock on a study is waited for; one that lasts ends the run with everything kept."""

import sqlite3
import threading
import time
from pathlib import Path

import pytest

from edgenas.spaces.errors import WorkError
from edgenas.study.workers import Candidate
from tests.edgenas.run.safety.searching import THREE, Formula, Make, complete, searched


def held(path: Path, seconds: float) -> threading.Thread:
    """Another program's lock on a study."""
    locked = threading.Event()

    def hold() -> None:
        database = sqlite3.connect(path, isolation_level=None)
        database.execute("BEGIN EXCLUSIVE")
        locked.set()
        time.sleep(seconds)
        database.execute("ROLLBACK")
        database.close()

    thread = threading.Thread(target=hold)
    thread.start()
    locked.wait()
    return thread


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgenas.study.patience.NOTICE_SECONDS", 0.2)
    monkeypatch.setattr("edgenas.study.patience.PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr("edgenas.study.patience.BUSY_SECONDS", 0.1)
    monkeypatch.setattr("edgenas.study.study.BUSY_SECONDS", 0.1)


@pytest.mark.usefixtures("hasty")
def test_a_lock_is_waited_for_and_told(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edgenas.study.patience.PATIENCE_SECONDS", 60.0)
    recipe = make_recipe(THREE, table=table_path)
    folder = Path(recipe.output) / recipe.name

    class Locking(Formula):
        def evaluate(self, candidate: Candidate) -> float:
            if candidate.number == 1:
                held(folder / "study.db", 1.5)
            return super().evaluate(candidate)

    assert searched(recipe, evaluator=Locking(), quiet=False).trials == 3
    assert capsys.readouterr().err.count("another program holds it; waiting for up to 60 s") == 1
    assert complete(folder) == 3


@pytest.mark.usefixtures("hasty")
def test_a_lock_that_lasts_ends_the_run_with_everything_kept(make_recipe: Make, table_path: Path) -> None:
    recipe = make_recipe(THREE, table=table_path)
    folder = Path(recipe.output) / recipe.name
    threads: list[threading.Thread] = []

    class Locking(Formula):
        def evaluate(self, candidate: Candidate) -> float:
            if candidate.number == 1:
                threads.append(held(folder / "study.db", 4.0))
            return super().evaluate(candidate)

    with pytest.raises(WorkError, match=r"study\.db: another program has held it .* is kept\..*--resume"):
        searched(recipe, evaluator=Locking())
    threads[0].join()
    assert complete(folder) == 1
    assert searched(recipe, resume=True).trials == 3
    assert complete(folder) == 3
