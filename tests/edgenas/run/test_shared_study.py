"""A search that several machines share: the study of a run on a server, workers, and what others put in."""

import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from edgenas.recipe.recipe import Recipe
from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import run
from edgenas.run.serving import serving
from edgenas.run.worker import work
from edgenas.spaces.errors import InputError, WorkError
from edgenas.study.candidates import Candidate, Evaluator
from edgenas.study.scheduler import InProcess
from edgenas.study.store import open_study
from edgenas.study.study import Study

Make = Callable[..., Recipe]


class Slow:
    """Larger networks are better; each takes a moment, so that others have a turn."""

    def __init__(self, seconds: float = 0.05) -> None:
        self.seconds = seconds

    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        time.sleep(self.seconds)
        return sum(int(c) for c in candidate.architecture if c.isdigit()) / 100


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    with serving(f"sqlite:///{tmp_path / 'served.db'}", port=0) as (url, _):
        yield url


def shared(make_recipe: Make, table: Path, url: str, trials: int = 8) -> Recipe:
    return make_recipe(f"search: {{trials: {trials}}}\n", table=table).with_study(url)


def search(recipe: Recipe, seconds: float = 0.05, **settings: Any) -> list[Any]:
    run(recipe, evaluator=Slow(seconds), scheduler=InProcess, ship=False, quiet=True, **settings)
    return list(Study.open(RunFolder(Path(recipe.output) / recipe.name).study_path).trials)


def take_part(url: str, name: str, folder: Path, **settings: Any) -> int:
    options: dict[str, Any] = {"evaluator": Slow(), "scheduler": InProcess, "quiet": True} | settings
    return work(url, name=name, folder=folder / name, **options).trials


