"""``edgenas serve``: a study for workers on other machines, with a page about it that follows the search.

Two ports: gRPC for workers and scripts, HTTP for people. Neither asks who is there, so both listen on this machine
alone unless told otherwise.
"""

from __future__ import annotations

import contextlib
import socketserver
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from edgenas.export.files import write_atomically
from edgenas.run.folder import RunFolder
from edgenas.run.shared import RECIPE, copy_study
from edgenas.spaces.errors import EdgeNASError, InputError, WorkError
from edgenas.spaces.yaml_reading import parse_document
from edgenas.study.database import DatabaseStudy
from edgenas.study.documents import read_documents
from edgenas.study.errors import NoStudyError
from edgenas.study.remote import DEFAULT_PORT, with_port
from edgenas.study.service import family_of
from edgenas.study.service import make_server as make_study_server
from edgenas.study.store import create_study, open_study

LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: A page is made again when it is asked for and older than this; browsers ask so often.
REFRESH_SECONDS = 5.0
#: How often a served file is backed up, when it has changed.
BACKUP_SECONDS = 60.0
REPORT = "/report"
LAST_PORT = 65535
_STOP_SECONDS = 2.0
WARNING = (
    "{host} can be reached from other machines, and neither port asks who is there: whoever reaches them can read and "
    "change the study. Keep them inside a private network or behind ssh (ssh -L {port}:localhost:{port} HOST)"
)
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Any]


def open_served(target: str) -> tuple[DatabaseStudy, Path | None]:
    """The study of a run folder or behind a URL, and the folder; a URL where there is none yet gets an empty one.

    Raises InputError for a folder without a study, and for what is served by another server already.
    """
    if "://" not in target:
        path = Path(target)
        study_path = RunFolder(path).study_path if path.is_dir() else path
        if not study_path.is_file():
            raise InputError(
                f"{target}: holds no study yet; `edgenas search` begins one, or name a URL: sqlite:///FILE"
            )
        store = open_study(study_path)
        folder = path if path.is_dir() else None
    else:
        folder = None
        try:
            store = open_study(target)
        except NoStudyError:
            store = create_study(target)
    if not isinstance(store, DatabaseStudy):
        raise InputError(f"{target}: only a study in a database can be served, not one of another server")
    return store, folder


class ReportPage:
    """Our report of a study, made again when it is asked for."""

    def __init__(self, target: str, folder: Path | None) -> None:
        self.target = target
        self.folder = folder
        self._lock = threading.Lock()
        self._made = -1e9
        self._page = b""
        self._copy = tempfile.TemporaryDirectory(prefix="edgenas-serve-")

    def close(self) -> None:
        """Removes the copy of the study that pages are made from."""
        self._copy.cleanup()

    def __call__(self) -> bytes:
        """The page as HTML."""
        with self._lock:
            if time.monotonic() - self._made > REFRESH_SECONDS:
                self._page = self._make().encode()
                self._made = time.monotonic()
            return self._page

    def _make(self) -> str:
        from edgenas.report.load import load_report_data
        from edgenas.report.page import render_page

        try:
            page = render_page(load_report_data(self.folder or self._copied()))
        except EdgeNASError as error:
            return _plain_page(f"There is no report yet: {error}")
        return page.replace("<head>", f'<head><meta http-equiv="refresh" content="{REFRESH_SECONDS:.0f}">', 1)

    def _copied(self) -> Path:
        """A folder as that of a run, of a study that has none here."""
        from edgenas.recipe.recipe import Recipe
        from edgenas.spaces.space.search_space import SearchSpace
        from edgenas.study.evaluation import load_task

        folder = Path(self._copy.name)
        with contextlib.closing(open_study(self.target)) as store:
            documents = read_documents(store)
            if RECIPE not in documents:
                raise InputError("no search has begun")
            for name, text in documents.items():
                write_atomically(folder / Path(name).name, text)
            values = parse_document(documents[RECIPE], "the study's recipe").value
            if (folder / "space.yaml").is_file():
                values["space"]["path"] = str(folder / "space.yaml")
            recipe = Recipe.model_validate(values)
            load_task(recipe)
            copy_study(store, folder / "study.db", SearchSpace.load(recipe.space.spec).decisions)
        return folder


