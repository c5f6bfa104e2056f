"""The study of a run in one SQLite file: every trial, whatever became of it.

The file is an ordinary Optuna study (name :data:`STUDY_NAME`); see :mod:`edgenas.study.database`. A trial is
written in one transaction when it starts and in one when it ends; a trial that is ``running`` while no process works
on it was interrupted and is evaluated again under the same number and seed.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgenas.spaces.errors import InputError, WorkError
from edgenas.study.damage import STUDY_NAME, back_up, damage_report, file_problem
from edgenas.study.database import DatabaseStudy
from edgenas.study.errors import NoStudyError, StudyExistsError
from edgenas.study.patience import BUSY_SECONDS, Patience, StudyDamagedError, say_on_stderr
from edgenas.study.trial import Trial

__all__ = ["STUDY_NAME", "Study", "StudyDamagedError", "Trial"]


class Study(DatabaseStudy):
    """Trials in ``study.db``. Any number of processes of one machine may read and write.

    Make one with :meth:`create` or :meth:`open`. A file that another program holds is waited for, and this is told to
    ``say``. Everything that uses the file raises WorkError when that takes too long or the disk is full, and
    :class:`StudyDamagedError` when the file is damaged.
    """

    def __init__(self, path: Path, *, new: bool, say: Callable[[str], None] = say_on_stderr) -> None:
        quiet()
        self.path = path
        patiently = Patience(path, say)
        if not new and (problem := patiently(lambda: file_problem(path))):
            raise StudyDamagedError(damage_report(path, problem))
        super().__init__(str(path), patiently, *patiently(lambda: self._connect(new)))
        self._say = say
        if not new:
            _ = self.trials  # what cannot be read is found now, not in the middle of the work

    def _connect(self, new: bool) -> tuple[Any, Any]:
        import optuna

        # Connections are made here, because a path may hold what has a meaning in a URL.
        storage = optuna.storages.RDBStorage(
            "sqlite:///study.db",
            engine_kwargs={
                "creator": lambda: sqlite3.connect(self.path, timeout=BUSY_SECONDS, check_same_thread=False)
            },
        )
        return storage, optuna_study(storage, str(self.path), STUDY_NAME, new=new)

    @classmethod
    def create(cls, path: Path | str, facts: Mapping[str, Any] | None = None) -> Study:
        """A new study with ``facts`` about it (seed, space, ...). Raises InputError when there is one already."""
        path = _no_folder(Path(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        study = cls(path, new=True)
        study.write_facts(facts or {})
        return study

    @classmethod
    def open(cls, path: Path | str, say: Callable[[str], None] = say_on_stderr) -> Study:
        """The study in a file. Raises InputError when there is none, and when it is damaged."""
        path = _no_folder(Path(path))
        if not path.is_file():
            raise NoStudyError(f"{path}: there is no study")
        return cls(path, new=False, say=say)

    def back_up(self) -> None:
        """Copies the study to ``study.db.bak``, as a whole. A full disk costs the backup, not the run.

        Raises :class:`StudyDamagedError` when the study is damaged; the backup before it is kept then.
        """
        try:
            self._patiently(lambda: back_up(self.path))
        except StudyDamagedError:
            raise
        except WorkError as error:
            self._say(f"  the study is not backed up this time: {error}")


def _no_folder(path: Path) -> Path:
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name the file of a study, such as {path / 'study.db'}")
    return path


def quiet() -> None:
    """Keeps what Optuna and SQLAlchemy tell away from the user."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # A cursor that Ctrl-C left open is no error to tell users of: transactions are whole or not there at all.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)


def optuna_study(storage: Any, where: str, name: str, *, new: bool) -> Any:
    """Optuna's study of this name. Raises InputError when it is there and should not be, or the other way round."""
    import optuna

    try:
        if new:
            return optuna.create_study(study_name=name, storage=storage, direction="maximize")
        return optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        raise NoStudyError(f"{where}: holds no study named {name!r}") from None
    except optuna.exceptions.DuplicatedStudyError:
        raise StudyExistsError(f"{where}: exists already; open it to continue") from None