def wait_for(what: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_worker_takes_part_and_the_run_has_everything(
    make_recipe: Make, table_path: Path, served: str, tmp_path: Path
) -> None:
    recipe = shared(make_recipe, table_path, served, trials=12)
    ended: list[int] = []

    def help_out() -> None:
        wait_for(lambda: len(_trials(served)) > 0)
        ended.append(take_part(served, "helper", tmp_path))

    helper = threading.Thread(target=help_out)
    helper.start()
    found = search(recipe, 0.3)
    helper.join()
    assert [trial.number for trial in found] == list(range(12))
    assert {trial.state for trial in found} == {"complete"}
    assert len({trial.architecture for trial in found}) == 12
    by = [trial.worker for trial in found]
    assert set(by) == {"helper", "search-demo"}
    assert ended == [by.count("helper")]
    params = (
        optuna.load_study(study_name="edgenas", storage=f"sqlite:///{Path(recipe.output) / recipe.name / 'study.db'}")
        .trials[0]
        .params
    )
    assert params


def _trials(url: str) -> tuple[Any, ...]:
    try:
        store = open_study(url)
    except InputError:
        return ()
    try:
        return store.trials
    finally:
        store.close()


def test_a_second_search_in_one_study_takes_a_name_of_its_own(make_recipe: Make, table_path: Path, served: str) -> None:
    open_study_when_begun(shared(make_recipe, table_path, served), served)
    store, ended = open_study(served), threading.Event()
    store.take_lease("worker search-demo", "elsewhere-1-abcdef")

    def first_search() -> None:
        while not ended.wait(0.2):
            store.take_lease("worker search-demo", "elsewhere-1-abcdef")

    other = threading.Thread(target=first_search)
    other.start()
    found = search(shared(make_recipe, table_path, served, trials=2))
    ended.set()
    other.join()
    store.close()
    assert [trial.worker.startswith("search-demo-") for trial in found] == [True, True]


def test_what_others_put_in_is_taken_or_refused_with_the_reason(
    make_recipe: Make, table_path: Path, served: str
) -> None:
    recipe = shared(make_recipe, table_path, served, trials=3)
    alone = search(
        recipe.model_copy(update={"name": "alone", "search": recipe.search.model_copy(update={"study": None})})
    )
    host, _, port = served.removeprefix("grpc://").partition(":")
    open_study_when_begun(recipe, served)
    script = optuna.load_study(
        study_name="edgenas", storage=optuna.storages.GrpcStorageProxy(host=host, port=int(port))
    )
    wish = (
        optuna.load_study(study_name="edgenas", storage=f"sqlite:///{Path(recipe.output) / 'alone' / 'study.db'}")
        .trials[0]
        .params
    )
    script.enqueue_trial(wish)
    script.enqueue_trial({"colour": "red"})
    theirs = script.ask()  # takes the first one, and never comes back
    script.enqueue_trial(wish)
    found = search(recipe)
    ours = [trial for trial in found if not trial.foreign]
    assert [trial.state for trial in ours] == ["complete"] * 3
    assert found[theirs.number].foreign
    wished = next(trial for trial in ours if trial.number == 2)
    assert wished.architecture == alone[0].architecture
    refused = next(trial for trial in found if trial.state == "failed")
    assert "'colour', which is no decision of the space" in (refused.error or "")


def open_study_when_begun(recipe: Recipe, url: str) -> None:
    """Begins the study of a recipe and ends after its profile: the search finds it."""
    from edgenas.study.store import create_study

    create_study(url, {"run": recipe.name}).close()


def test_a_worker_with_other_data_is_refused(make_recipe: Make, table_path: Path, served: str, tmp_path: Path) -> None:
    recipe = shared(make_recipe, table_path, served, trials=1)
    search(recipe)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 255, (60, 28, 28)).astype(np.uint8), np.arange(60, dtype=np.int64) % 10
    (tmp_path / "other").mkdir()
    np.savez(tmp_path / "other" / "fashion_mnist.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    with pytest.raises(InputError, match=r"not what the study was begun with.*the data changed.*fingerprint"):
        take_part(served, "stranger", tmp_path, data_dir=tmp_path / "other")
    with pytest.raises(InputError, match=r"--data: .* are the set 'fashion_mnist', which has no data\.path"):
        take_part(served, "stranger", tmp_path, data_path=tmp_path)
    with pytest.raises(InputError, match="--data-dir: there is no folder"):
        take_part(served, "stranger", tmp_path, data_dir=tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"--plugin: the recipe has 0 plugins \(none\), 1 are given"):
        take_part(served, "stranger", tmp_path, plugins=[tmp_path / "task.py"])
    with pytest.raises(InputError, match="--name"):
        take_part(served, "../stranger", tmp_path)


def test_another_recipe_on_the_same_study_is_refused(make_recipe: Make, table_path: Path, served: str) -> None:
    search(shared(make_recipe, table_path, served, trials=1))
    other = shared(make_recipe, table_path, served, trials=2).model_copy(update={"name": "other"})
    words = r"is the study of another recipe \(search.trials: 1 there, 2 here\); name another study$"
    with pytest.raises(InputError, match=words):
        search(other)
    away = shared(make_recipe, table_path, "grpc://localhost:1").model_copy(update={"name": "away"})
    with pytest.raises(InputError, match="no study is served there"):
        search(away)
    assert {path.name for path in Path(other.output).iterdir()} == {"demo"}, "nothing was begun"


def test_a_study_without_a_recipe_has_nothing_for_workers(served: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no study yet"):
        take_part(served, "early", tmp_path)


def test_a_newer_study_is_refused_with_the_reason(
    make_recipe: Make, table_path: Path, served: str, tmp_path: Path
) -> None:
    search(shared(make_recipe, table_path, served, trials=1))
    store = open_study(served)
    store.remember("edgenas:schema", 99)
    store.close()
    with pytest.raises(InputError, match="schema version 99; this version of EdgeNAS reads versions up to 1"):
        take_part(served, "older", tmp_path)


def test_unknown_studies_are_refused_before_anything_runs(make_recipe: Make) -> None:
    with pytest.raises(InputError, match=r"search\.study: unknown kind of study 'redis'"):
        make_recipe("search: {study: 'redis://host/1'}\n")
    with pytest.raises(InputError, match="expected the URL of a study"):
        make_recipe().with_study("study.db")


def test_transient_errors_are_tried_again_and_others_are_not(make_recipe: Make, table_path: Path, served: str) -> None:
    recipe = shared(make_recipe, table_path, served, trials=4)
    run(recipe, evaluator=Flaky(), scheduler=InProcess, ship=False, quiet=True)
    found = list(Study.open(Path(recipe.output) / recipe.name / "study.db").trials)
    assert [(trial.state, trial.attempts) for trial in found] == [
        ("complete", 2),
        ("failed", 1),
        ("failed", 3),
        ("complete", 1),
    ]
    assert "ConnectionResetError" in (found[2].error or "")


class Flaky:
    """Trial 0 runs out of memory once, trial 1 computes no number, trial 2 loses its connection always."""

    def __init__(self) -> None:
        self.calls: dict[int, int] = {}

    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        self.calls[candidate.number] = self.calls.get(candidate.number, 0) + 1
        if candidate.number == 0 and self.calls[0] == 1:
            raise MemoryError
        if candidate.number == 1:
            raise WorkError("the loss became NaN")
        if candidate.number == 2:
            raise ConnectionResetError("peer")
        return 0.5


def test_the_served_page_is_the_report_as_it_is_now(make_recipe: Make, table_path: Path, tmp_path: Path) -> None:
    with serving(f"sqlite:///{tmp_path / 'served.db'}", port=0) as (url, page):
        assert "no report yet" in read(page)
        search(shared(make_recipe, table_path, url, trials=2))
    with serving(f"sqlite:///{tmp_path / 'served.db'}", port=0) as (_, page):  # a study without a run folder here
        of_study = read(page)
    run_folder = RunFolder(tmp_path / "runs" / "demo")
    with serving(str(run_folder.path), port=0) as (url, page):
        of_run = read(page)
        assert [trial.state for trial in _trials(url)] == ["complete"] * 2
    for text in (of_study, of_run):
        assert '<meta http-equiv="refresh"' in text
        assert "2 of 2 trials finished" in text or "2 trials" in text


def read(page: str) -> str:
    with urllib.request.urlopen(page, timeout=60) as answer:
        return str(answer.read().decode())
