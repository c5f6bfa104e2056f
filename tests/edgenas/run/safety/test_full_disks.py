"""A full disk is one line, and the run goes on later."""

import errno
import sqlite3
from pathlib import Path

import pytest

from edgenas.spaces.errors import WorkError
from edgenas.study.workers import Candidate
from tests.edgenas.run.safety.searching import THREE, Formula, Make, complete, searched


def test_a_full_disk_in_the_study_is_one_line_and_the_run_goes_on_later(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe("search: {trials: 30, algorithm: random}\n", table=table_path)
    folder = Path(recipe.output) / recipe.name
    connect = sqlite3.connect

    def small(path: object, **options: object) -> sqlite3.Connection:
        database = connect(path, **options)  # type: ignore[call-overload]
        database.execute("PRAGMA max_page_count = 40")
        return database  # type: ignore[no-any-return]

    with monkeypatch.context() as patched:
        patched.setattr("edgenas.study.study.sqlite3.connect", small)
        with pytest.raises(WorkError, match=r"no space left on the disk.*--resume") as caught:
            searched(recipe)
    assert "\n" not in str(caught.value)
    before = complete(folder)
    assert 0 < before < 30
    assert searched(recipe, resume=True).trials == 30
    assert complete(folder) == 30


def test_a_full_disk_at_any_file_of_the_search_is_one_line(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgenas.export.files import write_atomically

    recipe = make_recipe(THREE, table=table_path)
    folder = Path(recipe.output) / recipe.name
    for place in range(12):
        written = []

        def full(path: Path, content: bytes | str, place: int = place, written: list[Path] = written) -> None:
            written.append(path)
            if len(written) > place:
                raise WorkError(f"{path}: cannot be written (No space left on device); nothing was changed")
            write_atomically(path, content)

        with monkeypatch.context() as patched:
            for module in ("run.fingerprints", "run.folder", "run.profile", "run.outcomes"):
                patched.setattr(f"edgenas.{module}.write_atomically", full, raising=False)
            try:
                searched(recipe, resume=True)
            except WorkError as error:
                words = str(error)
            else:
                break
        assert "\n" not in words
        assert "--resume" in words
    assert place > 3
    assert searched(recipe, resume=True).trials == 3
    assert complete(folder) == 3


def test_a_worker_without_space_ends_the_run_and_not_the_candidate(make_recipe: Make, table_path: Path) -> None:
    class NoSpace(Formula):
        def evaluate(self, candidate: Candidate) -> float:
            if candidate.number == 1:
                raise WorkError(f"/tmp/x: {OSError(errno.ENOSPC, 'No space left on device')}")
            return super().evaluate(candidate)

    recipe = make_recipe(THREE, table=table_path)
    with pytest.raises(WorkError, match=r"trial 1: .*no space left.*--resume"):
        searched(recipe, evaluator=NoSpace())
    assert searched(recipe, resume=True).trials == 3
    assert complete(Path(recipe.output) / recipe.name) == 3


def test_too_little_space_is_found_before_the_first_trial(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("edgenas.run.disk.shutil.disk_usage", lambda path: usage(10**9, 10**9 - 1000, 1000))
    recipe = make_recipe(THREE, table=table_path)
    with pytest.raises(WorkError, match=r"demo: a run needs about \d+ MB, 0\.0 MB are free"):
        searched(recipe)
    assert not (Path(recipe.output) / recipe.name).exists()


def test_temporary_files_that_cannot_be_written_name_the_variable(
    make_recipe: Make, table_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("edgenas.run.disk.tempfile.TemporaryFile", full)
    with pytest.raises(WorkError, match="TMPDIR"):
        searched(make_recipe(THREE, table=table_path))