def _plain_page(words: str) -> str:
    from html import escape

    refresh = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS:.0f}">'
    head = f'<!doctype html><html lang="en"><head>{refresh}<title>EdgeNAS</title></head>'
    return f"{head}<body><p>{escape(words)}</p></body></html>"


def pages(report: Callable[[], bytes], dashboard: Wsgi | None) -> Wsgi:
    """The pages of the HTTP port: ours at /report, and Optuna's dashboard at everything else, where it is wanted."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        path = environ.get("PATH_INFO", "/")
        if path.rstrip("/") == REPORT:
            body = report()
            headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))]
            start_response("200 OK", [*headers, ("Cache-Control", "no-store")])
            return [body]
        if dashboard is not None:
            return dashboard(environ, start_response)
        start_response("302 Found", [("Location", REPORT), ("Content-Length", "0")])
        return [b""]

    return answer


def dashboard_pages(study: DatabaseStudy) -> Wsgi:
    """Optuna's dashboard. Raises InputError naming the extra where it is not installed."""
    try:
        from optuna_dashboard import wsgi
    except ImportError:
        raise InputError("--dashboard needs the extra edgenas[dashboard]: pip install 'edgenas[dashboard]'") from None
    found: Wsgi = wsgi(study.storage)
    return found


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that closes its window is no error."""


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        """A line for every picture of a page helps nobody."""


@contextlib.contextmanager
def serving(
    target: str,
    *,
    host: str = "localhost",
    port: int = DEFAULT_PORT,
    http_port: int | None = None,
    dashboard: bool = False,
) -> Iterator[tuple[str, str]]:
    """Serves a study while the context lasts; gives the addresses, ``grpc://HOST:PORT`` and of the report's page.

    Args:
        target: a run folder, a study's file, or its URL.
        host: where to listen.
        port: of gRPC; 0 takes a free one.
        http_port: of the pages; None takes the one after ``port``, and 0 or a ``port`` of 0 a free one.
        dashboard: also Optuna's dashboard.

    Raises InputError when there is no such study or address, WorkError when a port is taken.
    """
    study, folder = open_served(target)
    report = ReportPage(target, folder)
    stop = threading.Event()
    with contextlib.ExitStack() as ending:
        ending.callback(study.close)
        ending.callback(report.close)
        answer = pages(report, dashboard_pages(study) if dashboard else None)
        server, bound = make_study_server(study, host, port)
        wanted = (bound + 1 if port else 0) if http_port is None else http_port
        if wanted > LAST_PORT:
            raise InputError(f"--port: none comes after {port}, for the report's page; name one with --http-port")
        listening: type[_Server] = type("_Listening", (_Server,), {"address_family": family_of(host)})
        try:
            http = make_server(host, wanted, answer, server_class=listening, handler_class=_Quiet)
        except OSError as error:
            raise WorkError(
                f"{with_port(host, wanted)} cannot be listened on ({error.strerror}); choose another with --http-port"
            ) from None
        server.start()
        ending.callback(lambda: server.stop(_STOP_SECONDS).wait())
        threading.Thread(target=http.serve_forever, daemon=True).start()
        ending.callback(http.server_close)
        ending.callback(http.shutdown)
        threading.Thread(target=_back_up, args=(study, stop), daemon=True).start()
        ending.callback(stop.set)
        yield f"grpc://{with_port(host, bound)}", f"http://{with_port(host, http.server_port)}{REPORT}"


def _back_up(study: DatabaseStudy, stop: threading.Event) -> None:
    while not stop.wait(BACKUP_SECONDS):
        with contextlib.suppress(EdgeNASError):
            study.back_up()
