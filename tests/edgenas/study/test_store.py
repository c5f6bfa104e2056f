"""Stores of studies: ours passes what every store must keep, and URLs find them."""

from pathlib import Path

import pytest

from edgenas.spaces.errors import InputError
from edgenas.study.conformance import StoreConformance
from edgenas.study.store import open_study


class TestFile(StoreConformance):
    def url(self, folder: Path) -> Path:
        return folder / "study.db"


class TestFileByUrl(StoreConformance):
    def url(self, folder: Path) -> str:
        return f"sqlite:///{folder / 'why? 100%.db'}"


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(InputError, match=r"unknown kind of study 'redis': expected one of sqlite"):
        open_study("redis://host/study")
