"""A search whose candidates are evaluated by Ray actors, one of which is lost."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgenas.recipe.recipe import Recipe
from edgenas.run.pipeline import run
from edgenas.run.ray_workers import RayCrew, cluster, crew_of
from edgenas.spaces.errors import InputError, WorkError
from edgenas.study.candidates import Candidate, Evaluator
from edgenas.study.scheduler import InProcess
from edgenas.study.study import Study

Make = Callable[..., Recipe]


class Deadly:
    """Trial 1 takes its process with it, the first time."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        if candidate.number == 1 and not os.path.exists(self.marker):
            open(self.marker, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return sum(int(c) for c in candidate.architecture if c.isdigit()) / 100


@pytest.mark.slow
def test_actors_share_a_study_and_one_is_lost(make_recipe: Make, table_path: Path, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="needs the extra edgenas[ray]")
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    recipe = make_recipe("search: {trials: 6}\n", table=table_path)
    marker = tmp_path / "died"
    result = run(
        recipe, evaluator=Deadly(str(marker)), scheduler=InProcess, ship=False, quiet=True, crew=RayCrew(workers=2)
    )
    assert marker.exists()
    assert result.trials == 6
    trials = Study.open(Path(recipe.output) / recipe.name / "study.db").trials
    assert [trial.state for trial in trials] == ["complete"] * 6
    assert trials[1].attempts == 2
    assert {trial.worker.partition("-")[0] for trial in trials} == {"ray"}
    assert not ray.is_initialized()


def test_options_of_ray_belong_to_ray() -> None:
    assert crew_of(None, None, None) is None
    with pytest.raises(InputError, match="belong to --ray"):
        crew_of(None, 2, None)


def test_ray_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"--ray needs the extra edgenas\[ray\]"):
        crew_of("local", 2, 1.0)


def test_ray_that_does_not_start_is_one_line() -> None:
    class Ray:
        ended = 0

        def is_initialized(self) -> bool:
            return False

        def init(self, **_: object) -> None:
            raise Exception("The current node timed out\nduring startup")

        def shutdown(self) -> None:
            self.ended += 1

    ray = Ray()
    with (
        pytest.raises(WorkError, match=r"--ray local: Ray did not start: The current node timed out during startup; "),
        cluster(ray, RayCrew(workers=2)),
    ):
        pass
    assert ray.ended == 1


def test_a_cluster_needs_a_study_that_it_can_reach(make_recipe: Make) -> None:
    class Context:
        recipe = make_recipe()

    with pytest.raises(InputError, match="name one with --study"):
        RayCrew("ray://head:10001").url(Context())  # type: ignore[arg-type]
    shared = make_recipe().with_study("postgresql://host/studies")
    Context.recipe = shared
    assert RayCrew("ray://head:10001").url(Context()) == "postgresql://host/studies#demo"  # type: ignore[arg-type]
