"""A copied space holds the same networks, under the file's name, and can be copied again."""

from pathlib import Path

import pytest

from edgenas.spaces import SearchSpace
from edgenas.spaces.errors import InputError
from edgenas.spaces.space.copying import copied_space
from edgenas.spaces.space.spec import space_names


@pytest.mark.parametrize("name", space_names())
def test_a_copy_is_the_same_space(name: str, tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text(copied_space(name, file), encoding="utf-8")
    own, copy = SearchSpace.load(name), SearchSpace.load(file)
    assert (copy.name, copy.task, copy.description) == ("mine", own.task, own.description)
    assert (copy.inputs, copy.classes, copy.outputs) == (own.inputs, own.classes, own.outputs)
    assert copy.decisions == own.decisions
    assert [position.name for position in copy.positions] == [position.name for position in own.positions]
    assert list(copy.signatures("int8")) == list(own.signatures("int8"))
    assert "# A space of your own, copied from" in file.read_text(encoding="utf-8")
    again = tmp_path / "again.yaml"
    again.write_text(copied_space(str(file), again), encoding="utf-8")
    assert SearchSpace.load(again).decisions == own.decisions


def test_a_copy_never_takes_a_name_of_the_catalog(tmp_path: Path):
    file = tmp_path / "small_edge.yaml"
    file.write_text(copied_space("tiny_edge", file), encoding="utf-8")
    assert SearchSpace.load(file).name == "my_small_edge"
    number = tmp_path / "96.yaml"
    number.write_text(copied_space("tiny_edge", number), encoding="utf-8")
    assert SearchSpace.load(number).name == "96"


def test_what_is_no_space_is_not_copied(tmp_path: Path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("name: x\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"wrong\.yaml"):
        copied_space(str(wrong), tmp_path / "mine.yaml")
