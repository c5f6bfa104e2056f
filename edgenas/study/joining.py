"""How a worker finds its study: it may come before the server is up, or before anybody has begun the search."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgenas.study.documents import read_documents
from edgenas.study.errors import NoStudyError, UnreachableError
from edgenas.study.patience import say_on_stderr
from edgenas.study.store import StudyStore, open_study

#: How long a worker waits for its study, unless it is told otherwise.
JOIN_SECONDS = 600.0
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 5.0


@contextmanager
def joined(
    url: Path | str,
    document: str,
    seconds: float = JOIN_SECONDS,
    say: Callable[[str], None] = say_on_stderr,
) -> Iterator[tuple[StudyStore, dict[str, str]]]:
    """The study behind a URL with its documents, once it is there and has ``document``; closed afterwards.

    What is missing is told at once and waited for. Raises what was missing (an InputError) when that took longer than
    ``seconds``; a file that is not there is not waited for, but by its URL.
    """
    began, told, pause = time.monotonic(), "", _PAUSE_SECONDS
    while True:
        try:
            store, documents = _open(url, document, say)
            break
        except (UnreachableError, NoStudyError) as error:
            waited = time.monotonic() - began
            if "://" not in str(url) and not Path(url).is_file():
                raise NoStudyError(
                    f"{error}; name the URL that `edgenas serve` tells, or a file: sqlite:///RUN/study.db"
                ) from None
            if waited >= seconds or "://" not in str(url):
                raise
            if (kind := type(error).__name__) != told:
                told = kind
                say(f"{error}\n  trying again for up to {seconds - waited:.0f} s (Ctrl-C stops; --wait 0: not at all)")
        time.sleep(min(pause, max(seconds - waited, 0.0)))
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
    try:
        if told:
            say(f"{url}: the study is there")
        yield store, documents
    finally:
        store.close()


def _open(url: Path | str, document: str, say: Callable[[str], None]) -> tuple[StudyStore, dict[str, str]]:
    store = open_study(url, say)
    try:
        documents = read_documents(store)
        if document not in documents:
            raise NoStudyError(
                f"{url}: the study holds no {document.removesuffix('.yaml')}; begin it with: "
                f"edgenas search RECIPE --study {url}"
            )
    except BaseException:
        store.close()
        raise
    return store, documents
