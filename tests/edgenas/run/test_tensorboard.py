"""Scalars for TensorBoard: what a training says, in its own event files, and nothing where they are not wanted."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edgenas.export._tensorflow import tensorflow
from edgenas.run.tensorboard import ScalarLog, scalar_log


def events(folder: Path) -> list[Any]:
    """All events of a folder, as TensorBoard reads them."""
    summaries = tensorflow().compat.v1.train.summary_iterator
    return [event for path in sorted(folder.iterdir()) for event in summaries(str(path))]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events(folder):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, round(value.simple_value, 4)))
    return found


def test_numbers_are_kept_by_step_and_a_resumed_part_says_where_it_begins(tmp_path: Path) -> None:
    with ScalarLog(tmp_path / "a") as log:
        log.write(1, {"loss": 2.5, "reward": None})
        log.write(2, {"loss": float("nan")})
        log.write(3, {"loss": 1.25, "expected/latency_ms": 0.5})
    with ScalarLog(tmp_path / "a", 2) as log:
        log.write(4, {"loss": 1.0})
    assert scalars(tmp_path / "a") == {"loss": [(1, 2.5), (3, 1.25), (4, 1.0)], "expected/latency_ms": [(3, 0.5)]}
    assert [event.file_version for event in events(tmp_path / "a") if event.file_version] == ["brain.Event:2"] * 2
    assert [event.step for event in events(tmp_path / "a") if event.HasField("session_log")] == [2]


def test_nothing_is_written_where_the_recipe_does_not_want_it(make_recipe, tmp_path: Path) -> None:
    recipe = make_recipe()
    assert not recipe.tensorboard
    context: Any = SimpleNamespace(recipe=recipe, folder=SimpleNamespace(path=tmp_path / "run"))
    with scalar_log(context, "supernet") as log:
        log.write(1, {"loss": 1.0})
    assert not (tmp_path / "run").exists()
    context.recipe = make_recipe("tensorboard: true\n")
    with scalar_log(context, "supernet") as log:
        log.write(1, {"loss": 1.0})
    assert scalars(tmp_path / "run" / "tensorboard" / "supernet") == {"loss": [(1, 1.0)]}
