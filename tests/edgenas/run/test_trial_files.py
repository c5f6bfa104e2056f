"""Weights of trials: kept for the best ones, brought here from workers elsewhere, and what training begins with."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgenas.recipe.recipe import Recipe
from edgenas.run.folder import RunFolder
from edgenas.run.pipeline import run
from edgenas.run.serving import serving
from edgenas.run.worker import work
from edgenas.spaces.errors import InputError
from edgenas.study.candidates import Candidate, Evaluator
from edgenas.study.feed import Feed
from edgenas.study.scheduler import InProcess
from edgenas.study.store import open_study
from edgenas.study.study import Study

Make = Callable[..., Recipe]


class Leaving:
    """Larger networks are better; each leaves a file. ``wait``: until another is at one, which ``told`` tells."""

    def __init__(
        self, wait: threading.Event | None = None, told: threading.Event | None = None, megabytes: float = 0.0
    ) -> None:
        self.wait, self.told, self.megabytes = wait, told, megabytes

    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        if self.wait is not None:
            self.wait.wait(60)
        if self.told is not None:
            self.told.set()
        folder = Path(candidate.folder)
        (folder / "deep").mkdir(parents=True, exist_ok=True)
        (folder / "deep" / "weights").write_bytes(candidate.architecture.encode() + bytes(int(self.megabytes * 1e6)))
        return sum(int(c) for c in candidate.architecture if c.isdigit()) / 100


def with_files(folder: Path) -> list[int]:
    return sorted(int(path.parent.name) for path in folder.glob("trials/*/files"))


def best(folder: Path, count: int) -> list[int]:
    return sorted(trial.number for trial in Study.open(folder / "study.db").ranking[:count])


def test_the_best_trials_keep_their_files_and_the_others_do_not(make_recipe: Make, table_path: Path) -> None:
    recipe = make_recipe("search: {trials: 8, artifacts: {trials: 2}}\n", table=table_path)
    folder = Path(recipe.output) / recipe.name
    run(recipe, evaluator=Leaving(), scheduler=InProcess, ship=False, quiet=True)
    assert with_files(folder) == best(folder, 2)
    for number in with_files(folder):
        text = (folder / "trials" / str(number) / "files" / "deep" / "weights").read_text()
        assert text == Study.open(folder / "study.db").trial(number).architecture


def test_files_that_are_too_large_or_not_wanted_are_not_kept(
    make_recipe: Make, table_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = make_recipe("search: {trials: 2, artifacts: {trials: 2, largest_mb: 0.5}}\n", table=table_path)
    run(recipe, evaluator=Leaving(megabytes=1.0), scheduler=InProcess, ship=False)
    assert "its files have 1 MB, over search.artifacts.largest_mb (0.5)" in capsys.readouterr().err
    assert with_files(Path(recipe.output) / recipe.name) == []
    changed = recipe.search.model_copy(update={"artifacts": recipe.search.artifacts.model_copy(update={"trials": 0})})
    none = recipe.model_copy(update={"name": "none", "search": changed})
    run(none, evaluator=NoFolder(), scheduler=InProcess, ship=False, quiet=True)


class NoFolder:
    def __call__(self) -> Evaluator:
        return self.evaluate

    def evaluate(self, candidate: Candidate) -> float:
        assert candidate.folder == ""
        return 0.5


def test_a_workers_files_arrive_through_the_store(make_recipe: Make, table_path: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    extra = f"search: {{trials: 6, artifacts: {{trials: 6, store: {store}}}}}\n"
    helped = threading.Event()
    with serving(f"sqlite:///{tmp_path / 'served.db'}", port=0) as (url, _):
        recipe = make_recipe(extra, table=table_path).with_study(url)

        def help_out() -> None:
            options: dict[str, Any] = {"evaluator": Leaving(told=helped), "scheduler": InProcess, "quiet": True}
            assert work(url, name="helper", folder=tmp_path / "helper", wait_seconds=60, **options).trials >= 1

        helper = threading.Thread(target=help_out)
        helper.start()
        run(recipe, evaluator=Leaving(wait=helped), scheduler=InProcess, ship=False, quiet=True)
        helper.join()
    folder = Path(recipe.output) / recipe.name
    trials = Study.open(folder / "study.db").trials
    assert {trial.worker for trial in trials} == {"helper", "search-demo"}
    assert with_files(folder) == list(range(6))
    for trial in trials:
        text = (folder / "trials" / str(trial.number) / "files" / "deep" / "weights").read_text()
        assert text == trial.architecture
    assert len(list(store.iterdir())) == 6
    assert with_files(tmp_path / "helper") == []


def test_a_store_that_cannot_be_used_is_named_before_anything_is_evaluated(
    make_recipe: Make, table_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    recipe = make_recipe(
        f"search: {{trials: 2, artifacts: {{store: {tmp_path / 'file' / 'store'}}}}}\n", table=table_path
    )
    with pytest.raises(InputError, match=r"search\.artifacts\.store: .*file/store"):
        run(recipe, evaluator=Leaving(), scheduler=InProcess, ship=False, quiet=True)
    with pytest.raises(InputError, match=r"search\.artifacts\.store: .*expected a folder, s3://BUCKET"):
        make_recipe("search: {artifacts: {store: 'ftp://host'}}\n")


def test_a_folder_of_artifacts_is_relative_to_the_recipe(make_recipe: Make, tmp_path: Path) -> None:
    recipe = make_recipe("search: {artifacts: {store: weights}}\n")
    assert recipe.files["search.artifacts.store"] == str(tmp_path / "weights")
    assert "search.artifacts.store" not in make_recipe("search: {artifacts: {store: 's3://a/b'}}\n").files


def test_who_falls_behind_the_leading_trials_is_told_once(tmp_path: Path) -> None:
    from edgenas.study.conformance import begin, finish

    store = Study.create(tmp_path / "study.db")
    feed = Feed(store, places=2)
    fallen = []
    for number, reward in enumerate((0.5, 0.1, 0.9, 0.5, 0.7)):
        begin(store, number, worker="a")
        finish(store, number, worker="a", reward=reward)
        feed.update()
        fallen.append(feed.take_fallen())
    assert fallen == [[], [], [1], [3], [0]]
    assert [trial.number for trial in feed.leading] == [2, 4]
    store.close()


@pytest.mark.slow
def test_training_begins_with_the_weights_of_the_short_training(make_recipe: Make, table_path: Path) -> None:
    short = "training: {epochs: 1, images: 256}"
    recipe = make_recipe(
        f"search: {{trials: 2, {short}, finalists: 1}}\ntraining: {{epochs: 1, initial: short}}\n", table=table_path
    )
    run(recipe, ship=False, quiet=True)
    folder = RunFolder(Path(recipe.output) / recipe.name)
    assert with_files(folder.path) == [0, 1]
    from edgenas.run.context import RunContext
    from edgenas.run.initial import beginning
    from edgenas.run.progress import Progress

    context = RunContext(recipe, folder, Progress(quiet=True))
    found = beginning(context, 0)
    assert found is not None
    study = open_study(folder.study_path)
    network = context.space.decode(context.space.parse(study.trial(0).architecture))
    study.close()
    assert "of the short training of trial 0" in f"of {found.source}"
    assert not found.fit(network).missing
