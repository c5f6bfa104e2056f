"""Tables: what is read of CSV files and arrays, what is detected, and what each fault is told as."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenas.data.tabular import load_table
from edgenas.data.tabular.columns import ColumnChoice, known_values, number, places
from edgenas.data.tabular.csv_file import read_csv
from edgenas.data.tabular.generated import generated_table
from edgenas.data.tabular.remarks import remarks
from edgenas.data.task_data import DataRequest
from edgenas.export.bundle.table_preprocessing import TablePreprocessing, fitted
from edgenas.spaces.errors import InputError
from tests.edgenas.data.csv_text import rows_of

CHOICE = ColumnChoice("paid")
ROWS = ["age,job,zip,paid", *(f"{20 + k},{'abc'[k % 3]},{100 + k % 4},{'yes' if k % 2 else 'no'}" for k in range(30))]


def write(folder, text, name="t.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def load(path, choice=CHOICE, *, is_regression=False, seed=0):
    return load_table(DataRequest(str(path), seed=seed), choice, is_regression=is_regression)


def test_kinds_are_detected_or_given(tmp_path):
    path = write(tmp_path, "\n".join(ROWS))
    data = load(path)
    assert data.train.names == ("age", "zip", "job")
    assert data.train.values == ((), (), ("a", "b", "c"))
    assert (len(data.train), len(data.test), data.facts["classes"]) == (24, 6, ("no", "yes"))
    named = load(path, dataclasses.replace(CHOICE, categorical=("zip",), ignore=("age",)))
    assert named.train.names == ("job", "zip")
    assert named.train.values[1] == ("100", "101", "102", "103")
    assert "'paid' is predicted from 2 numeric (age, zip) and 1 categorical (job) columns" in remarks(data)


def test_the_same_seed_splits_alike_and_keeps_the_shares_of_classes(tmp_path):
    path = write(tmp_path, "\n".join(ROWS))
    one, two, other = load(path), load(path), load(path, seed=1)
    np.testing.assert_array_equal(one.test.rows, two.test.rows)
    assert not np.array_equal(one.test.rows, other.test.rows)
    assert np.bincount(one.test.targets).tolist() == [3, 3]
    train, validation = one.split(0.25, 0)
    assert np.bincount(validation.targets).tolist() == [3, 3]
    assert train.names == one.train.names


def test_a_column_may_say_which_rows_are_for_the_test(tmp_path):
    rows = [f"{row},{'part' if not place else 'test' if place > 20 else 'Train'}" for place, row in enumerate(ROWS)]
    data = load(write(tmp_path, "\n".join(rows)), dataclasses.replace(CHOICE, split="part"))
    assert (len(data.train), len(data.test)) == (20, 10)
    assert "part" not in data.train.names


def test_texts_that_are_missing_rare_or_new_are_at_place_0(tmp_path):
    rows = [*ROWS, "?,?,1,yes", ",zz,,no"]
    (tmp_path / "f").mkdir()
    write(tmp_path / "f", "\n".join(ROWS), "train.csv")
    write(tmp_path / "f", "\n".join([rows[0], *rows[-2:]]), "test.csv")
    data = load(tmp_path / "f")
    assert data.test.rows[:, 2].tolist() == [0, 0]
    assert np.isnan(data.test.rows[:, 0]).all()
    assert known_values(["a", "a", "b", "c", "c", ""], 2) == ("a", "c")
    filled = TablePreprocessing(fitted(data.train.names, data.train.values, data.train.rows)).filled(data.test.rows)
    assert filled[0, 0] == np.median(data.train.rows[:, 0])


def test_semicolons_quotes_marks_and_blank_lines(tmp_path):
    text = '\ufeffname;paid\r\n\r\n"a; ""b""";1\r\n c ;2\r\n"two\nlines";3\r\n'
    table = read_csv(write(tmp_path, text))
    assert table.names == ("name", "paid")
    assert table.column("name") == ['a; "b"', "c", "two\nlines"]
    assert table.lines == (3, 4, 5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("a,paid\n", "holds a header and no rows"),
        ("a,paid,a\n1,yes,2", "line 1: columns 1 and 3 are both named 'a'"),
        ("a,,paid\n1,2,yes", "line 1, column 2 has no name"),
        ("a,other\n1,yes", "no column 'paid', which task_options.target names; there are a, other"),
        ("a,paid\n1,yes\n1,2,3", "line 3 has 3 cells, the header 2"),
        ("a,paid\n1,yes\n2,yes", "column 'paid' holds one class only, 'yes'"),
        ("a,paid\n1,yes\n2,\n", "line 3, column 'paid': the target is missing"),
        (b"a,paid\n1,yes\n\xff2,no\n", "line 3, column 1: byte 0xff is no UTF-8"),
        ("a,paid\n1,y\0s\n", "line 2 holds a zero byte"),
        ('a,paid\n"1,yes\n', "not a CSV file"),
        ("paid\nyes\nno\nyes\nno\nno\nyes\n", "no column is left to predict 'paid' from"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path, text, words):
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        load(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_text_among_numbers_is_told_by_line_and_column(tmp_path):
    path = write(tmp_path, "\n".join([*ROWS, "old,a,100,no"]))
    with pytest.raises(InputError, match=r"line 32, column 'age': 'old' is no number \(30 of 31 cells are numbers\)"):
        load(path)
    assert load(path, dataclasses.replace(CHOICE, categorical=("age",))).train.names[0] == "zip"
    with pytest.raises(InputError, match=r"line 2, column 'job': 'a' is no number; mend it"):
        load(write(tmp_path, "\n".join(ROWS), "u.csv"), dataclasses.replace(CHOICE, numeric=("job",)))


def test_what_else_is_refused(tmp_path):
    path = write(tmp_path, "\n".join(ROWS))
    for choice, words in (
        (ColumnChoice(""), "which column is to be predicted"),
        (dataclasses.replace(CHOICE, ignore=("nothing",)), "no column 'nothing', which task_options.ignore names"),
        (dataclasses.replace(CHOICE, split="job"), "line 2, column 'job': found 'a', expected train or test"),
    ):
        with pytest.raises(InputError, match=words):
            load(path, choice)
    with pytest.raises(InputError, match="named under numeric and under ignore"):
        dataclasses.replace(CHOICE, numeric=("age",), ignore=("age",))
    with pytest.raises(InputError, match=r"line 2, column 'paid': 'no' is no number; a regression needs one"):
        load(path, is_regression=True)
    with pytest.raises(InputError, match="'gone' not found"):
        load("gone")
    (tmp_path / "g").mkdir()
    write(tmp_path / "g", "\n".join(ROWS), "train.csv")
    write(tmp_path / "g", "age,job,zip,paid\n1,a,100,maybe\n", "test.csv")
    with pytest.raises(InputError, match=r"test.csv: line 2, column 'paid': class 'maybe' is in no training row"):
        load(tmp_path / "g")


def test_a_regression_knows_the_unit_of_its_target(tmp_path):
    rows = ["x,price", *(f"{k},{1000 + 10 * k}" for k in range(40))]
    data = load(write(tmp_path, "\n".join(rows)), ColumnChoice("price"), is_regression=True)
    values = data.train.targets["value"]
    assert data.train.targets["mean"][0, 0] == pytest.approx(values.mean())
    assert data.test.targets["std"][0, 0] == data.train.targets["std"][0, 0] == pytest.approx(values.std(), rel=1e-5)
    # every fourth of the values has its share in the test part
    assert set(np.histogram(data.test.targets["value"], 4, (1000, 1400))[0].tolist()) <= {2, 3}


def test_arrays_are_read_as_the_same_table(tmp_path):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(20, 2)), rng.choice(["a", "b"], (20, 1))
    x[3, 1] = np.nan
    path = tmp_path / "t.npz"
    arrays = {"x_train": x, "t_train": t, "y_train": np.arange(20) % 2, "x_names": np.array(["age", "size"])}
    np.savez(path, **arrays)
    data = load(path, ColumnChoice(""))
    assert data.train.names == ("age", "size", "t0")
    assert data.facts == {"classes": ("0", "1"), "target": "target"}
    np.savez(path, **(arrays | {"x_test": x, "t_test": t, "y_test": np.arange(20) % 2}))
    same = load(path, ColumnChoice(""))
    np.testing.assert_allclose(same.test.rows[:, :2], x, rtol=1e-6)
    np.savez(path, x_train=x, y_train=np.arange(19))
    with pytest.raises(
        InputError, match=r"'x_train' is float64 of shape \(20, 2\); expected numbers of shape \(19, 2\)"
    ):
        load(path, ColumnChoice(""))


def test_the_generated_table_is_the_same_every_time_and_reads_back(tmp_path):
    table, target = generated_table(50)
    assert generated_table(50) == (table, target)
    path = write(tmp_path, rows_of(table))
    assert read_csv(path).rows == table.rows


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=6), st.sampled_from("ab")), min_size=6, max_size=30), st.integers(1, 5))
def test_any_texts_become_places_of_known_values(rows, most):
    cells = [text for text, _ in rows]
    values = known_values(cells, most)
    found = places(cells, values)
    assert 1 <= len(values) <= most
    assert ((found >= 0) & (found <= len(values))).all()
    assert all(not place or values[int(place) - 1] == text for text, place in zip(cells, found, strict=True))


@given(st.text(max_size=8))
def test_a_number_is_finite_and_anything_else_is_none(text):
    value = number(text)
    assert value is None or np.isfinite(np.float32(value))
