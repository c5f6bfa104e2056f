"""YAML that would hang, fill the memory or mean something else than it looks like."""

import time

import pytest
import yaml

from edgenas.spaces.errors import InputError
from edgenas.spaces.yaml_reading import MAX_BYTES, dump_yaml, parse_document, read_document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4e6", 4e6),
        ("1e-2", 0.01),
        ("1E5", 1e5),
        ("+3e2", 300.0),
        (".5", 0.5),
        ("-.5e1", -5.0),
        ("1.5e3", 1500.0),
        ("12", 12),
        ("0,3", "0,3"),
        ("2020-01-01", "2020-01-01"),
        ("NO", False),
        ("'no'", "no"),
        ("e5", "e5"),
        ("1e", "1e"),
    ],
)
def test_scalars(text, value):
    found = parse_document(f"a: {text}", "x").value["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["4e6", "no", "2020-01-01", ".5", "1_0e2", "null", "0,3", "猫", "a: b", ""])
def test_written_text_is_read_back_as_text(text):
    assert parse_document(dump_yaml({"a": text}), "x").value == {"a": text}


def test_files_of_other_programs_are_read_as_they_wrote_them():
    assert parse_document(yaml.safe_dump({"a": "12e5"}), "x", numbers=False).value == {"a": "12e5"}


LAUGHS = "a0: &a0 [1, 1]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
CHAIN = "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 300))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("&a [*a]", "an alias that contains itself"),
        ("a: &a {b: {c: *a}}", "an alias that contains itself"),
        ("a: &a {<<: *a}", "an alias that contains itself"),
        (LAUGHS, "aliases that make more than 50,000 values"),
        (CHAIN, "nested more than 100 deep"),
        ("[" * 5000, "nested more than 100 deep"),
        ("[" + "1," * 60_000 + "1]", "more than 50,000 values"),
        ("a: " + "9" * 5000, "a whole number of 5000 characters"),
        ("a: 0x" + "f" * 50, "a whole number of"),
        ("\ta: 1", "indent with spaces, not with tabs"),
        ("? [a]\n: 1", "unhashable key"),
        ("a: !!timestamp x", "does not fit its tag"),
        ("a: !!bool x", "does not fit its tag"),
        ("a: !!int ''", "does not fit its tag"),
        ("a: !!python/name:os.system x", "could not determine a constructor"),
        ("a: 1\nb: {c: 1, c: 2}", "line 2: the key 'c' is there twice"),
        ("a: \x00", "not valid YAML"),
    ],
)
def test_refused_in_one_line_at_once(text, words):
    start = time.process_time()
    with pytest.raises(InputError, match=words) as caught:
        parse_document(text, "my.yaml")
    assert str(caught.value).startswith("my.yaml")
    assert len(str(caught.value).splitlines()) == 1
    assert time.process_time() - start < 10


def test_aliases_that_repeat_little_are_fine():
    assert parse_document("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]", "x").value["b"] == {"x": 1, "y": 2}


def test_files(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\n")
    assert read_document(path).value == {"a": 1}
    path.write_bytes("a: ü".encode("latin-1"))
    with pytest.raises(InputError, match=r"byte 0xfc at 3 is not UTF-8"):
        read_document(path)
    path.write_bytes("a: 1".encode("utf-16"))
    with pytest.raises(InputError, match="not UTF-8"):
        read_document(path)
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(InputError, match="1,000,001 bytes, more than the 1,000,000"):
        read_document(path)
    with pytest.raises(InputError, match="it is a folder"):
        read_document(tmp_path)
