"""The journal survives being cut anywhere and never mixes devices."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edgenas.latency.measure.journal import Journal
from edgenas.latency.measure.operator_visits import OperatorVisit
from edgenas.latency.measure.visits import QuietSettings, Visits

IDENTITY = {"device": "server", "runtime": "1.0"}
VISITS = [
    ("a, b", ((1.0, 0.5, 0.5), (2.0, 0.5, 0.6))),
    ("network: x > y", ((3.0, 0.5, 0.7),)),
    ("a, b", ((1.5, 0.5, 0.5),)),
    ("slow", OperatorVisit(((0.5, 0.6), (0.6, 0.7)), ((100, 0, 30), (101, 1, 29)))),
]


def written(path: Path) -> bytes:
    with Journal(path, IDENTITY) as journal:
        for name, visit in VISITS:
            journal.add(name, visit)
    return path.read_bytes()


def restored(path: Path, identity: dict[str, str] = IDENTITY) -> Visits:
    visits = Visits(QuietSettings())
    with Journal(path, identity) as journal:
        journal.restore(visits)
    return visits


def test_reads_back(tmp_path: Path) -> None:
    written(tmp_path / "j")
    visits = restored(tmp_path / "j")
    assert visits.by_model == {
        "a, b": [VISITS[0][1], VISITS[2][1]],
        "network: x > y": [VISITS[1][1]],
        "slow": [VISITS[3][1]],
    }
    assert visits.fastest_anchor_ms == 0.5


@given(st.integers(0, 400))
def test_a_kill_at_any_byte_costs_the_last_line_at_most(tmp_path_factory: object, cut: int) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"  # type: ignore[attr-defined]
    content = written(path)
    path.write_bytes(content[: min(cut, len(content))])
    whole_lines = max(content[:cut].count(b"\n") - 1, 0)
    assert whole_lines <= sum(map(len, restored(path).by_model.values())) <= whole_lines + 1
    # And it can be written on.
    with Journal(path, IDENTITY) as journal:
        journal.add("new", ((1.0, 1.0, 1.0),))
    assert "new" in restored(path).by_model


def test_another_device_starts_anew(tmp_path: Path) -> None:
    written(tmp_path / "j")
    assert restored(tmp_path / "j", IDENTITY | {"runtime": "2.0"}).by_model == {}


def test_garbage_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "j"
    content = written(path)
    path.write_bytes(content + b'["x", []]\n["y", [[1, 2]]]\n[3, [[1, 1, 1]]]\n["z", [[0, 1, 1]]]\n\xff\xfe\n')
    with path.open("a") as file:
        for anchors, operators in (([[1, 1]], [[]]), ([[1, 0]], [[5]]), ([[1, 1], [1, 1]], [[5], [5, 5]]), ([], [])):
            file.write(json.dumps(["broken", {"anchors_ms": anchors, "operators_us": operators}]) + "\n")
        file.write('["broken", {"anchors": []}]\n')
    assert set(restored(path).by_model) == {"a, b", "network: x > y", "slow"}
