"""Where files of trials are kept when several machines share a study: a folder, S3 or Google's storage.

Each is a store of Optuna's artifact API, with a URL to name it by. What is stored is one object a name.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from edgenas.spaces.errors import InputError, WorkError
from edgenas.spaces.paths import check_path

_S3, _GCS = "s3", "gs"
_KEY = "search.artifacts.store"


@dataclass(frozen=True)
class ArtifactPlace:
    """Objects by name. What they raise is a WorkError that names the place."""

    url: str
    store: Any
    prefix: str = ""

    def put(self, name: str, path: Path) -> None:
        """Stores a file under a name, whole or not at all."""
        with self._explained(), path.open("rb") as file:
            self.store.write(self.prefix + name, file)

    def get(self, name: str, path: Path) -> bool:
        """Copies what is under a name to a file, whole or not at all; False when there is nothing."""
        from optuna.artifacts.exceptions import ArtifactNotFound

        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        try:
            with self._explained():
                try:
                    source = self.store.open_reader(self.prefix + name)
                except ArtifactNotFound:
                    return False
                with contextlib.closing(source), partial.open("wb") as file:
                    shutil.copyfileobj(source, file)
                os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        return True

    def remove(self, name: str) -> None:
        """Removes what is under a name, if anything is."""
        from optuna.artifacts.exceptions import ArtifactNotFound

        with self._explained(), contextlib.suppress(ArtifactNotFound):
            self.store.remove(self.prefix + name)

    def check(self) -> None:
        """Writes and removes something small. Raises InputError when that does not work."""
        name = f".edgenas-{uuid.uuid4().hex[:8]}"
        try:
            with self._explained():
                from io import BytesIO

                self.store.write(self.prefix + name, BytesIO(b"edgenas"))
            self.remove(name)
        except WorkError as error:
            raise InputError(f"{_KEY}: {error}; name another, or see that it can be written") from None

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (WorkError, InputError):
            raise
        except Exception as error:  # whatever the libraries of the clouds raise
            words = " ".join(str(error).split())[:300] or type(error).__name__
            raise WorkError(f"{self.url}: {words}") from None


def check_place(url: str) -> None:
    """Raises InputError when a URL cannot be a place of ours; nothing is opened."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        check_path(url, _KEY)
    elif scheme not in (_S3, _GCS) or not rest.partition("/")[0]:
        raise InputError(f"expected a folder, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER, found {url!r}")


def open_place(url: str) -> ArtifactPlace:
    """The place behind a URL, or in a folder. Raises InputError when it is none, or its extra is missing."""
    check_place(url)
    scheme, separator, rest = url.partition("://")
    if not separator:
        return ArtifactPlace(url, _Folder(Path(url)))
    bucket, _, folder = rest.partition("/")
    prefix = f"{folder.rstrip('/')}/" if folder.strip("/") else ""
    return ArtifactPlace(url, (_s3 if scheme == _S3 else _gcs)(url, bucket), prefix)


class _Folder:
    """A folder as Optuna's FileSystemArtifactStore has it, but that nobody sees half a file."""

    def __init__(self, path: Path) -> None:
        from optuna.artifacts import FileSystemArtifactStore

        self._path = path
        self._store = FileSystemArtifactStore(path)

    def open_reader(self, name: str) -> BinaryIO:
        return self._store.open_reader(name)

    def write(self, name: str, content: BinaryIO) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        partial = f".{name}.{uuid.uuid4().hex[:8]}"
        try:
            self._store.write(partial, content)
            os.replace(self._path / partial, self._path / name)
        finally:
            (self._path / partial).unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        self._store.remove(name)


def _s3(url: str, bucket: str) -> Any:
    from optuna.artifacts import Boto3ArtifactStore

    try:
        import boto3
    except ImportError:
        raise InputError(f"{url}: artifacts on S3 need the extra edgenas[s3]: pip install 'edgenas[s3]'") from None
    return Boto3ArtifactStore(bucket, boto3.client("s3"))


def _gcs(url: str, bucket: str) -> Any:
    import warnings

    import optuna

    try:
        import google.cloud.storage  # noqa: F401
    except ImportError:
        raise InputError(
            f"{url}: artifacts on Google Cloud Storage need the extra edgenas[gcs]: pip install 'edgenas[gcs]'"
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            return optuna.artifacts.GCSArtifactStore(bucket)
        except Exception as error:  # no credentials
            raise InputError(f"{url}: {' '.join(str(error).split())[:300]}") from None
