"""Paths that cannot be, and text that cannot be printed."""

import os
import socket

import pytest

from edgenas.spaces.errors import InputError
from edgenas.spaces.paths import check_path, check_regular_file
from edgenas.spaces.text import one_line, unprintable


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("a\0b", r"U\+0000"),
        ("a\nb", r"U\+000A"),
        ("x" * 256, "256 bytes"),
        ("猫" * 90 + "/y", "270 bytes"),
        ("~no_such_user_here/x", "no user with a home folder for '~no_such_user_here'"),
    ],
)
def test_paths_that_cannot_be(path, words):
    with pytest.raises(InputError, match=words):
        check_path(path, "data.path")


def test_ordinary_paths_are_kept(tmp_path):
    assert str(check_path("a?b#c {d}%41")) == "a?b#c {d}%41"
    assert check_path("~") == type(tmp_path).home()


def test_what_is_no_file_is_said(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        for name, words in (("pipe", "a pipe"), ("loop", "[Ss]ymbolic links"), ("s", "a socket"), ("", "a folder")):
            with pytest.raises(InputError, match=words):
                check_regular_file(tmp_path / name, "YAML")
    with pytest.raises(InputError, match="a device"):
        check_regular_file(type(tmp_path)("/dev/null"), "YAML")


def test_text():
    assert one_line("a\r\nb\x1b[0m\u2028c\udcff") == "a b\\x1b[0m c\\udcff"
    assert unprintable("👩‍🔬 Grünfink") == ""
    assert unprintable("\udcff") == "the byte 0xff, which is not UTF-8"


def test_an_endless_message_says_how_much_is_left_out():
    assert one_line("found " + "9" * 399) == "found " + "9" * 399
    assert one_line("found " + "9" * 70_000 + " there") == (
        "found " + "9" * 380 + "... (69,600 characters left out) ..." + "9" * 20 + " there"
    )
    assert len(one_line("many words " * 10_000)) < 2600
