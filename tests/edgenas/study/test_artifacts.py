"""Places for files of trials: a folder, S3 behind a stand-in, and what is said when one cannot be used."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgenas.spaces.errors import InputError, WorkError
from edgenas.study.artifacts import check_place, open_place


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "store")
        return
    pytest.importorskip("boto3", reason="needs the extra edgenas[s3]")
    moto = pytest.importorskip("moto", reason="needs moto, which stands in for S3")
    import boto3

    with moto.mock_aws(), pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3").create_bucket(Bucket="weights")
        yield "s3://weights/nas"


def test_what_is_put_is_had_until_it_is_removed(url: str, tmp_path: Path) -> None:
    place = open_place(url)
    place.check()
    here, there = tmp_path / "here", tmp_path / "there"
    here.write_bytes(bytes(range(256)) * 100)
    assert not place.get("trial-3.zip", there)
    assert not there.exists()
    place.put("trial-3.zip", here)
    assert open_place(url).get("trial-3.zip", there)
    assert there.read_bytes() == here.read_bytes()
    here.write_bytes(b"again")
    place.put("trial-3.zip", here)
    assert place.get("trial-3.zip", there)
    assert there.read_bytes() == b"again"
    place.remove("trial-3.zip")
    place.remove("trial-3.zip")
    assert not place.get("trial-3.zip", there)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "store") == ["here", "there"]


def test_a_bucket_that_is_not_there_is_named(url: str) -> None:
    if not url.startswith("s3:"):
        pytest.skip("of S3")
    with pytest.raises(InputError, match=r"search.artifacts.store: s3://nowhere/x: .*NoSuchBucket"):
        open_place("s3://nowhere/x").check()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"search.artifacts.store: .*file/store"):
        open_place(str(tmp_path / "file" / "store")).check()
    with pytest.raises(WorkError, match="file/store"):
        open_place(str(tmp_path / "file" / "store")).put("a", tmp_path / "file")


def test_half_a_file_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, file = open_place(str(tmp_path / "store")), tmp_path / "file"
    file.write_text("whole")
    place.put("a", file)

    def broken(*arguments: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("os.replace", broken)
    file.write_text("other")
    with pytest.raises(WorkError, match="No space left"):
        place.put("a", file)
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["a"]
    assert (tmp_path / "store" / "a").read_text() == "whole"


@pytest.mark.parametrize("url", ["ftp://host/x", "s3://", "s3:///folder", "http://bucket"])
def test_what_is_no_place_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="expected a folder, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER, found"):
        check_place(url)


@pytest.mark.parametrize(
    ("url", "module", "extra"), [("s3://a", "boto3", "s3"), ("gs://a", "google.cloud.storage", "gcs")]
)
def test_an_extra_that_is_missing_is_named(url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf"need the extra edgenas\[{extra}\]"):
        open_place(url)
