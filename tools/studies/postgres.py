"""A PostgreSQL server of our own for a test or a bench: a free port, its own data folder, gone afterwards.

with PostgresServer() as server:
    create_study(server.url("my_database"))
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

_START_SECONDS = 60.0


def postgres_programs() -> Path | None:
    """Folder with initdb and postgres, the newest of Debian's package or what the path holds; None without any."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    found = [path for path in debian if (path / "initdb").is_file()]
    if not found and (initdb := shutil.which("initdb")):
        found = [Path(initdb).resolve().parent]
    return found[0] if found and (found[0] / "postgres").is_file() else None


class PostgresServer:
    """A context manager. As root the server runs as an ordinary user, since PostgreSQL refuses root."""

    def __init__(self) -> None:
        programs = postgres_programs()
        if programs is None:
            raise RuntimeError("no PostgreSQL here: apt-get install postgresql")
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self.data = self.folder / "data"
        self.port = _free_port()
        self._identity: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._databases: set[str] = set()
        if os.geteuid() == 0:
            user = _ordinary_user()
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def __enter__(self) -> PostgresServer:
        self._run("initdb", "-D", str(self.data), "-U", "edgenas", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGINT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Starts the server, again after :meth:`stop`, and waits until it answers."""
        options = [
            f"-p{self.port}",
            f"-k{self.folder}",
            "-hlocalhost",
            "-cmax_connections=100",
            "-cshared_buffers=32MB",
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.programs / "postgres"), "-D", str(self.data), *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
                **self._identity,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends the server: in order, closing connections (SIGINT), or at once (SIGQUIT)."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(_START_SECONDS)
        self._process = None

    def url(self, database: str) -> str:
        """The URL of a database, which is made when it is not there."""
        if database not in self._databases:
            self._run("createdb", "-h", "localhost", "-p", str(self.port), "-U", "edgenas", database)
            self._databases.add(database)
        return f"postgresql://edgenas@localhost:{self.port}/{database}"

    def _answers(self) -> bool:
        command = [str(self.programs / "pg_isready"), "-q", "-h", "localhost", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        result = subprocess.run(
            [str(self.programs / program), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            **self._identity,
        )
        if result.returncode:
            raise RuntimeError(f"{program}: {result.stderr.strip()}")


def _ordinary_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("no ordinary user to run PostgreSQL as")


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("localhost", 0))
        return int(server.getsockname()[1])
